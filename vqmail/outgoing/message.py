"""The message on its way out: what a server wants to know before it comes, and then its bytes."""

from vqmail import codes
from vqmail.formats import wire
from vqmail.unix import fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Message:
    """The content of the file open as `number`.  TryLater, in wire() too, if it cannot be read.

    size        octets over the line (RFC 1870 5)
    eight_bit   whether there are bytes above 127
    """

    def __init__(self, number: int) -> None:
        self.eight_bit = False
        self._number = number
        form = wire.Outgoing()
        made = b""
        count = 0
        for piece in _pieces(number):
            count += 1
            self.eight_bit = self.eight_bit or not piece.isascii()
            made = form.feed(piece)
        made += form.end()
        self.size = form.octets
        self._made = made if count <= 1 else None       # most are short: not read twice

    def wire(self) -> "Iterator[tuple[bytes, bool]]":
        """Its pieces as they go over the line, each with whether it is the last, in which the end stands."""
        if self._made is not None:
            yield self._made, True
            return
        form = wire.Outgoing()
        before = b""
        for piece in _pieces(self._number):
            if before:
                yield before, False
            before = form.feed(piece)
        yield before + form.end(), True


def _pieces(number: int) -> "Iterator[bytes]":
    try:
        yield from fd.pieces(number)
    except OSError as error:
        raise codes.TryLater("cannot read the message: %s" % error.strerror) from None
