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

from vqmail import codes
from vqmail.store import compiled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

KEPT = "control/morercpthosts.cdb is as it was"


def main(argv: "list[bytes]", env: "Env") -> int:  # noqa: ARG001  every program has this shape
    """Compile it."""
    if len(argv) != 1:
        raise codes.GiveUp("usage: vq-newmrh")
    try:
        compiled.compile_more_hosts()
    except OSError as error:
        what = "read %s" % compiled.MORE.decode() if error.filename == compiled.MORE else (
            "make %s" % compiled.MORE_CDB.decode())
        raise codes.TryLater("cannot %s: %s (%s)" % (what, error.strerror, KEPT)) from None
    return codes.OK
