"""Is the code on disk newer than the code in memory?  Then a warm process ends, and its supervisor starts it afresh."""

import time

from vqmail import vqhome
from vqmail.unix import calls

EVERY = 1.0                     # seconds between two looks


class Watch:
    """Remembers the library as it was when this process began."""

    def __init__(self) -> None:
        self._began = _identity()
        self._look_at = 0.0

    def changed(self) -> bool:
        """Whether setup has put another library in place since.  Ask as often as you like."""
        now = time.monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + EVERY
        found = _identity()
        return found is not None and found != self._began


def _identity() -> "tuple[int, int] | None":
    """What tells the library from another one; None while it is just being replaced."""
    try:
        # setup renames a whole new directory into place: a new inode
        found = calls.stat(vqhome.__file__.encode().rpartition(b"/")[0])
    except OSError:
        return None
    return found.st_dev, found.st_ino
