"""Read one line and not a byte more, for what follows it may be for another program."""

import _socket
import time

from vqmail.unix import calls, timed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket


class Unfinished(Exception):
    """The connection ended within a line, or before one."""


class TooLong(Exception):
    """A line is longer than it may be."""


def read(fd: int, limit: int, seconds: float) -> bytes:
    """The next line with its newline, which must come within `seconds`.  Unfinished, TooLong, TimeoutError, OSError."""
    deadline = time.monotonic() + seconds
    text = b""
    sock = _socket_at(fd)
    try:
        while not text.endswith(b"\n"):
            if len(text) >= limit:
                raise TooLong
            timed.wait_for_input(fd, max(deadline - time.monotonic(), 0))
            piece = _piece(fd, sock, limit - len(text))
            if not piece:
                raise Unfinished
            text += piece
        return text
    finally:
        if sock is not None:
            sock.detach()


def _piece(fd: int, sock: "socket | None", size: int) -> bytes:
    """What is there, up to the end of the line."""
    if sock is None:
        return calls.read(fd, 1)                # no socket: byte by byte is slow, but never too much
    seen = sock.recv(size, _socket.MSG_PEEK)
    return calls.read(fd, seen.find(b"\n") + 1 or len(seen)) if seen else seen


def _socket_at(fd: int) -> "socket | None":
    try:
        return _socket.socket(fileno=fd)
    except OSError:
        return None
