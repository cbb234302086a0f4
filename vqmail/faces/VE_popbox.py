"""VE-popbox: add a mailbox, as Vmail-SQL does.

SYNOPSIS    VE-popbox add DOMAIN USER

It has no password until VE-passwd gives it one.  vq-user is the command with all that vqmail can do.

EXIT        0   done
            100 wrong usage; it is so already; there is no such user or domain; not allowed
            111 any trouble

RUNS AS     root; the owner of a domain, by `vq-service admin`

STANDARDS   Vmail-SQL
"""

from vqmail import codes
from vqmail.admin import foreign, mailboxes, names, passwords

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:
    """Do it, here or by the service."""
    return foreign.run(__doc__ or "", serve, argv, env)


def serve(argv: "list[bytes]", env: "Env", caller: "Caller") -> int:  # noqa: ARG001  every command has this shape
    """Add a mailbox."""
    words = argv[1:]
    if len(words) != 3 or words[0] != b"add":
        raise codes.GiveUp("usage: VE-popbox add DOMAIN USER")
    domain = mailboxes.real_domain(names.domain(words[1]))
    caller.check(domain)
    with caller.change(domain) as t:
        odd = mailboxes.add(t, domain, words[2], passwords.LOCKED)
        t.commit()
    foreign.warn("VE-popbox", odd)
    return codes.OK
