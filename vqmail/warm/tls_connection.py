"""One connection of a worker of the TLS service, from the program's call to its end.

The program hands over its client, client and service agree on how they speak TLS, the program gets a socket with plain
text in the client's place, and tls_relay carries the text between the two.
"""

import _socket
import time

from vqmail.store import secure
from vqmail.unix import calls, fd, log, loop, sockets, tls
from vqmail.warm import tls_relay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

    from vqmail.unix.loop import Loop

HANDSHAKE = 60.0                # seconds a client may take to agree
STREAMS = (_socket.AF_INET, _socket.AF_INET6, _socket.AF_UNIX)


class Connection:
    """One client, from the program's call to the end of both; then `over` is called."""

    def __init__(self, watcher: "Loop", caller: "socket", channel: tls.Channel,
                 over: "Callable[[Connection], None]") -> None:
        self.deadline = time.monotonic() + HANDSHAKE
        self.events: dict[int, int] = {}        # of each descriptor that is watched
        self._loop = watcher
        self._over = over
        self._caller: socket | None = caller
        self._channel = channel
        self._tcp: socket | None = None
        self._plain: socket | None = None
        self._to_client = b""                   # records of the handshake it has not taken yet
        self._relay: tls_relay.Relay | None = None
        self.watch(caller, loop.READ, self._called)

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
            fd.close_all(descriptors)
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
        self.watch(tcp, loop.READ, self._shake)

    def _shake(self) -> None:
        assert self._tcp is not None
        if self._to_client:
            self._send(b"")
            if self._to_client:
                return
        try:
            received = self._tcp.recv(tls_relay.PIECE, _socket.MSG_DONTWAIT)
        except BlockingIOError:
            received = None
        try:
            if received is not None:
                self._channel.receive(received)
            done = self._channel.handshake()
        except tls.Failed as failure:
            self._send(self._channel.output())  # the alert
            self._fail("the client hung up" if received == b"" else str(failure))
            return
        self._send(self._channel.output())
        if done:
            self._begin()
        elif received == b"":
            self._fail("the client hung up")
        else:
            self.change(self._tcp, loop.WRITE if self._to_client else loop.READ)

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
        self.forget(self._tcp)
        self._relay = tls_relay.Relay(self, self._tcp, self._plain, self._channel, self._to_client)
        self._relay.begin()

    def _send(self, records: bytes) -> None:
        assert self._tcp is not None
        self._to_client = tls_relay.send(self._tcp, self._to_client + records)

    def _fail(self, why: str) -> None:
        try:
            if self._caller is not None:
                sockets.send(self._caller, b"-" + why.encode("ascii", "replace")[:200])
        except OSError:                         # the program did not wait
            pass
        self.close()

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

    def _drop(self, sock: "socket") -> None:
        self.forget(sock)
        sock.close()

    # ---- what is watched

    def watch(self, sock: "socket", events: int, handler: "Callable[[], None]") -> None:
        """Call `handler` on these events of `sock`."""
        self._loop.watch(sock.fileno(), lambda: self._guarded(handler), events)
        self.events[sock.fileno()] = events

    def change(self, sock: "socket", events: int) -> None:
        """From now on on these, if it is watched still."""
        number = sock.fileno()
        if number in self.events and self.events[number] != events:
            self._loop.change(number, events)
            self.events[number] = events

    def forget(self, sock: "socket") -> None:
        """Watch it no more."""
        if self.events.pop(sock.fileno(), None) is not None:
            self._loop.forget(sock.fileno())

    def _guarded(self, step: "Callable[[], None]") -> None:
        """A fault in one connection must not end the others."""
        try:
            step()
        except (ConnectionError, TimeoutError):
            self.close()
        except tls.Failed as failure:           # its records are broken
            log.line(b"tls", "a connection is broken: %s" % failure)
            if self._relay is not None:
                self._relay.last_alert()
            self.close()
        except Exception as bug:  # noqa: BLE001
            log.line(b"tls", "internal error: %s: %s" % (type(bug).__name__, bug))
            self.close()
