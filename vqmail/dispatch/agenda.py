"""When what is to be tried: messages by channel, and steps that failed for want of a disk."""

import heapq

from vqmail.formats import retry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Agenda:
    """Times with what is due at them.  Knows numbers of messages, not whether they are still there."""

    def __init__(self) -> None:
        self._due: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
        self._later: list[tuple[int, int, Callable[[], None]]] = []     # when, a serial number, what
        self._serial = 0
        self._now = 0

    def put(self, channel: int, when: int, number: int) -> None:
        """Message `number` is to be tried at `when`."""
        heapq.heappush(self._due[channel], (when, number))

    def take(self, channel: int, now: int) -> "int | None":
        """The message that is due first, None if none is due yet."""
        due = self._due[channel]
        return heapq.heappop(due)[1] if due and due[0][0] <= now else None

    def all_at(self, channel: int, now: int) -> None:
        """All messages are due now."""
        self._due[channel][:] = [(now, number) for _, number in self._due[channel]]

    def none_after(self, when: int, now: int) -> None:
        """The clock was set back to `now`: all that is due later than `when` is due then, and trouble is over soon."""
        for due in self._due:
            due[:] = [(min(each, when), number) for each, number in due]
            heapq.heapify(due)
        self._later = [(min(each, now + retry.TROUBLE), serial, what) for each, serial, what in self._later]
        heapq.heapify(self._later)

    def in_a_while(self, what: "Callable[[], None]") -> None:
        """There was trouble: try `what` again when that may be over."""
        self._serial += 1
        heapq.heappush(self._later, (self._now + retry.TROUBLE, self._serial, what))

    def catch_up(self, now: int) -> None:
        """It is `now`: do what in_a_while() was told, as far as its time has come."""
        self._now = now
        while self._later and self._later[0][0] <= now:
            heapq.heappop(self._later)[2]()

    def next(self, channels: "list[int]") -> "int | None":
        """When something is due next on one of `channels`; None: never."""
        times = [self._due[each][0][0] for each in channels if self._due[each]]
        times += [self._later[0][0]] if self._later else []
        return min(times, default=None)
