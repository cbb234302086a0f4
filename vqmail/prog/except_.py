"""except: turn a program's yes into a no, in a dot-qmail file.

SYNOPSIS    | except program [ arg ... ]

READS       0   the message; the program gets it, from its beginning if it is a file

`|except grep -q ^List-Id:` bounces what is no list's; behind condredirect and bouncesaying it is `not`.

EXIT        100 the program exits 0; or wrong usage
            111 the program exits 111, is killed or takes more than 24 hours
            0   any other code, or there is no such program
RUNS AS     the recipient

STANDARDS   except(1) of qmail
"""

from vqmail import codes
from vqmail.unix import child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:
    if len(argv) < 2:
        raise codes.GiveUp("usage: except program [ arg ... ]")
    return codes.PERMANENT if child.agrees(argv[1:], env) else codes.OK
