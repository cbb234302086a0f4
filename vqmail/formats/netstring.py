"""Netstrings: `5:hello,` is hello, and one may hold others.  QMTP and QMQP are made of them (QMAIL interface 14).

    LENGTH : the bytes ,            LENGTH has 1 to 10 decimal digits; zeros in front are let pass, as qmail does
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DIGITS = 10
COLON = ord(":")
COMMA = ord(",")
ZERO = ord("0")


class Malformed(ValueError):
    """These are no netstrings."""


class Unfinished(ValueError):
    """The input ends within one."""


class TooLong(ValueError):
    """One is longer than we take."""


def encode(data: bytes) -> bytes:
    """`data` as a netstring."""
    return b"%d:%s," % (len(data), data)


class Decoder:
    """Netstrings out of an input that comes in pieces; nothing of it is kept.

    `more` gives the next piece, b"" at the end.  begin() one, take what is in it, end() it; between begin() and end()
    there may be others.  Every method raises Malformed or Unfinished, and what `more` raises.
    """

    def __init__(self, more: "Callable[[], bytes]") -> None:
        self._more = more
        self._piece = b""
        self._at = 0                            # what of the piece was taken
        self._position = 0                      # of the next byte in the whole input
        self._ends: list[int] = []              # of the contents of those that were begun, the innermost last

    @property
    def left(self) -> int:
        """How many bytes are left in the one begun last."""
        return self._ends[-1] - self._position

    def at_end(self) -> bool:
        """Whether the input is over."""
        return self._at == len(self._piece) and not self._fill()

    def begin(self, limit: int) -> int:
        """Read the length of the next one and return it.  TooLong if it is more than `limit`."""
        size = digits = 0
        while (byte := self._byte()) != COLON:
            size = 10 * size + byte - ZERO
            digits += 1
            if not 0 <= byte - ZERO <= 9:
                raise Malformed("a length is made of digits")
            if digits > DIGITS:
                raise TooLong("a length of more than %d digits" % DIGITS)
        if not digits:
            raise Malformed("a netstring without its length")
        if size > limit:
            raise TooLong("%d bytes are more than %d" % (size, limit))
        end = self._position + size
        if self._ends and end >= self._ends[-1]:
            raise Malformed("a netstring is longer than what it is in")
        self._ends.append(end)
        return size

    def pieces(self) -> "Iterator[bytes]":
        """What is left in the one begun last, as it comes."""
        while left := self.left:
            if self._at == len(self._piece) and not self._fill():
                raise Unfinished("the input ends within a netstring")
            piece = self._piece[self._at:self._at + left]
            self._at += len(piece)
            self._position += len(piece)
            yield piece

    def end(self) -> None:
        """Read the comma of the one begun last, of which everything was taken."""
        if self.left:
            raise Malformed("there is more in a netstring than there should be")
        self._ends.pop()
        if self._byte() != COMMA:
            raise Malformed("a netstring does not end in a comma")

    def whole(self, limit: int, longest: int) -> "bytes | None":
        """The content of the next one; None if it has more than `limit` bytes, TooLong if more than `longest`."""
        found = None
        if self.begin(longest) > limit:
            for _ in self.pieces():
                pass
        else:
            found = b"".join(self.pieces())
        self.end()
        return found

    def _byte(self) -> int:
        if self._ends and not self.left:
            raise Malformed("what a netstring holds has no end")
        if self._at == len(self._piece) and not self._fill():
            raise Unfinished("the input ends within a netstring")
        byte = self._piece[self._at]
        self._at += 1
        self._position += 1
        return byte

    def _fill(self) -> bool:
        self._piece, self._at = self._more(), 0
        return bool(self._piece)
