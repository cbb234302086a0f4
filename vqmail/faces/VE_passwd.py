"""VE-passwd: give a mailbox a password, as Vmail-SQL does.

SYNOPSIS    VE-passwd USER@DOMAIN [PASSWORD]

A password on the command line is for everybody to see who looks at the list of processes.  Without one it is asked for.
Vmail-SQL's domains have a password, too, for whoever looks after them; here that is the owner, who is a user of the
system: `VE-passwd DOMAIN` says so and changes nothing.

EXIT        0   done
            100 wrong usage; it is so already; there is no such user or domain; not allowed
            111 any trouble

RUNS AS     root; the owner of a domain, by `vq-service admin`

STANDARDS   Vmail-SQL
"""

from vqmail import codes
from vqmail.admin import foreign, mailboxes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:
    """Do it, here or by the service."""
    return foreign.run(__doc__ or "", serve, argv, env)


def serve(argv: "list[bytes]", env: "Env", caller: "Caller") -> int:  # noqa: ARG001  every command has this shape
    """Change a password."""
    words = argv[1:]
    if not 1 <= len(words) <= 2:
        raise codes.GiveUp("usage: VE-passwd USER@DOMAIN [PASSWORD]")
    if b"@" not in words[0]:
        raise codes.GiveUp("a domain has no password here: its owner, a user of this machine, looks after it with "
                           "vq-user and vq-alias")
    user, domain = foreign.address(words[0])
    caller.check(domain)
    mailboxes.info(domain, user)                # before anybody types a password
    stored, _ = foreign.secret(words[1:], 0, words[0])
    foreign.set_password(caller, domain, user, stored)
    return codes.OK
