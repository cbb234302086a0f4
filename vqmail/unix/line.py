"""Read one line and not a byte more, for what follows it may be for another program."""

import _socket

from vqmail.unix import calls, timed


def read(fd: int, limit: int, seconds: float) -> bytes:
    """The next line with its newline; b"" at the end.  ValueError if it is longer than `limit`, TimeoutError as
    timed.read.  The last line may lack its newline.
    """
    text = b""
    while True:
        piece = _peek(fd, limit + 1 - len(text), seconds)
        if piece is None:                       # no socket: byte by byte is slow, but never too much
            piece = timed.read(fd, 1, seconds)
        else:
            end = piece.find(b"\n") + 1
            piece = calls.read(fd, end or len(piece)) if piece else piece
        text += piece
        if not piece or piece.endswith(b"\n"):
            return text
        if len(text) > limit:
            raise ValueError("a line of more than %d bytes" % limit)


def _peek(fd: int, size: int, seconds: float) -> "bytes | None":
    """What the next read would give; None if `fd` is no socket."""
    timed.wait_for_input(fd, seconds)
    try:
        sock = _socket.socket(fileno=fd)
    except OSError:
        return None
    try:
        return sock.recv(size, _socket.MSG_PEEK)
    finally:
        sock.detach()
