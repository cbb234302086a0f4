"""vmkpasswd: compile the users of a domain, as vpopmail does.

SYNOPSIS    vmkpasswd domain

For after the domain's etc/passwd or etc/options was edited by hand.  vq-newu does it for all domains.

EXIT        0   done
            100 wrong usage; it is so already; there is no such user or domain; not allowed
            111 any trouble

RUNS AS     root; the owner of a domain, by `vq-service admin`

STANDARDS   vpopmail 5.4
"""

from vqmail import codes
from vqmail.admin import domains, foreign, mailboxes, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:
    """Do it, here or by the service."""
    return foreign.run(__doc__ or "", serve, argv, env)


def serve(argv: "list[bytes]", env: "Env", caller: "Caller") -> int:  # noqa: ARG001  every command has this shape
    """Compile a domain."""
    _, rest = foreign.words(argv, "v", 1, 1)
    domain = mailboxes.real_domain(names.domain(rest[0]))
    caller.check(domain)
    with caller.change(domain) as t:
        domains.require(t, domain)
        t.compile(domain)
        t.commit()
    return codes.OK
