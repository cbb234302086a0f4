"""vadduser: add a user of a domain, as vpopmail does.

SYNOPSIS    vadduser [-v] [-q quota] [-c name] [-e hash | -n | -r[length]] [-s] user@domain [password]

-q          the user's quota
-c          the user's real name
-e          the hash of the password, as crypt(3) makes it
-n          no password: the user cannot log in
-r          a random password, which is shown
-s          means nothing here: the users are always compiled

vq-user is the command with all that vqmail can do.

EXIT        0   done
            100 wrong usage; it is so already; there is no such user or domain; not allowed
            111 any trouble

RUNS AS     root; the owner of a domain, by `vq-service admin`

STANDARDS   vpopmail 5.4
"""

from vqmail import codes
from vqmail.admin import foreign, mailboxes, passwords, transaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:
    """Do it, here or by the service."""
    return foreign.run(__doc__ or "", serve, argv, env)


def serve(argv: "list[bytes]", env: "Env", caller: "Caller") -> int:  # noqa: ARG001  every command has this shape
    """Add a user."""
    argv, length = foreign.split_random(argv)
    given, rest = foreign.words(argv, "vq:c:e:ns", 1, 2)
    user, domain = foreign.address(rest[0])
    caller.check(domain)
    if mailboxes.name_of(user) in mailboxes.names(domain):
        raise transaction.Already("%s is there already" % rest[0].decode("utf-8", "replace"))
    random = b""
    if "e" in given:
        passwords.check_hash(given["e"])
        stored = given["e"]
    elif "n" in given:
        stored = passwords.LOCKED
    else:
        stored, random = foreign.secret(rest[1:], length, rest[0])
    with caller.change(domain) as t:
        odd = mailboxes.add(t, domain, user, stored, real_name=given.get("c", b""), quota=given.get("q", b""))
        t.commit()
    foreign.warn("vadduser", odd)
    foreign.show_random(random)
    return codes.OK
