"""vsetuserquota: give a user of a domain, or all of them, a quota, as vpopmail does.

SYNOPSIS    vsetuserquota [-v] user@domain quota
            vsetuserquota [-v] domain quota

The quota is a number of bytes, 10M, 10MB, 10000000S,1000C (bytes and messages), or NOQUOTA.

EXIT        0   done
            100 wrong usage; it is so already; there is no such user or domain; not allowed
            111 any trouble

RUNS AS     root; the owner of a domain, by `vq-service admin`

STANDARDS   vpopmail 5.4
"""

import functools

from vqmail import codes
from vqmail.admin import foreign, mailboxes, names, transaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:
    """Do it, here or by the service."""
    return foreign.run(__doc__ or "", serve, argv, env)


def serve(argv: "list[bytes]", env: "Env", caller: "Caller") -> int:  # noqa: ARG001  every command has this shape
    """Set a quota."""
    _, rest = foreign.words(argv, "v", 2, 2)
    users: list[bytes] = []
    if b"@" in rest[0]:
        user, domain = foreign.address(rest[0])
        users = [user]
    else:
        domain = mailboxes.real_domain(names.domain(rest[0]))
    caller.check(domain)
    with caller.change(domain) as t:
        transaction.do_all(functools.partial(mailboxes.set_option, t, domain, each, b"quota", rest[1])
                           for each in users or mailboxes.names(domain))
        t.commit()
    return codes.OK
