"""vq-getpw: say who controls a local address, by the passwd file.

SYNOPSIS    vq-getpw local

WRITES      1   user, uid, gid, home, dash, ext, each followed by a NUL

A user controls his own name and everything that begins with it and a dash, if his uid is not 0 and
he owns his home.  Of two such users the one with the longer name counts.  What nobody controls
belongs to alias.

FILES       /etc/passwd     read anew each time

EXIT        0   said so
            100 wrong usage
            111 cannot write
            115 cannot tell whether a user owns his home
            116 there is no alias: its directory is missing in this installation
            118 cannot read the passwd file, or the line that matters is broken

RUNS AS     qmailp, or anybody

STANDARDS   qmail-getpw(8)
"""

from vqmail import codes
from vqmail.store import getpw
from vqmail.unix import fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:  # noqa: ARG001  every program has this shape
    """Write what getpw.find says of argv[1]."""
    if len(argv) != 2:
        raise codes.GiveUp("usage: vq-getpw local")
    user, uid, gid, home, dash, ext = getpw.find(argv[1])
    try:
        fd.write_all(1, b"".join(each + b"\0" for each in (user, b"%d" % uid, b"%d" % gid, home, dash, ext)))
    except OSError as error:
        raise codes.TryLater("cannot write: %s" % error.strerror) from None
    return codes.OK
