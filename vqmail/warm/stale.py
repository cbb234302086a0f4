"""Is the code on disk newer than the code in memory?  Then a warm process ends, and its supervisor starts it afresh."""

from vqmail import vqhome
from vqmail.unix import calls


class Watch:
    """Remembers the library as it was when this process began."""

    def __init__(self) -> None:
        self._began = _identity()

    def changed(self) -> bool:
        """Whether setup has put another library in place since."""
        return _identity() != self._began


def _identity() -> "tuple[int, int] | None":
    try:
        # setup renames a whole new directory into place: a new inode
        found = calls.stat(vqhome.__file__.encode().rpartition(b"/")[0])
    except OSError:                             # just being replaced
        return None
    return found.st_dev, found.st_ino
