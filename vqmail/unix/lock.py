"""Locks that go away with their holder."""

import fcntl
import select
import time

from vqmail.unix import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SHORTEST, LONGEST = 0.0005, 0.02        # seconds between two attempts: most who hold a lock do so for less than a ms


def hold(path: bytes, mode: int = 0o600) -> int:
    """Take the lock on the file `path`, now, for as long as the returned descriptor is open.

    BlockingIOError if somebody else has it.
    """
    number = calls.open(path, calls.O_WRONLY | calls.O_CREAT | calls.O_CLOEXEC, mode)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        calls.close(number)
        raise
    return number


def take_within(number: int, seconds: float, take: "Callable[[int, int], object]" = fcntl.flock) -> None:
    """Take the lock on an open file; TimeoutError if somebody else holds it for `seconds`."""
    deadline = time.monotonic() + seconds
    pause = SHORTEST
    while True:
        try:
            take(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):          # of lockf() both mean that
            if time.monotonic() >= deadline:
                raise TimeoutError("locked for %d seconds" % seconds) from None
            select.select([], [], [], pause)
            pause = min(2 * pause, LONGEST)
        else:
            return


def take_record_within(number: int, seconds: float) -> None:
    """The same with the kind of lock that fcntl(2) makes, for files that other programs lock so.

    It belongs to the process: two of its threads do not keep each other out.
    """
    take_within(number, seconds, fcntl.lockf)
