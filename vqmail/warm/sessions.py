"""Many SMTP sessions in one process: what vq-smtpd does for one client, for all that are connected.

The same conversation as in prog/smtpd.py, driven by readiness instead of by waiting: an idle client costs some
kilobytes, and the code stays in the processor's cache.  A session whose messages go through QMAILQUEUE gets a process
of its own, for that program takes its time.
"""

import _socket
import time

from vqmail import codes
from vqmail.incoming import conversation, settings
from vqmail.prog import smtpd
from vqmail.proto import reply
from vqmail.store import current, resolver
from vqmail.unix import calls, child, limits, log, loop, sockets
from vqmail.warm import connection, handshake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

    from vqmail.unix.chain import Env

NAME = b"vq-smtpd"
EVERY = 5.0                     # seconds between two looks at who is silent for too long


class Sessions:
    """All sessions of this process.  `inbox` brings connections and takes exit codes (crew.py)."""

    def __init__(self, inbox: "socket", connections: connection.Connections) -> None:
        self.loop = loop.Loop()
        self._inbox = inbox
        self._connections = connections
        self._resolver = resolver.Resolver()
        self._settings = current.Current(lambda: settings.Settings(self._resolver), settings.FILES)
        self._sessions: dict[int, Session | handshake.Handshake] = {}
        self._apart: dict[int, int] = {}        # pid of a session's own process -> number
        self._answers: list[bytes] = []
        self._due: list[tuple[float, Session | handshake.Handshake]] = []
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

    def later(self, when: float, session: "Session | handshake.Handshake") -> None:
        """Let `session` go on at that time."""
        self._due.append((when, session))

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
            session = self._sessions[number] = Session(self, sock, number, controls, env)
            session.begin()
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
            code = smtpd.main([NAME], env)
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
        for _, session in due:
            session.wake()
        if now >= self._look_at:
            self._look_at = now + EVERY
            for session in list(self._sessions.values()):
                session.look(now)


class Session:
    """One client."""

    def __init__(self, owner: Sessions, sock: "socket", number: int, controls: settings.Settings,
                 env: "Env") -> None:
        self._owner = owner
        self._socket = sock
        self._number = number
        self._seconds = controls.seconds
        self._last = time.monotonic()           # when the client, or a service, was heard last
        self._ends = self._last + smtpd.LONGEST
        self._unsent = b""
        self._awaited = -1                      # where the answer to what is pending will come from
        self._waiting = False                   # for that, or for a while: the client is not heard
        self._watched = 0                       # for what the loop watches the client
        self._lingering = False
        sock.setblocking(False)
        self._conversation = conversation.Conversation(controls, env, NAME, b"pid %d" % number)

    def begin(self) -> None:
        """Greet."""
        self._guarded(self._send)

    def look(self, now: float) -> None:
        """End it if nothing was heard for too long."""
        if self._awaited >= 0:
            limit = float(smtpd.PATIENCE)
        else:
            limit = smtpd.LINGER if self._lingering else self._seconds
        if now < self._last + limit and now < self._ends:
            return
        if not self._lingering:
            self._conversation.end(b"timeout")
            try:
                self._socket.send(reply.TIMEOUT)
            except OSError:
                pass                            # it is not listening anyway
        self._close()

    def _ready(self) -> None:
        self._guarded(self._hear)

    def _guarded(self, step: "object") -> None:
        """A fault in one session must not end the others."""
        try:
            step()  # type: ignore[operator]
        except OSError as error:
            self._conversation.end(b"lost")
            if not isinstance(error, (ConnectionError, TimeoutError)):
                log.line(NAME, "pid %d: %s" % (self._number, error))
            self._close()
        except Exception as bug:  # noqa: BLE001
            log.line(NAME, "pid %d: internal error: %s: %s" % (self._number, type(bug).__name__, bug))
            self._conversation.end(b"internal-error")
            self._close()

    def _hear(self) -> None:
        if self._unsent:
            if self._waiting:
                self._flush()
            else:
                self._send()
            return
        try:
            data = self._socket.recv(smtpd.PIECE)
        except BlockingIOError:
            return
        self._last = time.monotonic()
        if self._lingering:
            if not data:
                self._close()
            return
        self._conversation.receive(data)
        self._go_on()

    def _go_on(self) -> None:
        """Do what is pending, as far as that goes without waiting, and say what is to be said."""
        self._waiting = False
        while self._conversation.pending:
            if self._conversation.not_before > time.monotonic():
                self._waiting = True
                self._owner.later(self._conversation.not_before, self)
                self._flush()
                return
            self._awaited = self._conversation.start(self._socket.fileno())
            if self._awaited == conversation.BUSY:
                continue
            if self._awaited >= 0:
                self._waiting = True
                self._owner.loop.watch(self._awaited, lambda: self._guarded(self._answered))
                self._flush()
                return
            self._conversation.go_on()
        self._send()

    def wake(self) -> None:
        """The time has come that it waited for."""
        if self._socket.fileno() >= 0:
            self._last = time.monotonic()
            self._guarded(self._go_on)

    def _answered(self) -> None:
        self._owner.loop.forget(self._awaited)
        self._awaited = -1
        self._last = time.monotonic()
        self._conversation.go_on()
        if self._conversation.plain >= 0:
            self._replace(self._conversation.plain)
        self._go_on()

    def _replace(self, plain: int) -> None:
        """The connection is secured: from now on there is plain text at another descriptor."""
        if self._watched:
            self._owner.loop.forget(self._socket.fileno())
        self._watched = 0
        self._unsent = b""
        self._socket.close()
        self._socket = _socket.socket(fileno=plain)
        self._socket.setblocking(False)
        self._conversation.plain = -1

    def _send(self) -> None:
        """Say what is to be said, and be done if that was all."""
        self._flush()
        if self._unsent or not self._conversation.ended or self._lingering:
            return
        if self._conversation.hung_up:          # closing now could make the kernel drop our last words
            self._lingering = True
            self._socket.shutdown(_socket.SHUT_WR)
        else:
            self._close()

    def _flush(self) -> None:
        text, self._unsent = self._unsent + self._conversation.output(), b""
        if text:
            try:
                self._unsent = text[self._socket.send(text, _socket.MSG_NOSIGNAL):]
            except BlockingIOError:
                self._unsent = text
        self._watch(loop.WRITE if self._unsent else 0 if self._waiting else loop.READ)

    def _watch(self, events: int) -> None:
        number = self._socket.fileno()
        if not self._watched and events:
            self._owner.loop.watch(number, self._ready, events)
        elif self._watched and not events:
            self._owner.loop.forget(number)
        elif self._watched != events:
            self._owner.loop.change(number, events)
        self._watched = events

    def _close(self) -> None:
        if self._socket.fileno() < 0:
            return
        for descriptor in (self._awaited, self._socket.fileno()):
            if descriptor >= 0:
                self._owner.loop.forget(descriptor)
        self._conversation.close()
        self._socket.close()
        self._owner.over(self._number, codes.OK if self._conversation.ended == b"quit" else codes.SESSION_BROKEN)


def serve(inbox: "socket", connections: connection.Connections) -> None:
    """Be a member of a crew.  Never returns."""
    limits.no_core()                            # there are passwords in it
    null = calls.open(b"/dev/null", calls.O_RDWR)
    for each in (0, 1):
        calls.dup2(null, each, inheritable=True)
    calls.close(null)
    Sessions(inbox, connections).run()
    calls._exit(codes.OK)
