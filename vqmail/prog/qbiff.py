"""qbiff: tell a user at the terminal that a message came, in a dot-qmail file.

SYNOPSIS    | qbiff

READS       0   the message
            /var/run/utmp   who is logged in where
WRITES      the terminals of USER that are the recipient's and take messages (mesg y, or biff y)

Two lines with a bell: to whom and from whom; the subject and how the message begins.

ENVIRONMENT USER LOCAL SENDER

EXIT        0   always: no delivery fails for want of a terminal
RUNS AS     the recipient

SECURITY    What a stranger wrote reaches a terminal as printable ASCII only: no escape sequence can be mailed.
            A terminal that takes nothing is not waited for.

STANDARDS   qbiff(1) of qmail
"""

from vqmail import codes
from vqmail.formats import header, utmp
from vqmail.unix import fd, tty

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

UTMP = b"/var/run/utmp"
WIDTH = 78
LONGEST = 300                                   # bytes of the line with the addresses
PRINTABLE = bytes(range(32, 127))
UNDERSCORES = bytes(each if each in PRINTABLE else ord("_") for each in range(256))
SLASHES = bytes(each if each in PRINTABLE else ord("/") for each in range(256))


def main(argv: "list[bytes]", env: "Env") -> int:
    try:
        _tell(env)
    except (OSError, ValueError, MemoryError):
        pass                    # the message is what counts, and that comes by another line
    return codes.OK


def _tell(env: "Env") -> None:
    if not all(name in env for name in (b"USER", b"LOCAL", b"SENDER")):
        return
    lines = utmp.terminals(fd.read_file(UTMP, utmp.LIMIT), env[b"USER"])
    if lines:
        text = notice(env[b"LOCAL"], env[b"SENDER"], next(fd.whole(0), b""))
        for each in lines:
            try:
                tty.tell(b"/dev/" + each, text)
            except OSError:                     # gone, or full, or somebody else's
                continue


def notice(local: bytes, sender: bytes, start: bytes) -> bytes:
    """What is written to a terminal about a message that begins with `start`."""
    head, _, body = start.partition(b"\n\n")
    subject = b" ".join(header.values(head, b"subject"))
    who = b"*** TO <%s> FROM <%s>" % (local, sender)
    what = b"    %s/%s" % (subject, body)
    return b"\r\n\a%s\r\n%s\r\n" % (who[:LONGEST].translate(UNDERSCORES), what[:WIDTH].translate(SLASHES))
