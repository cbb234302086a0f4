"""One process, many descriptors: call back whoever's descriptor is ready, or waits for a signal."""

import _signal
import select

from vqmail.unix import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

READ = select.EPOLLIN
ALONE = select.EPOLLIN | select.EPOLLEXCLUSIVE          # of the processes that wait for the same socket wake one
WRITE = select.EPOLLOUT


class Loop:
    """Handlers by descriptor.  A handler is called with nothing, as long as its descriptor stays ready."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[], object]] = {}
        self._by_signal: dict[int, Callable[[], object]] = {}

    def watch(self, fd: int, handler: "Callable[[], object]", events: int = READ) -> None:
        """Call `handler` whenever `fd` is ready, or its other end is gone.  PermissionError for a plain file:
        that is always ready, just read it."""
        self._epoll.register(fd, events)
        self._handlers[fd] = handler

    def watch_signal(self, number: int, handler: "Callable[[], object]") -> None:
        """Call `handler` when the signal `number` has come: from turn(), not in the middle of something.  Only one loop
        of a process may do so."""
        if not self._by_signal:
            caught, noted = calls.pipe2(calls.O_CLOEXEC | calls.O_NONBLOCK)
            _signal.set_wakeup_fd(noted, warn_on_full_buffer=False)     # the interpreter writes the numbers there
            self.watch(caught, lambda: self._signalled(caught))
        self._by_signal[number] = handler
        _signal.signal(number, lambda _number, _frame: None)

    def _signalled(self, caught: int) -> None:
        for number in set(calls.read(caught, 4096)):
            if number in self._by_signal:
                self._by_signal[number]()

    def change(self, fd: int, events: int) -> None:
        """From now on these events count for `fd`."""
        self._epoll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """Stop watching `fd`, which must still be open."""
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def turn(self, seconds: "float | None") -> bool:
        """Wait, `seconds` at most (None: for ever), and call the handlers; whether there was any to call."""
        ready = self._epoll.poll(seconds)
        for fd, _ in ready:
            handler = self._handlers.get(fd)    # one handler may have made another forget
            if handler is not None:
                handler()
        return bool(ready)

    def close(self) -> None:
        """Let go of everything: for a child that starts a life of its own."""
        self._epoll.close()
        self._handlers.clear()
