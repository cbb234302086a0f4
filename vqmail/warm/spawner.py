"""What vq-lspawn and vq-rspawn have in common: the channel to vq-send, and what deliveries say (QMAIL 5.1)."""

import stat
import time

from vqmail import codes
from vqmail.formats import delivery
from vqmail.store import roles
from vqmail.unix import calls, fd, loop
from vqmail.warm import pool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

ID_LIMIT = 100                  # bytes of a message's name, its NUL among them
IDLE = 60.0                     # seconds after which a process without work goes


class Spawner:
    """The deliveries that are running, by number.  A subclass says in start() what a delivery is."""

    def __init__(self, limit: int, serve: "Callable[[socket], None] | None" = None) -> None:
        self.loop = loop.Loop()
        self.pool = pool.Pool(self.loop, limit) if serve is None else pool.Pool(self.loop, limit, serve, ours=True)
        self._queue_uid = roles.ids(roles.QUEUE)[0]
        self._commands = delivery.Commands()
        self._running: set[int] = set()
        self._reports: list[bytes] = []
        self._open = True
        self._trim_at = 0.0

    def run(self) -> int:
        """Serve descriptor 0 until its end, then finish what runs."""
        fd.write_all(1, b"%c" % delivery.SPAWN)
        self.loop.watch(0, self._receive)
        while self._open or self._running:
            self.loop.turn(IDLE)
            self._rest(time.monotonic())
            if self._reports:
                reports, self._reports = self._reports, []
                try:
                    fd.write_all(1, b"".join(reports))
                except OSError:                 # vq-send is gone; what was started is still delivered
                    continue
        return codes.OK

    def start(self, slot: int, file: int, sender: bytes, recipient: bytes) -> bytes:
        """Start a delivery of the message on descriptor `file`, and say done() with `slot` when it has ended.

        Returns b"" when it runs, and then `file` is the delivery's; otherwise the report there and then.  OSError if
        it cannot be started for now, `file` being ours.
        """
        raise NotImplementedError

    def done(self, slot: int, report: bytes) -> None:
        """A delivery has ended."""
        self._running.discard(slot)
        self._reports.append(delivery.report(slot, report))

    def _rest(self, now: float) -> None:
        """Now and then, let go of the processes that have nothing to do."""
        if now >= self._trim_at:
            self._trim_at = now + IDLE
            self.pool.trim(0, now - IDLE)

    def _receive(self) -> None:
        data = calls.read(0, 65536)
        if not data:
            self._open = False
            self.loop.forget(0)
            return
        for slot, message, sender, recipient in self._commands.feed(data):
            text = self._begin(slot, message, sender, recipient)
            if text:
                self._reports.append(delivery.report(slot, text))

    def _begin(self, slot: int, message: bytes, sender: bytes, recipient: bytes) -> bytes:
        if slot >= delivery.SPAWN or slot in self._running:
            return b"ZInternal error: delnum too big. (#4.3.5)\n" if slot >= delivery.SPAWN else (
                b"ZInternal error: delnum in use. (#4.3.5)\n")
        if not message or len(message) >= ID_LIMIT or message[:1] == b"/" or message.strip(b"0123456789/"):
            return b"DInternal error: messid has nonnumerics. (#5.3.5)\n"
        if max(len(sender), len(recipient)) > delivery.ADDRESS_LIMIT:
            return b"DSorry, that address is too long. (#5.1.3)\n"
        if b"@" not in recipient:
            return b"DSorry, address must include host name. (#5.1.3)\n"
        try:
            file = calls.open(message, calls.O_RDONLY | calls.O_CLOEXEC | calls.O_NONBLOCK | calls.O_NOFOLLOW)
        except OSError as error:
            return b"ZUnable to open message: %s. (#4.3.0)\n" % str(error.strerror).encode()
        found = calls.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != self._queue_uid:
            calls.close(file)
            return b"ZSorry, message has wrong owner. (#4.3.5)\n"
        self._running.add(slot)
        try:
            text = self.start(slot, file, sender, recipient)
        except OSError as error:                # no descriptor to be had: others will be done soon
            text = b"ZUnable to start a delivery: %s. (#4.3.0)\n" % str(error.strerror).encode()
        if text:
            calls.close(file)
            self._running.discard(slot)
        return text


class Output:
    """What one delivery says: read while it runs, so that it never waits for us, and kept up to a limit.

    `writers` are the descriptors, as many as it is told, that the delivery gets.  OSError if there are none to be had.
    """

    def __init__(self, watcher: loop.Loop, limit: int, writers: int = 1) -> None:
        self._loop = watcher
        self._limit = limit
        self._reader, writer = calls.pipe2(calls.O_CLOEXEC)
        self.writers = [writer]
        try:
            while len(self.writers) < writers:
                self.writers.append(calls.dup(writer))
        except OSError:
            for each in (self._reader, *self.writers):
                calls.close(each)
            raise
        calls.set_blocking(self._reader, False)         # only our end of it
        self._text = b""
        watcher.watch(self._reader, self._read)

    def _read(self) -> bool:
        try:
            data = calls.read(self._reader, 65536)
        except BlockingIOError:
            return False
        if len(self._text) <= self._limit:
            self._text += data
        if not data:
            self._loop.forget(self._reader)
        return bool(data)

    def close(self) -> bytes:
        """What was said up to now; a program left in the background does not hold up the report."""
        while self._read():
            pass
        self._loop.forget(self._reader)
        calls.close(self._reader)
        return self._text
