"""What is new in todo/ (S4)."""

from _collections import deque              # collections itself costs a cold start 3 ms

from vqmail.dispatch.message import Message
from vqmail.store import queue


class Arrivals:
    """The messages in todo/ that were not looked into yet, in the order in which they were seen.

    Each gets a Message in `messages`, which also has those that are further on.
    """

    def __init__(self, messages: "dict[int, Message]") -> None:
        self._messages = messages
        self._names: set[bytes] = set()         # in todo/ at the last look; what is in work need not be looked at again
        self._new: deque[int] = deque()

    def look(self) -> None:
        """Look what is there."""
        there = set(queue.waiting())
        for name in there - self._names:
            if name.isdigit():
                known = self._messages.get(int(name))
                if known is None:
                    self.add(int(name))
                elif known.gone:                # its number was given to a new message already
                    known.reborn = True
        self._names = there

    def add(self, number: int) -> None:
        """There is a message under `number`."""
        self._messages[number] = Message(number, 0, None)
        self._new.append(number)

    def any(self) -> bool:
        """Whether one waits."""
        return bool(self._new)

    def take(self) -> Message:
        """The one that came first."""
        return self._messages[self._new.popleft()]

    def gone(self, number: int) -> None:
        """todo/`number` was removed: if it is there again, it is another message."""
        self._names.discard(b"%d" % number)

    def put_back(self, number: int) -> None:
        """Nothing could be made of todo/`number`: the next look is to find it again."""
        del self._messages[number]
        self._names.discard(b"%d" % number)
