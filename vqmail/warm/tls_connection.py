"""One connection of a worker of the TLS service: TLS on the client's side, plain text on ours.

    client <== TLS ==> _tcp | channel | _plain <== socket pair ==> vq-smtpd, vq-popup ...

No side is read while what it said before is not yet taken by the other, so a connection never holds more than a
piece for each direction.  The end of one side is told to the other, which may go on.
"""

import _socket
import errno
import select
import time

from vqmail.store import secure
from vqmail.unix import calls, log, loop, sockets, tls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

    from vqmail.unix.loop import Loop

PIECE = 65536                   # bytes of one read
UNHEARD = 4 * PIECE             # bytes that a client has not taken, and is still listened to
HANDSHAKE = 60.0                # seconds a client may take to agree
LAST = 60.0                     # seconds it may take for what is left when the program is gone
LINGER = 5.0                    # seconds for its goodbye: closing sooner could make the kernel drop our last words
STREAMS = (_socket.AF_INET, _socket.AF_INET6, _socket.AF_UNIX)


class Connection:
    """One client, from the program's call to the end of both; then `over` is called."""

    def __init__(self, watcher: "Loop", caller: "socket", channel: tls.Channel,
                 over: "Callable[[Connection], None]") -> None:
        self.deadline = time.monotonic() + HANDSHAKE
        self._loop = watcher
        self._over = over
        self._caller: socket | None = caller
        self._channel = channel
        self._tcp: socket | None = None
        self._plain: socket | None = None
        self._events: dict[int, int] = {}       # of each descriptor that is watched
        self._to_client = b""                   # records it has not taken yet
        self._to_program = b""                  # text the program has not taken yet
        self._client_ended = False              # it says no more
        self._client_gone = False               # and hears no more; what it said may still have to be read
        self._program_ended = False             # it says no more
        self._program_gone = False              # and hears no more
        self._told_client = False
        self._told_program = False
        self._watch(caller, loop.READ, self._called)

    # ---- the program's call, and the handshake

    def _called(self) -> None:
        caller = self._caller
        assert caller is not None
        if self._tcp is not None:               # it hung up, or talks nonsense
            self.close()
            return
        try:
            packet, descriptors = sockets.receive(caller)
        except ValueError:                      # more than there may be
            packet, descriptors = b"", []
        if packet != b"+" or len(descriptors) != 1:
            for each in descriptors:
                calls.close(each)
            self.close()
            return
        try:
            tcp = _socket.socket(fileno=descriptors[0])
        except OSError:
            calls.close(descriptors[0])
            self._fail("that is no connection")
            return
        self._tcp = tcp
        if tcp.family not in STREAMS or tcp.type & 15 != _socket.SOCK_STREAM:
            self._fail("that is no connection")
            return
        if tcp.family != _socket.AF_UNIX:
            tcp.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        self._watch(tcp, loop.READ, self._shake)

    def _shake(self) -> None:
        assert self._tcp is not None
        if self._to_client:
            self._send()
            if self._to_client:
                return
        try:
            received = self._tcp.recv(PIECE, _socket.MSG_DONTWAIT)
        except BlockingIOError:
            received = None
        try:
            if received is not None:
                self._channel.receive(received)
            done = self._channel.handshake()
        except tls.Failed as failure:
            self._to_client += self._channel.output()       # the alert
            self._send()
            self._fail("the client hung up" if received == b"" else str(failure))
            return
        self._to_client += self._channel.output()
        self._send()
        if done:
            self._begin()
        elif received == b"":
            self._fail("the client hung up")
        else:
            self._set(self._tcp, loop.WRITE if self._to_client else loop.READ)

    def _begin(self) -> None:
        """Both agreed: give the program its end."""
        assert self._tcp is not None
        assert self._caller is not None
        self._plain, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self._plain.setblocking(False)
        protocol, cipher = self._channel.terms()
        variables = {secure.SECURED: protocol, b"SSL_CIPHER": cipher}
        if self._channel.asked():
            variables[b"SSL_TLS_SNI_SERVERNAME"] = self._channel.asked()
        try:
            sockets.send(self._caller, secure.encode(variables), [theirs.fileno()])
        finally:
            theirs.close()
        self._drop(self._caller)
        self._caller = None
        self.deadline = float("inf")            # from now on the program decides
        self._drop_watch(self._tcp)
        self._watch(self._tcp, loop.READ, self._client_ready)
        self._watch(self._plain, loop.READ, self._program_ready)
        self._decrypt()                         # what came with the last of the handshake
        self._settle()

    def _fail(self, why: str) -> None:
        try:
            if self._caller is not None:
                sockets.send(self._caller, b"-" + why.encode("ascii", "replace")[:200])
        except OSError:                         # the program did not wait
            pass
        self.close()

    # ---- text in both directions

    def _client_ready(self) -> None:
        assert self._tcp is not None
        if self._events[self._tcp.fileno()] == 0 and _hung_up(self._tcp):
            if not self._to_program:
                self.close()
                return
            self._drop_watch(self._tcp)         # the program has not yet taken all that the client said
            self._client_gone = True
        if self._to_client:
            self._send()
        self._receive()
        self._settle()

    def _receive(self) -> None:
        assert self._tcp is not None
        if self._client_ended or self._to_program:
            return
        try:
            received = self._tcp.recv(PIECE, _socket.MSG_DONTWAIT)
        except BlockingIOError:
            self._client_ended = self._client_gone
            return
        self._channel.receive(received)
        if not received and (self._program_gone or self._client_gone):
            self._client_ended = True
        self._decrypt()

    def _program_ready(self) -> None:
        assert self._plain is not None
        if self._events[self._plain.fileno()] == 0 and _hung_up(self._plain):
            self._gone()
        if self._to_program:
            self._deliver()
        self._encrypt()
        self._settle()

    def _decrypt(self) -> None:
        """From the client's records to the program."""
        parts = []
        while True:
            text = self._channel.decrypt()
            if not text:
                self._client_ended = self._client_ended or text == b""
                break
            parts.append(text)
        if not self._program_gone:
            self._to_program += b"".join(parts)
            self._deliver()
        answer = self._channel.output()         # to a change of keys
        if answer and not self._told_client:
            self._to_client += answer
            self._send()

    def _deliver(self) -> None:
        assert self._plain is not None
        try:
            while self._to_program:
                self._to_program = self._to_program[self._plain.send(self._to_program, _socket.MSG_NOSIGNAL):]
        except BlockingIOError:
            return
        except ConnectionError:
            self._gone()
            return
        if self._client_ended and not self._told_program and not self._program_gone:
            self._told_program = True
            _tell(self._plain)

    def _encrypt(self) -> None:
        """From the program to the client's records."""
        assert self._plain is not None
        if self._to_client or self._program_ended:
            return
        try:
            text = self._plain.recv(PIECE)
        except BlockingIOError:
            return
        except ConnectionError:
            text = b""
        if text:
            self._to_client = self._channel.encrypt(text)
        else:
            self._program_ended = True
            self._to_client = self._channel.leave()
            if _hung_up(self._plain):
                self._gone()
        self._send()

    def _send(self) -> None:
        assert self._tcp is not None
        try:
            while self._to_client:
                flags = _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL
                self._to_client = self._to_client[self._tcp.send(self._to_client, flags):]
        except BlockingIOError:
            pass

    def _gone(self) -> None:
        """The program is gone; what it said last is still to be said, but not for ever."""
        assert self._plain is not None
        if not self._program_gone:
            self._program_gone = True
            self._to_program = b""
            self._drop_watch(self._plain)
            self.deadline = time.monotonic() + LAST

    def _settle(self) -> None:
        """Tell each side that the other ended, and wait for what can happen next."""
        tcp, plain = self._tcp, self._plain
        if tcp is None or plain is None:
            return
        while self._program_gone and not self._program_ended and not self._to_client:
            self._encrypt()
        while self._client_gone and not self._client_ended and not self._to_program:
            self._receive()
        if self._client_ended and not self._to_program:
            self._deliver()
        if self._program_ended and not self._to_client and not self._told_client:
            self._told_client = True
            _tell(tcp)
            if self._program_gone:
                self.deadline = time.monotonic() + LINGER
        if self._told_client and self._client_ended and not self._to_program:
            self.close()
            return
        # a change of keys is answered without the program, so the client decides how much is said to it
        hears = not self._client_ended and not self._to_program and len(self._to_client) <= UNHEARD
        self._set(tcp, (loop.READ if hears else 0) | (loop.WRITE if self._to_client else 0))
        says = not self._program_ended and not self._to_client
        self._set(plain, (loop.READ if says else 0) | (loop.WRITE if self._to_program else 0))

    # ---- the end

    def late(self) -> None:
        """The deadline is over."""
        self._fail("the client did not agree within %d seconds" % HANDSHAKE)

    def close(self) -> None:
        """Let go of everything."""
        for each in (self._caller, self._tcp, self._plain):
            if each is not None:
                self._drop(each)
        self._caller = self._tcp = self._plain = None
        self._over(self)

    def _watch(self, sock: "socket", events: int, handler: "Callable[[], None]") -> None:
        self._loop.watch(sock.fileno(), lambda: self._guarded(handler), events)
        self._events[sock.fileno()] = events

    def _set(self, sock: "socket", events: int) -> None:
        number = sock.fileno()
        if number in self._events and self._events[number] != events:
            self._loop.change(number, events)
            self._events[number] = events

    def _drop_watch(self, sock: "socket") -> None:
        if self._events.pop(sock.fileno(), None) is not None:
            self._loop.forget(sock.fileno())

    def _drop(self, sock: "socket") -> None:
        self._drop_watch(sock)
        sock.close()

    def _guarded(self, step: "Callable[[], None]") -> None:
        """A fault in one connection must not end the others."""
        try:
            step()
        except (ConnectionError, TimeoutError):
            self.close()
        except tls.Failed as failure:           # its records are broken
            log.line(b"tls", "a connection is broken: %s" % failure)
            self._last_alert()
            self.close()
        except Exception as bug:  # noqa: BLE001
            log.line(b"tls", "internal error: %s: %s" % (type(bug).__name__, bug))
            self.close()

    def _last_alert(self) -> None:
        try:
            self._to_client += self._channel.output()
            self._send()
        except OSError:
            return


def _tell(sock: "socket") -> None:
    """Say that no more will come; who has reset the connection meanwhile, as curl does, is told nothing."""
    try:
        sock.shutdown(_socket.SHUT_WR)
    except OSError as error:
        if error.errno != errno.ENOTCONN:
            raise


def _hung_up(sock: "socket") -> bool:
    """Whether the other end is gone altogether, not only done with talking."""
    poll = select.poll()
    poll.register(sock.fileno(), 0)
    return bool(poll.poll(0))
