"""vdeluser: delete a user of a domain, as vpopmail does.

SYNOPSIS    vdeluser [-v] user@domain

vpopmail's mail would be gone; ours is in a trash: vq-user restore brings the user back, vq-user purge removes him for
good.

EXIT        0   done
            100 wrong usage; it is so already; there is no such user or domain; not allowed
            111 any trouble

RUNS AS     root; the owner of a domain, by `vq-service admin`

STANDARDS   vpopmail 5.4
"""

from vqmail import codes
from vqmail.admin import foreign, usertrash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:
    """Do it, here or by the service."""
    return foreign.run(__doc__ or "", serve, argv, env)


def serve(argv: "list[bytes]", env: "Env", caller: "Caller") -> int:  # noqa: ARG001  every command has this shape
    """Delete a user."""
    _, rest = foreign.words(argv, "v", 1, 1)
    user, domain = foreign.address(rest[0])
    caller.check(domain)
    with caller.change(domain) as t:
        odd = usertrash.delete(t, domain, user)
        t.commit()
    foreign.warn("vdeluser", odd)
    return codes.OK
