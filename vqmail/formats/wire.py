"""A message as it goes over the line (RFC 1939 3, RFC 5321 4.5.2): every line ends in CR LF, and a dot that begins one
is doubled.

A CR LF in the file stays one.  A CR elsewhere stays what it is on the way to a mailbox's owner (Stuffer); on the way to
another host it becomes the end of a line (Outgoing), before the dots are looked at.
"""


class Octets:
    """Counts a message that comes in pieces: `size` is its bytes, `octets` what they are over the line, without the
    dots that are doubled, with the CR LF that a last line without an end gets."""

    def __init__(self) -> None:
        self.size = 0
        self._added = 0
        self._last = b"\n"

    def add(self, piece: bytes) -> None:
        """Count the next piece."""
        if not piece:
            return
        self.size += len(piece)
        self._added += piece.count(b"\n") - piece.count(b"\r\n")
        if piece[:1] == b"\n" and self._last == b"\r":
            self._added -= 1                    # that CR LF was cut in two
        self._last = piece[-1:]

    @property
    def octets(self) -> int:
        """What was counted so far, if it ended here."""
        return self.size + self._added + (2 if self._last != b"\n" else 0)


class Stuffer:
    """Makes the wire form of a message that comes in pieces."""

    def __init__(self) -> None:
        self._at_start = True
        self._held = b""                        # a CR at the end of a piece: the LF may be in the next

    def feed(self, piece: bytes) -> bytes:
        """The wire form of the next piece."""
        text = self._held + piece
        self._held = b"\r" if text.endswith(b"\r") else b""
        if self._held:
            text = text[:-1]
        if not text:
            return b""
        form = text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").replace(b"\r\n.", b"\r\n..")
        if self._at_start and form.startswith(b"."):
            form = b"." + form
        self._at_start = form.endswith(b"\n")
        return form

    def end(self) -> bytes:
        """What is still missing: a held CR, the end of the last line, and the line with just a dot."""
        held, self._held = self._held, b""
        return held + (b".\r\n" if self._at_start and not held else b"\r\n.\r\n")


class Outgoing:
    """Makes the form in which a message that comes in pieces goes to another host.

    No CR is left without its LF, and no LF without its CR, so that every host agrees where the message ends.  `octets`
    is the size of what was made, without doubled dots and the final one (RFC 1870 5).
    """

    def __init__(self) -> None:
        self.octets = 0
        self._at_start = True
        self._held = b""                        # a CR at the end of a piece: the LF may be in the next

    def feed(self, piece: bytes) -> bytes:
        """The form of the next piece."""
        text = self._held + piece
        self._held = b"\r" if text.endswith(b"\r") else b""
        if self._held:
            text = text[:-1]
        return self._form(text)

    def end(self) -> bytes:
        """What is still missing: the end of the last line, and the line with just a dot."""
        text = b"\n" if self._held or not self._at_start else b""
        self._held = b""
        return self._form(text) + b".\r\n"

    def _form(self, text: bytes) -> bytes:
        if not text:
            return b""
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        form = text.replace(b"\n", b"\r\n")
        self.octets += len(form)
        form = form.replace(b"\n.", b"\n..")
        if self._at_start and form.startswith(b"."):
            form = b"." + form
        self._at_start = form.endswith(b"\n")
        return form


class Top:
    """Cuts a message that comes in pieces behind its header, the empty line, and `lines` lines of its body."""

    def __init__(self, lines: int) -> None:
        self.complete = False
        self._left = lines
        self._in_header = True
        self._before = b"\n"                    # the end of what was seen: an empty line may be cut in three

    def feed(self, piece: bytes) -> bytes:
        """What of the next piece belongs to it; once it is complete, no more does."""
        start = 0
        if self._in_header:
            text = self._before + piece
            ends = [at + len(each) for each in (b"\n\n", b"\n\r\n") if (at := text.find(each)) >= 0]
            if not ends:
                self._before = text[-2:]
                return piece
            start = min(ends) - len(self._before)
            self._in_header = False
        there = piece.count(b"\n", start)
        if there < self._left:
            self._left -= there
            return piece
        for _ in range(self._left):
            start = piece.find(b"\n", start) + 1
        self.complete = True
        return piece[:start]
