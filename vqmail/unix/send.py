"""Send to a client: much at once, without waiting for its acknowledgements, and never for ever."""

import _socket

from vqmail.unix import timed

NEVER_BLOCKS = 4096             # bytes that a pipe which is ready takes at once (PIPE_BUF)


class Sender:
    """The client at descriptor `fd`, which stays the caller's."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._socket = None
        try:
            self._socket = _socket.socket(fileno=fd)
            # otherwise the end of a reply may wait 40 ms for the acknowledgement of the one before
            self._socket.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        except OSError:
            pass                                # a pipe, or a local socket

    @property
    def is_socket(self) -> bool:
        """Whether the client itself is at the descriptor, and no pipe to whoever speaks to it."""
        return self._socket is not None

    def write_all(self, data: bytes, seconds: float) -> None:
        """Send every byte; TimeoutError when the peer takes nothing for `seconds`, OSError when it is gone."""
        if self._socket is None:
            for at in range(0, len(data), NEVER_BLOCKS):
                timed.write_all(self._fd, data[at:at + NEVER_BLOCKS], seconds)
            return
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest, _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL):]
            except BlockingIOError:
                timed.wait_for_room(self._fd, seconds)

    def close(self) -> None:
        """Let go of the descriptor."""
        if self._socket is not None:
            self._socket.detach()
            self._socket = None
