"""vq-send's side of a spawner, and of vq-clean (QMAIL interface 5)."""

from vqmail.formats import delivery
from vqmail.unix import calls, loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class _Pipe:
    """Bytes for a peer that may be slow: what it does not take now waits for it."""

    def __init__(self, watcher: loop.Loop, fd: int, lost: "Callable[[], None]") -> None:
        self._loop = watcher
        self._fd = fd
        self._lost = lost
        self._waiting = b""
        calls.set_blocking(fd, False)

    def write(self, data: bytes) -> None:
        if not self._waiting:
            try:
                data = data[calls.write(self._fd, data):]
            except BlockingIOError:
                pass
            except OSError:
                self._lost()
                return
            if data:
                self._loop.watch(self._fd, self._flush, loop.WRITE)
        self._waiting += data

    def _flush(self) -> None:
        try:
            self._waiting = self._waiting[calls.write(self._fd, self._waiting):]
        except BlockingIOError:
            return
        except OSError:
            self._waiting = b""
            self._loop.forget(self._fd)
            self._lost()
            return
        if not self._waiting:
            self._loop.forget(self._fd)


class Spawner:
    """One of vq-lspawn and vq-rspawn: its deliveries by slot, each with the function that wants its report."""

    def __init__(self, watcher: loop.Loop, to: int, back: int, limit: int, lost: "Callable[[], None]") -> None:
        greeting = calls.read(back, 1)
        if not greeting:
            raise OSError("the spawner says nothing")
        self.limit = min(limit, greeting[0])
        self.running = 0
        self.alive = True
        self._loop = watcher
        self._back = back
        self._lost = lost
        self._pipe = _Pipe(watcher, to, self._die)
        self._reports = delivery.Reports()
        self._slots: dict[int, Callable[[bytes], None]] = {}
        self._free = list(range(self.limit))[::-1]
        watcher.watch(back, self._read)

    def free(self) -> bool:
        """Whether one more delivery may start."""
        return bool(self._free) and self.alive

    def start(self, message: bytes, sender: bytes, recipient: bytes, done: "Callable[[bytes], None]") -> None:
        """Start a delivery; `done` gets letter and text."""
        slot = self._free.pop()
        self._slots[slot] = done
        self.running += 1
        self._pipe.write(delivery.command(slot, message, sender, recipient))

    def _read(self) -> None:
        try:
            data = calls.read(self._back, 65536)
        except OSError:
            data = b""
        if not data:
            self._die()
            return
        for slot, text in self._reports.feed(data):
            done = self._slots.pop(slot, None)
            if done is None:                    # a report for nothing we asked for
                continue
            self._free.append(slot)
            self.running -= 1
            done(text)

    def _die(self) -> None:
        if self.alive:
            self.alive = False
            self._loop.forget(self._back)
            self.running = 0                    # their reports will never come; the messages stay in the queue
            self._slots.clear()
            self._lost()


class Cleaner:
    """vq-clean: requests are answered in their order, one byte each."""

    def __init__(self, watcher: loop.Loop, to: int, back: int, lost: "Callable[[], None]") -> None:
        self._loop = watcher
        self._back = back
        self._lost = lost
        self.alive = True
        self._pipe = _Pipe(watcher, to, self._die)
        self._wanted: list[Callable[[bool], None]] = []
        watcher.watch(back, self._read)

    def ask(self, request: bytes, done: "Callable[[bool], None]") -> None:
        """Have `request`, such as todo/12, done; `done` learns whether it was."""
        self._wanted.append(done)
        self._pipe.write(request + b"\0")

    def idle(self) -> bool:
        """Whether nothing is being waited for."""
        return not self._wanted or not self.alive

    def _read(self) -> None:
        try:
            data = calls.read(self._back, 4096)
        except OSError:
            data = b""
        if not data:
            self._die()
            return
        answered, self._wanted = self._wanted[:len(data)], self._wanted[len(data):]
        for done, answer in zip(answered, data, strict=False):
            done(answer == ord("+"))

    def _die(self) -> None:
        if self.alive:
            self.alive = False
            self._loop.forget(self._back)
            self._lost()
