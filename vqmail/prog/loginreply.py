"""vq-loginreply: say who a checkpassword program made of us.

SYNOPSIS    checkpassword vq-loginreply         (in place of a POP3 server)

WRITES      4   a local socket: uid, gid, HOME, USER and SHELL

What vqmail runs behind the program of a `checkpassword` line in control/loginsources, to learn who was let in.  As for
Dovecot, userdb_uid and userdb_gid count more than the uid that it runs as, if that is root's.

ENVIRONMENT HOME USER SHELL userdb_uid userdb_gid

EXIT        0   said
            111 it could not

RUNS AS     whoever the checkpassword program becomes

STANDARDS   checkpassword(8)
"""

from vqmail import codes
from vqmail.formats import loginreply
from vqmail.unix import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

REPLY = 4


def main(_argv: "list[bytes]", env: "Env") -> int:
    """Say it."""
    uid, gid = calls.getuid(), calls.getgid()
    given = [env.get(each, b"") for each in (b"userdb_uid", b"userdb_gid")]
    if uid == 0 and all(each.isdigit() and len(each) <= loginreply.DIGITS for each in given):
        uid, gid = map(int, given)
    reply = loginreply.Reply(uid, gid, *(env.get(each, b"") for each in (b"HOME", b"USER", b"SHELL")))
    try:
        calls.write(REPLY, loginreply.encode(reply))
    except OSError as error:
        raise codes.TryLater("nobody listens on descriptor 4: %s" % error.strerror) from None
    return codes.OK
