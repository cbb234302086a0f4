"""Text in both directions, between a client's TLS and a program, until each was told that the other has ended.

    client <== TLS ==> _tcp | channel | _plain <== socket pair ==> vq-smtpd, vq-popup ...

No side is read while what it said before is not yet taken by the other, so a connection never holds more than a
piece for each direction.  The end of one side is told to the other, which may go on.
"""

import _socket
import errno
import select
import time

from vqmail.unix import loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable
    from typing import Protocol

    from vqmail.unix.tls import Channel

    class Connection(Protocol):
        """Whoever has the loop, and lets go of the sockets."""

        deadline: float
        events: dict[int, int]

        def watch(self, sock: socket, events: int, handler: Callable[[], None]) -> None: ...
        def change(self, sock: socket, events: int) -> None: ...
        def forget(self, sock: socket) -> None: ...
        def close(self) -> None: ...

PIECE = 65536                   # bytes of one read
UNHEARD = 4 * PIECE             # bytes that a client has not taken, and is still listened to
LAST = 60.0                     # seconds it may take for what is left when the program is gone
LINGER = 5.0                    # seconds for its goodbye: closing sooner could make the kernel drop our last words


class Relay:
    """What comes after the handshake; `to_client` are the records of it that the client has not taken yet."""

    def __init__(self, connection: "Connection", tcp: "socket", plain: "socket", channel: "Channel",
                 to_client: bytes) -> None:
        self._connection = connection
        self._tcp = tcp
        self._plain = plain
        self._channel = channel
        self._to_client = to_client             # records it has not taken yet
        self._to_program = b""                  # text the program has not taken yet
        self._client_ended = False              # it says no more
        self._client_gone = False               # and hears no more; what it said may still have to be read
        self._program_ended = False             # it says no more
        self._program_gone = False              # and hears no more
        self._told_client = False
        self._told_program = False

    def begin(self) -> None:
        """From now on listen to both."""
        self._connection.watch(self._tcp, loop.READ, self._client_ready)
        self._connection.watch(self._plain, loop.READ, self._program_ready)
        self._decrypt()                         # what came with the last of the handshake
        self._settle()

    def last_alert(self) -> None:
        """The client's records are broken: tell it why, if it takes that at once."""
        try:
            send(self._tcp, self._to_client + self._channel.output())
        except OSError:
            return

    def _client_ready(self) -> None:
        if self._connection.events[self._tcp.fileno()] == 0 and _hung_up(self._tcp):
            if not self._to_program:
                self._connection.close()
                return
            self._connection.forget(self._tcp)  # the program has not yet taken all that the client said
            self._client_gone = True
        if self._to_client:
            self._to_client = send(self._tcp, self._to_client)
        self._receive()
        self._settle()

    def _receive(self) -> None:
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
        if self._connection.events[self._plain.fileno()] == 0 and _hung_up(self._plain):
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
            self._to_client = send(self._tcp, self._to_client + answer)

    def _deliver(self) -> None:
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
        self._to_client = send(self._tcp, self._to_client)

    def _gone(self) -> None:
        """The program is gone; what it said last is still to be said, but not for ever."""
        if not self._program_gone:
            self._program_gone = True
            self._to_program = b""
            self._connection.forget(self._plain)
            self._connection.deadline = time.monotonic() + LAST

    def _settle(self) -> None:
        """Tell each side that the other ended, and wait for what can happen next."""
        tcp, plain = self._tcp, self._plain
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
                self._connection.deadline = time.monotonic() + LINGER
        if self._told_client and self._client_ended and not self._to_program:
            self._connection.close()
            return
        # a change of keys is answered without the program, so the client decides how much is said to it
        hears = not self._client_ended and not self._to_program and len(self._to_client) <= UNHEARD
        self._connection.change(tcp, (loop.READ if hears else 0) | (loop.WRITE if self._to_client else 0))
        says = not self._program_ended and not self._to_client
        self._connection.change(plain, (loop.READ if says else 0) | (loop.WRITE if self._to_program else 0))


def send(tcp: "socket", records: bytes) -> bytes:
    """Send the client what it takes now; the rest."""
    try:
        while records:
            records = records[tcp.send(records, _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL):]
    except BlockingIOError:
        pass
    return records


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
