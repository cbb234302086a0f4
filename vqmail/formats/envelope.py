"""The envelope on descriptor 1 of vq-queue (QMAIL interface 2.1).

    F sender NUL  ( T recipient NUL )*  NUL

The sender may be empty, there may be no recipients.  The final NUL is the commit mark: without it the
caller gave up.
"""

ADDRESS_LIMIT = 1002            # bytes, without the NUL: qmail-queue's 1003 with it
LIMIT = 256 << 20               # bytes of a whole envelope: 250,000 recipients of the longest kind
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Unfinished(ValueError):
    """The envelope ends before its commit mark: the caller gave up."""


class TooLong(ValueError):
    """An address is longer than ADDRESS_LIMIT."""


def encode(sender: bytes, recipients: "Iterable[bytes]") -> bytes:
    """The envelope as it is written to descriptor 1."""
    return b"F%s\0%s\0" % (sender, b"".join([b"T%s\0" % each for each in recipients]))


def decode(data: bytes) -> "tuple[bytes, list[bytes]]":
    """(sender, recipients).  Unfinished, TooLong, or ValueError if the letters are wrong."""
    end = data.find(b"\0\0") if data[:2] != b"F\0" else _end_after_null_sender(data)
    if end < 0:
        _complain(data)
        raise Unfinished("no end")
    fields = data[:end].split(b"\0")
    _check(fields)
    return fields[0][1:], [each[1:] for each in fields[1:]]


class Collector:
    """An envelope that comes in pieces."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._tail = b""
        self._size = 0

    def feed(self, data: bytes) -> bool:
        """Take a piece; whether the commit mark has come.  TooLong if there is an address that has no end, or all of
        it is over LIMIT."""
        self._pieces.append(data)
        self._size += len(data)
        tail = self._tail + data
        self._tail = tail[-(ADDRESS_LIMIT + 2):]
        if self._size > LIMIT or (len(tail) > ADDRESS_LIMIT + 1 and b"\0" not in self._tail):
            raise TooLong("address too long")
        if b"\0\0" not in tail:
            return False
        text = self.text()                      # F NUL NUL, and F NUL T..., begin with what may look like an end
        return not text.startswith(b"F\0") or text[2:3] == b"\0" or text.find(b"\0\0", 2) >= 0

    def text(self) -> bytes:
        """What has come so far."""
        if len(self._pieces) > 1:
            self._pieces = [b"".join(self._pieces)]
        return self._pieces[0] if self._pieces else b""


def _end_after_null_sender(data: bytes) -> int:
    # F NUL NUL is an envelope without recipients; F NUL T... goes on
    return 1 if data[2:3] == b"\0" else data.find(b"\0\0", 2)


def _complain(data: bytes) -> None:
    """Say what is wrong with an envelope that has no end, before calling it unfinished."""
    fields = data.split(b"\0")
    _check(fields[:-1])
    if len(fields[-1]) > ADDRESS_LIMIT + 1:
        raise TooLong("address too long")


def _check(fields: "list[bytes]") -> None:
    for place, field in enumerate(fields):
        if field[:1] != (b"T" if place else b"F"):
            raise ValueError("an envelope is F sender, then T recipients")
        if len(field) > ADDRESS_LIMIT + 1:
            raise TooLong("address too long")
