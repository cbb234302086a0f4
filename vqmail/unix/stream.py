"""A client at 0 and 1 that may be silent for so long, and stay for so long, and no longer."""

import time

from vqmail.unix import receive, send

PIECE = 65536                   # bytes of one read
LAST_WORDS = 60                 # seconds in which the client must take an answer, however late it is


class Over(Exception):
    """There is no more talking to the client.  `reason` is lost or timeout."""

    def __init__(self, reason: bytes) -> None:
        super().__init__(reason.decode())
        self.reason = reason


class Stream:
    """The client, silent for `seconds` at most, there for `longest` at most.  The descriptors stay the caller's."""

    def __init__(self, seconds: float, longest: float) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + longest
        self._receiver = receive.Receiver(0)
        self._sender = send.Sender(1)

    def read(self) -> bytes:
        """What came, b"" at the end.  Over."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise Over(b"timeout")
        try:
            return self._receiver.read(PIECE, min(self._seconds, left))
        except TimeoutError:
            raise Over(b"timeout") from None
        except OSError:
            raise Over(b"lost") from None

    def write(self, data: bytes) -> None:
        """Send every byte.  Over."""
        left = self._deadline - time.monotonic()
        try:
            self._sender.write_all(data, min(self._seconds, max(left, LAST_WORDS)))
        except TimeoutError:
            raise Over(b"timeout") from None
        except OSError:
            raise Over(b"lost") from None

    def close(self) -> None:
        """Let go of the descriptors."""
        self._receiver.close()
        self._sender.close()
