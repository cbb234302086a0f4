"""What a message lacks when its author hands it in: Date and Message-ID, at the end of its header (RFC 6409 8.2, 8.3).

Nothing that is there is touched, to the byte: it may be signed, and an author's Bcc is his own affair.  A field that
is there counts, whatever it says.  From is not added: the author did not say who he is, and nobody else may
(RFC 6409 8.1 allows a Sender, which would tell the world a login).

The header ends with the first empty line, or with a line that can be no part of one: then the empty line, too, is
added, unless nothing is missing.
"""

LONGEST = 256                   # bytes of the name of a field; as much is held back at most
BLANK = b" \t"
FROM_LINES = (b"From ", b">From ")      # of an mbox, on top of the header

UNDECIDED, FIELD, END, BODY = "undecided", "field", "end", "body"


class Filter:
    """Passes a message on, fed in pieces, and adds the lines `missing`, name in lower case -> line, that it lacks."""

    def __init__(self, missing: "dict[bytes, bytes]") -> None:
        self._missing = dict(missing)
        self._held = b""                        # the start of a line, too little to know what it is
        self._inside = False                    # in a line whose start is known
        self._first = True
        self._over = False

    def feed(self, data: bytes) -> bytes:
        """The next piece of the message, as it is to be written."""
        if self._over:
            return data
        text, self._held = self._held + data, b""
        at = 0
        while True:
            if self._inside:
                end = text.find(b"\n", at)
                if end < 0:
                    return text
                at, self._inside = end + 1, False
            if at == len(text):
                return text
            kind = self._kind(text, at)
            if kind is UNDECIDED:
                self._held = text[at:]
                return text[:at]
            if kind is not FIELD:
                return text[:at] + self._end(kind) + text[at:]
            self._inside, self._first = True, False

    def end(self) -> bytes:
        """What is still to be written when the message is over."""
        if self._over:
            return b""
        if self._held:
            held, self._held = self._held, b""
            return self._end(BODY) + held
        return (b"\n" if self._inside and self._missing else b"") + self._end(END)

    def _end(self, kind: str) -> bytes:
        self._over = True
        added = b"".join(self._missing.values())
        return added + b"\n" if kind is BODY and added else added

    def _kind(self, text: bytes, at: int) -> str:
        """What the line is that begins at `at`; a field that is missing no longer is."""
        first = text[at:at + 1]
        if first == b"\n":
            return END
        if first in BLANK:                                                      # RFC 5322 2.2.3
            return BODY if self._first else FIELD
        if self._first:
            start = text[at:at + 6]
            if start.startswith(FROM_LINES):
                return FIELD
            if any(each.startswith(start) for each in FROM_LINES):
                return UNDECIDED
        limit = at + LONGEST
        colon = text.find(b":", at, limit)
        line_end = text.find(b"\n", at, colon if colon >= 0 else limit)
        if line_end >= 0:
            return BODY
        if colon < 0:
            return BODY if len(text) >= limit else UNDECIDED
        name = text[at:colon].rstrip(BLANK)                                     # RFC 5322 4.5: blanks before the colon
        if not name or any(not 32 < each < 127 for each in name):
            return BODY
        self._missing.pop(name.lower(), None)
        return FIELD
