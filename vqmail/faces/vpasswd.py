"""vpasswd: give a user of a domain another password, as vpopmail does.

SYNOPSIS    vpasswd [-v] [-p | -r[length]] user@domain [password]

-p          the password that is given is its hash already, as crypt(3) makes it
-r          a random password, which is shown

A password on the command line is for everybody to see who looks at the list of processes.  Without one it is asked for.

EXIT        0   done
            100 wrong usage; it is so already; there is no such user or domain; not allowed
            111 any trouble

RUNS AS     root; the owner of a domain, by `vq-service admin`

STANDARDS   vpopmail 5.4
"""

from vqmail import codes
from vqmail.admin import foreign, mailboxes, passwords

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:
    """Do it, here or by the service."""
    return foreign.run(__doc__ or "", serve, argv, env)


def serve(argv: "list[bytes]", env: "Env", caller: "Caller") -> int:  # noqa: ARG001  every command has this shape
    """Change a password."""
    argv, length = foreign.split_random(argv)
    given, rest = foreign.words(argv, "vp", 1, 2)
    user, domain = foreign.address(rest[0])
    caller.check(domain)
    mailboxes.info(domain, user)                # before anybody types a password
    random = b""
    if "p" in given and len(rest) > 1:
        passwords.check_hash(rest[1])
        stored = rest[1]
    else:
        stored, random = foreign.secret(rest[1:], length, rest[0])
    foreign.set_password(caller, domain, user, stored)
    foreign.show_random(random)
    return codes.OK
