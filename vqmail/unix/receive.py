"""Receive from a client: wait for it in the same call that reads, and never for ever."""

import _socket

from vqmail.unix import timed


class Receiver:
    """The client at descriptor `fd`, which stays the caller's."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._seconds = 0
        self._socket = None
        try:
            self._socket = _socket.socket(fileno=fd)
        except OSError:
            pass                                # a pipe

    def read(self, size: int, seconds: float) -> bytes:
        """Up to `size` bytes as soon as there are any, b"" at the end.  TimeoutError after `seconds`, a whole number of
        them and 1 at least."""
        if self._socket is None:
            return timed.read(self._fd, size, seconds)
        whole = max(int(seconds), 1)
        if whole != self._seconds:
            self._seconds = whole
            # the kernel's own deadline: poll would be another call for each line of the client
            self._socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVTIMEO, whole.to_bytes(8, "little") + bytes(8))
        try:
            return self._socket.recv(size)
        except BlockingIOError:
            raise TimeoutError("nothing for %d seconds" % whole) from None

    def close(self) -> None:
        """Let go of the descriptor, without a deadline of ours on it."""
        if self._socket is not None:
            if self._seconds:
                try:
                    self._socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVTIMEO, bytes(16))
                except OSError:
                    pass                        # it is gone
            self._socket.detach()
            self._socket = None
