"""bouncesaying: bounce a message with words of your own, in a dot-qmail file.

SYNOPSIS    | bouncesaying text [ program [ arg ... ] ]

READS       0   the message; the program gets it, from its beginning if it is a file
WRITES      2   the text, which the bounce then has

Without a program every message bounces; with one, those for which it exits 0.

EXIT        100 bounce it; or wrong usage
            111 the program exits 111, is killed or takes more than 24 hours
            0   the program exits with any other code, or there is no such program
RUNS AS     the recipient

STANDARDS   bouncesaying(1) of qmail
"""

from vqmail import codes
from vqmail.unix import child, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:
    if len(argv) < 2:
        raise codes.GiveUp("usage: bouncesaying text [ program [ arg ... ] ]")
    if len(argv) > 2 and not child.agrees(argv[2:], env):
        return codes.OK
    try:
        fd.write_all(2, argv[1] + b"\n")
    except OSError:
        pass                    # nobody hears why; it bounces all the same
    return codes.PERMANENT
