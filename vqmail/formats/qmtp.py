"""The message in QMTP (QMAIL interface 14): one byte that says how its lines end, then its text.

    LF      lines end in LF
    CR      lines end in CR LF; a CR without a LF is text
"""


class Text:
    """Makes the text, with LF at the end of lines, of a message that comes in pieces.

    ValueError if its first byte is something else, or missing at the end.
    """

    def __init__(self) -> None:
        self._first = b""
        self._held = b""                        # a CR at the end of a piece: the LF may be in the next

    def feed(self, piece: bytes) -> bytes:
        """The text in the next piece."""
        if not self._first and piece:
            self._first, piece = piece[:1], piece[1:]
            if self._first not in (b"\n", b"\r"):
                raise ValueError("a message begins with the byte that ends its lines")
        if self._first != b"\r":
            return piece
        text = self._held + piece
        self._held = b"\r" if text.endswith(b"\r") else b""
        return text[:len(text) - len(self._held)].replace(b"\r\n", b"\n")

    def end(self) -> bytes:
        """What is still missing."""
        if not self._first:
            raise ValueError("a message without its first byte")
        return self._held
