"""maildirmake: make a maildir.

SYNOPSIS    maildirmake directory

Makes the directory with tmp, new and cur in it, for its owner's eyes only, and returns when they are on the disk.

EXIT        0   it is made
            100 wrong usage
            111 it is there already, or cannot be made
RUNS AS     who is to own it

STANDARDS   maildirmake(1) of qmail, maildir(5)
"""

from vqmail import codes
from vqmail.store import maildir
from vqmail.unix import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:
    if len(argv) != 2 or argv[1][:1] in (b"", b"-"):        # a maildir called --help helps nobody
        raise codes.GiveUp("usage: maildirmake directory")
    directory = argv[1].rstrip(b"/") or b"/"
    calls.umask(0o077)
    try:
        calls.mkdir(directory, 0o700)           # before the rest: one that is there is not ours to complete
        maildir.make(directory)
    except OSError as error:
        raise codes.TryLater("fatal: unable to mkdir %s: %s" % (
            directory.decode("utf-8", "surrogateescape"), error.strerror)) from None
    return codes.OK
