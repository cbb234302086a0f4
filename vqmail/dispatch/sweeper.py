"""Remove what crashes left in mess/: files that belong to no message (QMAIL interface 3.3).

A writer is dead after 24 hours, so after 36 its file is nobody's.  A clock that jumps must not kill a living one:
the file must also have been nobody's for a day of our own time, which no clock can shorten.
"""

from vqmail.store import queue
from vqmail.unix import calls, fd

OLD = 36 * 3600
WATCHED = 25 * 3600
EVERY = 160                     # seconds between two of the parts of mess/: all of it in an hour


class Sweeper:
    """Goes through mess/, one part at a time."""

    def __init__(self) -> None:
        self._part = 0
        self._suspects: dict[int, float] = {}

    def dead(self, wall: float, monotonic: float) -> "list[int]":
        """The numbers in the next part of mess/ that can go."""
        self._part = (self._part + 1) % queue.SPLIT
        directory = b"%s/%d" % (queue.MESS, self._part)
        found = [int(name) for name in calls.listdir(directory) if name.isdigit()]
        suspects = {number for number in found if self._orphan(number, wall)}
        for number in [each for each in self._suspects if each % queue.SPLIT == self._part and each not in suspects]:
            del self._suspects[number]
        for number in suspects:
            self._suspects.setdefault(number, monotonic)
        return [number for number in suspects if self._suspects[number] <= monotonic - WATCHED]

    def _orphan(self, number: int, wall: float) -> bool:
        try:
            if calls.stat(queue.split(b"mess", number)).st_atime > wall - OLD:
                return False
        except FileNotFoundError:
            return False
        return not fd.is_there(queue.split(b"info", number)) and not fd.is_there(queue.TODO + b"/%d" % number)
