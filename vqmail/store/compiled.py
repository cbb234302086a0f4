"""What is compiled of texts that concern the whole installation: users/cdb, control/morercpthosts.cdb.

The functions return what deserves a warning, b"" mostly; ValueError, with line number and remedy, if a line is broken;
the compiled file stays what it was then, and also at any OSError.
"""

from vqmail import vqhome
from vqmail.formats import assign, controlfile
from vqmail.store import cdb
from vqmail.unix import calls, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

ASSIGN = vqhome.path(b"users/assign")
USERS = vqhome.path(b"users/cdb")
MORE = vqhome.path(b"control/morercpthosts")
MORE_CDB = MORE + b".cdb"
READING = calls.O_RDONLY | calls.O_CLOEXEC | calls.O_NONBLOCK        # a FIFO must not hold us


def compile_assign() -> bytes:
    """Compile users/assign into users/cdb."""
    number = calls.open(ASSIGN, READING)
    try:
        lines = fd.lines(number)
        cdb.make(USERS, assign.records(lines), 0o644)
        return _behind_the_dot(lines)
    finally:
        calls.close(number)


def compile_more_hosts() -> None:
    """Compile control/morercpthosts into control/morercpthosts.cdb."""
    number = calls.open(MORE, READING)
    try:
        cdb.make(MORE_CDB, _hosts(number), 0o644)
    finally:
        calls.close(number)


def _behind_the_dot(lines: "Iterator[bytes]") -> bytes:
    """What stands behind the line with the dot does not count; the first line there that looks as if it should."""
    for line in lines:
        if line[:1] in assign.KINDS and line.count(b":") > 5:
            return b"`%s` stands behind the line with the dot and does not count; move it up" % line
    return b""


def _hosts(number: int) -> "Iterator[tuple[bytes, bytes]]":
    for line in fd.lines(number):
        for each in controlfile.entries(line):
            yield each.lower(), b""
