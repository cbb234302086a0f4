"""One TCP connection to another host, in the clear or in TLS, on which nothing waits for ever."""

import time

import _socket

from vqmail.unix import tls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from ssl import SSLContext

IP_BIND_ADDRESS_NO_PORT = 24    # ip(7): the port is chosen by connect, so that one address serves many hosts
PIECE = 65536


class Lost(Exception):
    """The peer hung up, or said nothing in its time."""


class Connection:
    """Connected to `address`.  `deadline` is the time, by time.monotonic, at which even a peer that is not silent has
    had long enough; `patience` is how long it may be silent, in seconds."""

    def __init__(self, address: bytes, port: int, source: bytes, seconds: float) -> None:
        """Connect within `seconds`, from `source` unless that is b"".  TimeoutError, OSError."""
        family = _socket.AF_INET6 if b":" in address else _socket.AF_INET
        self.deadline = time.monotonic() + seconds
        self.patience = seconds
        self.broken = False                     # nothing more can be sent
        self._channel: tls.Channel | None = None
        self._socket: socket = _socket.socket(family, _socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            if source:
                self._socket.setsockopt(_socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                self._socket.bind((source.decode("ascii"), 0))
            self._socket.settimeout(max(seconds, 1))
            self._socket.connect((address.decode("ascii"), port))
        except BaseException:
            self._socket.close()
            raise

    def secure(self, context: "SSLContext", name: bytes) -> None:
        """Make it TLS.  tls.Failed, or Lost."""
        until = time.monotonic() + self.patience
        channel = tls.Channel(context, name)
        while True:
            try:
                done = channel.handshake()
            finally:
                self._send(channel.output())    # an alert says to the peer what it did wrong
            if done:
                break
            channel.receive(self._receive(until))
        if self.broken:
            raise Lost("it hung up")
        self._channel = channel

    def write(self, data: bytes) -> None:
        """Send all of it, or set `broken`: the peer has hung up, but may have said why.  Lost if it takes nothing."""
        if self._channel is None:
            self._send(data)
            return
        for at in range(0, len(data), PIECE):
            if not self.broken:
                self._send(self._encrypt(data[at:at + PIECE]))

    def read(self, until: float) -> bytes:
        """What the peer says next, waiting until then at most.  Lost."""
        if self._channel is None:
            data = self._receive(until)
            if not data:
                raise Lost("it hung up")
            return data
        while True:
            try:
                text = self._channel.decrypt()
            except tls.Failed as error:
                raise Lost(str(error)) from None
            if text:
                return text
            if text is not None:
                raise Lost("it hung up")
            self._channel.receive(self._receive(until))

    def is_quiet(self) -> bool:
        """Whether the peer has neither hung up nor said anything unasked."""
        if self._channel is not None and self._channel.pending():
            return False
        self._socket.setblocking(False)
        try:
            self._socket.recv(1, _socket.MSG_PEEK)
        except BlockingIOError:
            return not self.broken
        except OSError:
            return False
        return False

    def close(self, goodbye: bytes = b"") -> None:
        """Hang up, after `goodbye`; nobody waits for an answer to it."""
        try:
            if goodbye and not self.broken:
                self._socket.setblocking(False)
                if self._channel is not None:
                    goodbye = self._channel.encrypt(goodbye) + self._channel.leave()
                self._socket.send(goodbye, _socket.MSG_NOSIGNAL)
        except (OSError, tls.Failed):
            pass
        finally:
            self._socket.close()

    def _encrypt(self, data: bytes) -> bytes:
        assert self._channel is not None
        try:
            return self._channel.encrypt(data)
        except tls.Failed as error:
            raise Lost(str(error)) from None

    def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest and not self.broken:
            self._socket.settimeout(self._seconds(time.monotonic() + self.patience))
            try:
                rest = rest[self._socket.send(rest, _socket.MSG_NOSIGNAL):]
            except TimeoutError:
                raise Lost("it took nothing for %d seconds" % self.patience) from None
            except OSError:
                self.broken = True

    def _receive(self, until: float) -> bytes:
        self._socket.settimeout(self._seconds(until))
        try:
            return self._socket.recv(PIECE)
        except TimeoutError:
            raise Lost("it did not answer in time") from None
        except OSError as error:
            raise Lost(error.strerror or "it hung up") from None

    def _seconds(self, until: float) -> float:
        """How long to wait at most if something must be there `until` then.  Lost if that is past."""
        left = min(until, self.deadline) - time.monotonic()
        if left <= 0:
            raise Lost("it took too long")
        return left
