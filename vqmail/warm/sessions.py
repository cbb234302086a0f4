"""Many SMTP sessions in one process: what vq-smtpd does for one client, for all that are connected.

The same conversation as in prog/smtpd.py, driven by readiness instead of by waiting: an idle client costs some
kilobytes, and the code stays in the processor's cache.  A session whose messages go through QMAILQUEUE gets a process
of its own, for that program takes its time.
"""

import _socket
import time

from vqmail import codes
from vqmail.incoming import settings
from vqmail.prog import smtpd
from vqmail.proto import reply
from vqmail.store import current, resolver
from vqmail.unix import calls, child, limits, log, loop, sockets
from vqmail.warm import connection, handshake, session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

    from vqmail.unix.chain import Env

EVERY = 5.0                     # seconds between two looks at who is silent for too long


class Sessions:
    """All sessions of this process.  `inbox` brings connections and takes exit codes (crew.py)."""

    def __init__(self, inbox: "socket", connections: connection.Connections) -> None:
        self.loop = loop.Loop()
        self._inbox = inbox
        self._connections = connections
        self._resolver = resolver.Resolver()
        self._settings = current.Current(lambda: settings.Settings(self._resolver), settings.FILES)
        self._sessions: dict[int, session.Session | handshake.Handshake] = {}
        self._apart: dict[int, int] = {}        # pid of a session's own process -> number
        self._answers: list[bytes] = []
        self._due: list[tuple[float, session.Session | handshake.Handshake]] = []
        self._open = True
        self._look_at = 0.0

    def run(self) -> None:
        """Serve until the inbox is closed and the last session is over."""
        self.loop.watch(self._inbox.fileno(), self._receive)
        while self._open or self._sessions or self._apart:
            now = time.monotonic()
            soon = min((when - now for when, _ in self._due), default=EVERY)
            self.loop.turn(max(0.0, min(soon, 0.2 if self._apart else EVERY)))
            self._look(time.monotonic())
            answers, self._answers = self._answers, []
            if answers and self._open:
                sockets.send(self._inbox, b"".join(answers))

    def later(self, when: float, one: "session.Session | handshake.Handshake") -> None:
        """Let `one` go on at that time."""
        self._due.append((when, one))

    def over(self, number: int, code: int) -> None:
        """The session `number` is over."""
        self._sessions.pop(number, None)
        self._answers.append(b"%d %d\n" % (number, code))

    def _receive(self) -> None:
        packet, descriptors = sockets.receive(self._inbox)
        if not packet:
            self._open = False
            self.loop.forget(self._inbox.fileno())
            return
        text, _, remote = packet.partition(b" ")
        self._begin(int(text), remote, descriptors[0])

    def _begin(self, number: int, remote: bytes, descriptor: int) -> None:
        code = codes.TEMPORARY
        try:
            env = self._connections.meet(connection.parse(remote), descriptor, number)
            if env is None:
                code = connection.DENIED
            elif self._connections.in_tls:
                self._secure(number, descriptor, env)
                return
        except (codes.Failure, OSError) as failure:
            log.line(connection.NAME, "warning: dropping connection, %s" % failure)
            env = None
        if env is not None:
            self._enter(number, descriptor, env)
            return
        calls.close(descriptor)
        self.over(number, code)

    def _secure(self, number: int, descriptor: int, env: "Env") -> None:
        """Let it speak TLS first."""
        one = handshake.Handshake(self, descriptor, number, env, lambda plain, env: self._enter(number, plain, env))
        self._sessions[number] = one
        one.wake()

    def _enter(self, number: int, descriptor: int, env: "Env") -> None:
        """Begin the session; the descriptor is the session's."""
        sock = _socket.socket(fileno=descriptor)
        try:
            if b"QMAILQUEUE" in env:
                self._apart[self._fork(descriptor, env)] = number
                self._sessions.pop(number, None)
                sock.close()
                return
            try:
                controls: settings.Settings = self._settings.get()
            except codes.Failure:
                sock.send(reply.NO_CONTROLS)            # nothing was sent yet: it fits
                raise
            one = self._sessions[number] = session.Session(self, sock, number, controls, env)
            one.begin()
        except (codes.Failure, OSError) as failure:
            log.line(connection.NAME, "warning: dropping connection, %s" % failure)
            sock.close()
            self.over(number, codes.TEMPORARY)

    def _fork(self, descriptor: int, env: "Env") -> int:
        pid = calls.fork()
        if pid:
            return pid
        code = codes.TEMPORARY
        try:
            calls.dup2(descriptor, 0, inheritable=True)
            calls.dup2(descriptor, 1, inheritable=True)
            calls.closerange(3, 1 << 20)
            code = smtpd.main([session.NAME], env)
        finally:
            calls._exit(code)
        return 0

    def _look(self, now: float) -> None:
        """Who is silent for too long, and which processes have ended."""
        while self._apart:
            pid, status = calls.waitpid(-1, calls.WNOHANG)
            if pid == 0:
                break
            number = self._apart.pop(pid, None)
            if number is not None:
                self.over(number, child.code_of(status))
        due, self._due = [each for each in self._due if each[0] <= now], [each for each in self._due if each[0] > now]
        for _, one in due:
            one.wake()
        if now >= self._look_at:
            self._look_at = now + EVERY
            for one in list(self._sessions.values()):
                one.look(now)


def serve(inbox: "socket", connections: connection.Connections) -> None:
    """Be a member of a crew.  Never returns."""
    limits.no_core()                            # there are passwords in it
    null = calls.open(b"/dev/null", calls.O_RDWR)
    for each in (0, 1):
        calls.dup2(null, each, inheritable=True)
    calls.close(null)
    Sessions(inbox, connections).run()
    calls._exit(codes.OK)
