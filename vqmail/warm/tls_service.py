"""The TLS service: speaks TLS with clients, for programs that are not to know the key.

This process, root, loads the certificates and watches the files.  It reads nothing from anybody; what talks to clients
are workers (tls_worker.py), forked from it so that all of them take the tickets of each other's clients, which cannot
read the files themselves.  When a certificate is renewed there are new workers; the old ones finish what they carry.
"""

import _signal
import time

from vqmail import codes
from vqmail.store import certificates, roles, secure
from vqmail.unix import calls, child, fd, limits, log, loop, priv, sockets
from vqmail.warm import pool, tls_worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

WORKERS = 2                     # of the certificates that are in use
EVERY = 2.0                     # seconds between two looks at the files
MOMENT = 1.0                    # seconds in which a program that calls says what it wants
TO_DO = ("no certificate, so no TLS is offered; put certificate, chain and key into %s, for root alone (mode 400), "
         "and it begins" % certificates.DEFAULT.decode("utf-8", "replace"))


def listen() -> "socket":
    """The socket of this service; who may use it is decided by who he is."""
    return sockets.listen(secure.SOCKET, 0o666)


def serve(listener: "socket", number: int, alive: int) -> int:
    """Serve until TERM, or until the other end of the pipe `alive` is closed."""
    files = limits.raise_files()
    limits.no_core()                            # it would hold the keys
    Service(listener, alive, files).run()
    return codes.OK


class Service:
    """The certificates, and the workers that have them."""

    def __init__(self, listener: "socket", alive: int, files: int) -> None:
        self._loop = loop.Loop()
        self._listener = listener
        self._alive = alive
        self._files = files
        self._certificates = certificates.Certificates()
        self._callers = frozenset((calls.getuid(), roles.ids(roles.DAEMON)[0]))
        self._role = roles.ids(roles.TLS)
        self._gate = (-1, -1)                   # a pipe: when its far end is closed, its workers take nobody else
        self._gate_before = (-1, -1)
        self._workers: dict[int, tuple[int, float]] = {}    # pid -> the gate it has, since when
        self._idle = False
        self._leaving = False

    def run(self) -> None:
        """Until TERM; the workers finish what they carry alone."""
        self._loop.watch(self._alive, self._leave)
        self._loop.watch_signal(_signal.SIGTERM, self._leave)
        self._loop.watch_signal(_signal.SIGCHLD, self._reap)
        while not self._leaving:
            self._look()
            self._loop.turn(EVERY)

    def _leave(self) -> None:
        self._leaving = True

    def _look(self) -> None:
        changed, lines = self._certificates.renew()
        for each in lines:
            log.line(b"tls", each)
        if self._certificates.default() is None:
            if not self._idle:
                self._idle = True
                log.line(b"tls", TO_DO)
                self._close_gate()
                self._loop.watch(self._listener.fileno(), self._refuse)
            return
        if self._idle:
            self._idle = False
            self._loop.forget(self._listener.fileno())
        if changed or self._gate[1] < 0:
            self._gate_before, self._gate = self._gate, calls.pipe2(calls.O_CLOEXEC)
            self._fill()
            _close(self._gate_before)
            self._gate_before = (-1, -1)
        else:
            self._fill()

    def _fill(self) -> None:
        """Have as many workers as there should be; one that has just begun and is gone is not replaced at once."""
        now = time.monotonic()
        for _ in range(WORKERS - sum(gate == self._gate[1] for gate, _ in self._workers.values())):
            try:
                pid = calls.fork()
            except OSError as error:
                log.line(b"tls", "cannot fork: %s; see ulimit -u" % error.strerror)
                return
            if pid == 0:
                pool.live(b"tls", self._become)
            self._workers[pid] = self._gate[1], now

    def _become(self) -> None:
        """The child's side."""
        self._loop.close()
        calls.close(self._alive)
        calls.close(self._gate[1])
        _close(self._gate_before)               # or those who have it would never see its end
        # ---- root above, the TLS user below ----
        priv.drop_to(*self._role)
        calls.chdir(b"/")
        tls_worker.Worker(self._listener, self._gate[0], self._certificates, self._callers, self._files).run()
        calls._exit(codes.OK)

    def _reap(self) -> None:
        again = True
        while self._workers:
            pid, status = calls.waitpid(-1, calls.WNOHANG)
            if pid == 0:
                break
            _, since = self._workers.pop(pid, (0, 0.0))
            code = child.code_of(status)
            if code != codes.OK:
                log.line(b"tls", "worker %d ended with %d; its connections are lost" % (pid, code))
                again = again and time.monotonic() > since + EVERY
        if again and self._gate[1] >= 0 and not self._leaving:
            self._fill()

    def _refuse(self) -> None:
        """There is no certificate: say so at once to whoever asks all the same."""
        while True:
            try:
                sock = sockets.accept(self._listener)
            except OSError:
                return
            try:
                if sockets.peer(sock)[1] in self._callers:
                    sock.settimeout(MOMENT)     # what was not read would take our answer with it
                    fd.close_all(sockets.receive(sock)[1])
                    sockets.send(sock, b"-there is no certificate")
            except (OSError, ValueError):       # he did not wait
                pass
            sock.close()

    def _close_gate(self) -> None:
        _close(self._gate)
        self._gate = (-1, -1)


def _close(gate: "tuple[int, int]") -> None:
    for each in gate:
        if each >= 0:
            calls.close(each)
