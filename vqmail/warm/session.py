"""One SMTP session among many in a process: the conversation of prog/smtpd.py, driven by readiness (sessions.py)."""

import _socket
import time

from vqmail import codes
from vqmail.incoming import conversation
from vqmail.prog import smtpd
from vqmail.proto import reply
from vqmail.unix import log, loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

    from vqmail.incoming import settings
    from vqmail.unix.chain import Env
    from vqmail.warm.sessions import Sessions

NAME = b"vq-smtpd"


class Session:
    """One client."""

    def __init__(self, owner: "Sessions", sock: "socket", number: int, controls: "settings.Settings",
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

    def _guarded(self, step: "Callable[[], object]") -> None:
        """A fault in one session must not end the others."""
        try:
            step()
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
