"""datemail: sendmail with a Date in local time.

SYNOPSIS    datemail [ as sendmail ]

Becomes `predate sendmail`, both of this home.

EXIT        as sendmail
RUNS AS     anybody

STANDARDS   datemail(1) of qmail
"""

from vqmail import vqhome
from vqmail.unix import chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> chain.Next:
    return chain.Next([vqhome.path(b"bin/predate"), vqhome.path(b"bin/sendmail"), *argv[1:]], env)
