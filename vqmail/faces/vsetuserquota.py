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

from vqmail import codes
from vqmail.admin import command, foreign, mailboxes, names, transaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:
    """Do it, here or by the service."""
    return command.run(serve, argv, env)


def serve(argv: "list[bytes]", env: "Env", caller: "Caller") -> int:  # noqa: ARG001  every command has this shape
    """Set a quota."""
    _, rest = foreign.words(argv, "v", 2, 2)
    if b"@" in rest[0]:
        user, domain = foreign.address(rest[0])
        users = [user]
    else:
        domain = mailboxes.real_domain(names.domain(rest[0]))
        caller.check(domain)
        users = mailboxes.names(domain)
    changed = 0
    with caller.change(domain) as t:
        for each in users:
            try:
                mailboxes.set_option(t, domain, each, b"quota", rest[1])
                changed += 1
            except transaction.Already:         # the others may not have it
                continue
        if not changed:
            raise transaction.Already("it is so already; nothing was changed")
        t.commit()
    return codes.OK
