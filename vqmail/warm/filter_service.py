"""The virtmailfilter service: looks up a virtual user and has the message delivered under that user's uid.

It is asked by the owner of a domain, whose vq-local ran `| virtmailfilter`.  It serves a caller only for the
domains whose owner the caller is, as the kernel knows him; it never opens the message.

vq-smtpd asks it, too, whether a message fits into a mailbox; a process of that user looks.
"""

import _signal

from vqmail import codes
from vqmail.formats import job
from vqmail.store import desk, quotaquestion
from vqmail.unix import calls, limits, log, loop, sockets
from vqmail.warm import door, pool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

    from vqmail.unix.chain import Env

WORKERS = 500                   # processes kept for virtual users
CLIENTS = 1000
FILES, SPARE = 5, 30            # descriptors of a client that waits for a worker; and those of nobody
TARGETS = b"0,1,2"


def listen() -> "socket":
    """The socket of this service; who may do what is decided by who he is."""
    return sockets.listen(desk.SOCKET, 0o666)


def serve(listener: "socket", number: int, alive: int) -> int:
    """Serve until TERM, or until the other end of the pipe `alive` is closed."""
    workers = min(WORKERS, limits.raise_files() // 4)
    service = Service(listener, alive, workers, limits.clients(CLIENTS, FILES, SPARE + workers))
    while service.turn():
        pass
    return codes.OK


class Service:
    """The callers that wait for a delivery."""

    def __init__(self, listener: "socket", alive: int, workers: int = WORKERS, most: int = CLIENTS) -> None:
        self._most = most
        self._loop = loop.Loop()
        self._pool = pool.Pool(self._loop, workers)
        self._desk = desk.Desk()
        self._clients = 0
        self._door = door.Door(self._loop, listener, alive, self._enter)
        self._loop.watch_signal(_signal.SIGTERM, self._door.close)

    def turn(self) -> bool:
        """One look around; whether there is more to come: not after TERM, once all deliveries have ended."""
        self._loop.turn(None)
        return bool(self._clients) or self._door.open

    def _enter(self, sock: "socket", uid: int) -> bool:
        self._clients += 1
        self._loop.watch(sock.fileno(), lambda: self._begin(sock, uid))
        return self._clients < self._most

    def _begin(self, sock: "socket", uid: int) -> None:
        self._loop.forget(sock.fileno())
        descriptors: list[int] = []
        try:
            packet, descriptors = sockets.receive(sock)
            argv, env, targets = job.decode(packet)
            if argv[0] == quotaquestion.ARGUMENT and not descriptors:
                self._look(sock, uid, argv)
                return
            if b",".join(targets) != TARGETS or len(descriptors) != 3:
                raise ValueError("three descriptors belong to a delivery")
        except (OSError, ValueError) as error:
            _close(descriptors)
            self._answer(sock, codes.TEMPORARY, b"virtmailfilter service does not understand: %s"
                         % str(error).encode())
            return
        self._deliver(sock, uid, argv, env, descriptors)

    def _deliver(self, sock: "socket", uid: int, argv: "list[bytes]", env: "Env", descriptors: "list[int]") -> None:
        try:
            plan = self._desk.plan(env, uid, argv[1] if len(argv) > 1 else None)
        except codes.Failure as failure:
            _close(descriptors)
            self._answer(sock, failure.code, str(failure).encode("utf-8", "surrogateescape"))
            return
        if not isinstance(plan, desk.Plan):
            _close(descriptors)
            if isinstance(plan, desk.Deleted):
                self._answer(sock, codes.OK, plan.why)
            else:
                self._tell(sock, desk.encode(plan))
            return
        self._run(sock, plan, descriptors, TARGETS + b",")

    def _look(self, sock: "socket", uid: int, argv: "list[bytes]") -> None:
        """Answer whether something fits."""
        try:
            if not quotaquestion.may_ask(uid):
                raise codes.TryLater("uid %d may not ask how full mailboxes are" % uid)
            plan = quotaquestion.plan(argv)
        except codes.Failure as failure:
            self._answer(sock, codes.TEMPORARY, str(failure).encode("utf-8", "surrogateescape"))
            return
        if plan is None:
            self._answer(sock, codes.OK, b"")
            return
        self._run(sock, plan, [], b"")

    def _run(self, sock: "socket", plan: desk.Plan, descriptors: "list[int]", targets: bytes) -> None:
        try:
            directory = calls.open(plan.directory, calls.O_PATH | calls.O_DIRECTORY | calls.O_CLOEXEC)
        except OSError as error:                # it was there a moment ago
            _close(descriptors)
            self._answer(sock, codes.TEMPORARY, b"cannot go to %s: %s" % (plan.directory, str(error.strerror).encode()))
            return
        self._pool.submit((plan.uid, plan.gid), job.encode(plan.argv, plan.env, targets + job.DIRECTORY),
                          [*descriptors, directory], lambda code: self._answer(sock, code, b""))

    def _answer(self, sock: "socket", code: int, text: bytes) -> None:
        if text:
            log.line(b"virtmailfilter", text)
        self._tell(sock, b"%d %s" % (code if code >= 0 else codes.TEMPORARY, text))

    def _tell(self, sock: "socket", answer: bytes) -> None:
        try:
            sockets.send(sock, answer)
        except OSError:                         # the caller did not wait
            log.line(b"virtmailfilter", b"nobody waits for the answer %s" % answer)
        sock.close()
        self._clients -= 1
        self._door.room()


def _close(descriptors: "list[int]") -> None:
    for each in descriptors:
        calls.close(each)
