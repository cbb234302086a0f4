"""The texts that people edit for a domain, etc/passwd and etc/options: read whole, or not at all.

What is compiled of them remembers which texts it was made of: inode, size, time of each.
"""

import stat
import time

from vqmail.formats import options
from vqmail.unix import calls, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from posix import stat_result

LIMIT = 256 << 20
# a FIFO must not hold us; nor may an owner's link have root read, and quote in a complaint, what is not for the owner
READING = calls.O_RDONLY | calls.O_CLOEXEC | calls.O_NONBLOCK | calls.O_NOFOLLOW
TICK = 20_000_000               # nanoseconds; two changes of a file within that may bear the same time


def lines(number: int) -> "Iterator[bytes]":
    """The lines of a text.  ValueError if it cannot be whole: somebody is writing it just now."""
    found = calls.fstat(number)
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not a file")
    if found.st_size == 0:
        raise ValueError("it is empty; is somebody writing it? one without entries has a line with just a # there")
    if found.st_size > LIMIT:
        raise ValueError("it has more than %d bytes" % LIMIT)
    if calls.pread(number, 1, found.st_size - 1) != b"\n":
        raise ValueError("its last line has no end; is somebody writing it? add a newline")
    return fd.lines(number)


def at_rest(number: int) -> "stat_result":
    """What fstat says, once the next change of the file is sure to bear another time."""
    while True:
        found = calls.fstat(number)
        age = time.time_ns() - found.st_mtime_ns
        if not 0 <= age < TICK:
            return found
        time.sleep((TICK - age) / 1e9)


def mark(*found: "stat_result | None") -> bytes:
    """What tells texts from others; None for one that is not there."""
    # no device number: after a restart that is another one on many a file system
    return b" ".join(b"%d %d %d" % (each.st_ino, each.st_size, each.st_mtime_ns) for each in found if each is not None)


def stat_options(path: bytes) -> "stat_result | None":
    """What stat says of the options at `path`; None if the domain has none."""
    try:
        return calls.stat(path)
    except FileNotFoundError:
        return None


def read_options(path: bytes) -> "dict[bytes, dict[bytes, bytes]]":
    """The options at `path`, none if it is not there.  ValueError if a line is broken."""
    try:
        number = calls.open(path, READING)
    except FileNotFoundError:
        return {}
    try:
        return options.parse(lines(number))
    finally:
        calls.close(number)
