"""The queue service: takes messages from any process of this machine and puts many of them on the disk at once.

While one batch is being synced the next one gathers in the kernel's buffers; a few processes take turns, so
the disk always has work.  A caller is who the kernel says: its uid stands in the message's first line.
"""

import _signal
import time

from vqmail import codes
from vqmail.formats import envelope, queuejob
from vqmail.store import queue, roles, submit
from vqmail.unix import calls, durable, limits, log, loop, priv, sockets
from vqmail.warm import door

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

PROCESSES = 4
CLIENTS = 200                   # messages being received at once by one process
FILES, SPARE = 5, 30            # descriptors of a client: call, pipes, message and envelope; and those of nobody
LIFETIME = 86_400               # seconds a message may take to arrive, as qmail-queue's alarm


def serve(listener: "socket", number: int, alive: int) -> int:
    """Take messages until TERM, or until the other end of the pipe `alive` is closed.  `number` tells the processes of
    the service apart."""
    most = limits.clients(CLIENTS, FILES, SPARE)
    # ---- root above, the queue's owner below ----
    priv.drop_to(*roles.ids(roles.QUEUE))
    calls.umask(0o033)
    calls.chdir(queue.QUEUE)
    Service(listener, number, alive, most).run()
    return codes.OK


class Service:
    """All the messages that are arriving, and those that are ready to be committed."""

    def __init__(self, listener: "socket", number: int, alive: int, most: int = CLIENTS) -> None:
        self._most = most
        self._loop = loop.Loop()
        self._clients: set[_Client] = set()
        self._ready: list[_Client] = []
        self._file_system = durable.FileSystem(queue.QUEUE)
        self._alias = roles.ids(roles.ALIAS)[0]
        self._send = roles.ids(roles.SEND)[0]
        self._daemon = roles.ids(roles.DAEMON)[0]
        self._qp = number * 1_000_000 + calls.getpid()
        self._door = door.Door(self._loop, listener, alive, self._enter)
        self._loop.watch_signal(_signal.SIGTERM, self._door.close)

    def run(self) -> None:
        """Until TERM, and then until the messages that have begun to arrive are committed or given up."""
        while self._clients or self._door.open:
            self._loop.turn(60)
            while self._ready:
                batch, self._ready = self._ready, []
                self._commit(batch)
            self._expire()

    def entry(self, uid: int) -> queue.Entry:
        """A new message from `uid`."""
        self._qp += 1
        how = {self._alias: b"by alias", self._daemon: b"from network", self._send: b"for bounce"}.get(
            uid, b"by uid %d" % uid)
        return queue.Entry(uid, how, self._qp, time.time())

    def ready(self, client: "_Client") -> None:
        """This client's message is complete."""
        self._ready.append(client)

    def gone(self, client: "_Client") -> None:
        """This client is finished with."""
        self._clients.discard(client)
        self._door.room()

    def _enter(self, sock: "socket", uid: int) -> bool:
        self._clients.add(_Client(self, self._loop, sock, uid))
        return len(self._clients) < self._most

    def _commit(self, batch: "list[_Client]") -> None:
        owners = {id(each.entry): each for each in batch}
        entries = [each.entry for each in batch if each.entry is not None]
        for entry, refused in queue.commit(entries, self._file_system):
            if refused is not None:
                log.line(b"vq-queue", str(refused))
            owners[id(entry)].answer(codes.OK if refused is None else refused.code)

    def _expire(self) -> None:
        oldest = time.monotonic() - LIFETIME
        for client in [each for each in self._clients if each.since < oldest]:
            client.fail(codes.QUEUE_TIMEOUT)


class _Client:
    """One caller, and the message that comes from it."""

    def __init__(self, service: Service, watcher: loop.Loop, sock: "socket", uid: int) -> None:
        self.since = time.monotonic()
        self.entry: queue.Entry | None = None
        self._service = service
        self._loop = watcher
        self._socket = sock
        self._uid = uid
        self._pipes: list[int] = []
        self._envelope = envelope.Collector()
        watcher.watch(sock.fileno(), self._begin)

    def answer(self, code: int) -> None:
        """Tell the caller, and be done with it."""
        qp = self.entry.qp if self.entry is not None else 0
        self.entry = None
        try:
            sockets.send(self._socket, queuejob.encode_answer(code, qp))
        except OSError:                         # it did not wait: the message may come a second time
            log.line(b"vq-queue", "uid %d did not wait for the answer %d to qp %d" % (self._uid, code, qp))
        for each in self._pipes:
            self._loop.forget(each)
            calls.close(each)
        self._loop.forget(self._socket.fileno())
        self._socket.close()
        self._service.gone(self)

    def fail(self, code: int) -> None:
        """Nothing of this message is kept."""
        if self.entry is not None:
            self.entry.abandon()
        self.answer(code)

    def _begin(self) -> None:
        try:
            packet, self._pipes = sockets.receive(self._socket)
        except (OSError, ValueError):
            packet = b""
        try:
            if packet == queuejob.PIPES and len(self._pipes) == 2:
                self.entry = self._service.entry(self._uid)
                self._loop.forget(self._socket.fileno())
                self._watch(self._pipes[0], self._read_message)
            elif packet:
                message, text = queuejob.decode(packet)
                self.entry = self._service.entry(self._uid)
                self.entry.write(message)
                self._finish(text)
            else:
                self.fail(codes.QUEUE_READ_ERROR)
        except queue.Refused as refused:
            self._refuse(refused)
        except ValueError:
            self.fail(codes.QUEUE_ENVELOPE_FORMAT)

    def _watch(self, pipe: int, handler: "object") -> None:
        try:
            self._loop.watch(pipe, handler)  # type: ignore[arg-type]
        except PermissionError:                 # a plain file: always ready
            while pipe in self._pipes and not handler():  # type: ignore[operator]
                pass

    def _read_message(self) -> bool:
        """Take a piece; whether that was the end of it."""
        try:
            data = calls.read(self._pipes[0], queue.PIECE)
            assert self.entry is not None
            if data:
                self.entry.write(data)
                return False
        except queue.Refused as refused:
            self._refuse(refused)
            return True
        except OSError:
            self.fail(codes.QUEUE_READ_ERROR)
            return True
        self._loop.forget(self._pipes[0])
        self._watch(self._pipes[1], self._read_envelope)
        return True

    def _read_envelope(self) -> bool:
        try:
            data = calls.read(self._pipes[1], queue.PIECE)
            if data and not self._envelope.feed(data):
                return False
        except envelope.TooLong:
            self.fail(codes.QUEUE_ADDRESS_TOO_LONG)
            return True
        except OSError:
            self.fail(codes.QUEUE_READ_ERROR)
            return True
        self._loop.forget(self._pipes[1])
        self._finish(self._envelope.text())
        return True

    def _finish(self, text: bytes) -> None:
        assert self.entry is not None
        try:
            self.entry.envelope(*envelope.decode(text))
        except envelope.TooLong:
            self.fail(codes.QUEUE_ADDRESS_TOO_LONG)
        except envelope.Unfinished:
            self.fail(codes.QUEUE_READ_ERROR)
        except ValueError:
            self.fail(codes.QUEUE_ENVELOPE_FORMAT)
        except queue.Refused as refused:
            self._refuse(refused)
        else:
            self._service.ready(self)

    def _refuse(self, refused: queue.Refused) -> None:
        log.line(b"vq-queue", str(refused))
        self.fail(refused.code)


def listen() -> "socket":
    """The socket of this service, open to everybody."""
    return sockets.listen(submit.SOCKET, 0o666)


