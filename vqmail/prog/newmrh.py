"""vq-newmrh: compile the list of more domains that we receive mail for.

SYNOPSIS    vq-newmrh

Compiles control/morercpthosts into control/morercpthosts.cdb, in lower case.  Readers see the old
file or the new one, never a mixture.  Run it after any edit of control/morercpthosts.

WRITES      2   what is wrong

CONTROL FILES
            morercpthosts

FILES       control/morercpthosts.cdb

EXIT        0   compiled
            100 wrong usage
            111 it is not; the old compilation stays

RUNS AS     root

STANDARDS   qmail-newmrh(8)
"""

from vqmail import codes, vqhome
from vqmail.formats import controlfile
from vqmail.store import cdb
from vqmail.unix import calls, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vqmail.unix.chain import Env

TEXT = vqhome.path(b"control/morercpthosts")
CDB = TEXT + b".cdb"
KEPT = "control/morercpthosts.cdb is as it was"


def main(argv: "list[bytes]", env: "Env") -> int:  # noqa: ARG001  every program has this shape
    """Compile it."""
    if len(argv) != 1:
        raise codes.GiveUp("usage: vq-newmrh")
    try:
        number = calls.open(TEXT, calls.O_RDONLY | calls.O_CLOEXEC | calls.O_NONBLOCK)
    except OSError as error:
        raise codes.TryLater("cannot read %s: %s (%s)" % (TEXT.decode(), error.strerror, KEPT)) from None
    try:
        cdb.make(CDB, _records(number), 0o644)
    except OSError as error:
        raise codes.TryLater("cannot make %s: %s (%s)" % (CDB.decode(), error.strerror, KEPT)) from None
    finally:
        calls.close(number)
    return codes.OK


def _records(number: int) -> "Iterator[tuple[bytes, bytes]]":
    for line in fd.lines(number):
        for each in controlfile.entries(line):
            yield each.lower(), b""
