"""Whether the clock can be believed: time that has passed, against what the clock says has passed.

A clock that jumps ahead makes every message look too old; one that is set back leaves what is due waiting until it has
caught up.  While vq-send runs time.monotonic tells.  From one life to the next it is the time of queue/lock/sendmutex,
which vq-send sets now and then: a machine that was off for days looks the same, and is treated the same.
"""

from vqmail.unix import calls

JUMP = 3600                     # seconds; less does no harm


class Clock:
    """Knows when it was looked at last, by both, and writes the time down as that of the file `path`."""

    def __init__(self, path: bytes, monotonic: float) -> None:
        self._path = path
        self._wall = calls.stat(path).st_mtime
        self._monotonic = monotonic

    def moved(self, wall: float, monotonic: float) -> "tuple[int, int] | None":
        """(what the clock should say, what it says), None if that is nearly the same.  To be asked often: each time
        it counts from the last."""
        expected = self._wall + monotonic - self._monotonic
        self._wall, self._monotonic = wall, monotonic
        return (int(expected), int(wall)) if abs(wall - expected) > JUMP else None

    def note(self) -> None:
        """Write down that vq-send is alive now.  OSError."""
        calls.utime(self._path, (self._wall, self._wall))
