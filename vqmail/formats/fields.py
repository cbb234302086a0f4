"""The header of a message that somebody hands in, field by field, and where it ends.

A header ends with an empty line, or before the first line that is neither a field nor the continuation of one.  Lines
may end in CR LF.  The From_ line of an mbox is no end: it becomes a field.
"""

FROM_LINES = (b"From ", b">From ")
MBOX = b"MBOX-Line: "
LINE = 998                      # RFC 5322 2.1.1: bytes of a line; more than a name has
LOOK = 1 << 16                  # bytes behind a header without an empty line that are looked through
RECIPIENTS = (b"to", b"cc", b"bcc", b"apparently-to", b"resent-to", b"resent-cc", b"resent-bcc")


class TooLarge(ValueError):
    """The header is larger than the limit."""


def name(field: bytes) -> bytes:
    """The name of a field, in lower case; b"" if there is none."""
    word, colon, _ = field.partition(b":")
    word = word.rstrip(b" \t")                                                          # RFC 5322 4.5
    proper = colon and word.isascii() and word.decode("ascii").isprintable() and b" " not in word
    return word.lower() if proper else b""


def value(field: bytes) -> bytes:
    """What stands behind the colon of a field, folded as it is, without its last line end."""
    return field.partition(b":")[2].removesuffix(b"\n")


class Reader:
    """Takes a message in pieces, until the header is `complete`.  TooLarge if it has more than `limit` bytes.

    `rest` is then what was fed of the body.  `has_crlf` says whether the line that ended the header ended in CR LF,
    `stray` is the line that ended it if that was not an empty one.
    """

    def __init__(self, limit: int = 1 << 20) -> None:
        self.complete = False
        self.has_crlf = False
        self.stray = b""
        self.rest = b""
        self._limit = limit
        self._size = 0
        self._lines: list[bytes] = []
        self._begun = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next piece; b"" is the end of the message."""
        known = len(self._begun)                # bytes without a line end
        self._begun += data
        at = 0
        while (end := self._begun.find(b"\n", max(at, known))) >= 0:
            if self._ends_with(bytes(self._begun[at:end])):
                self._end(at if self.stray else end + 1)
                return
            at = end + 1
        del self._begun[:at]
        known = max(known - at, 0)
        if self._begun and not data:
            self._end(0 if self._ends_with(bytes(self._begun)) else len(self._begun))
        elif not data:
            self._end(0)
        elif known <= LINE < len(self._begun):  # not a field, whatever its end may be
            start = bytes(self._begun[:LINE + 1])
            if not start.startswith(FROM_LINES) and not self._belongs(start):
                self.stray = start
                self._end(0)
        elif len(self._begun) > self._limit:
            raise TooLarge("more than %d bytes" % self._limit)

    def fields(self) -> "list[bytes]":
        """The fields, each with all its lines, all ending in a newline."""
        found: list[list[bytes]] = []
        for line in self._lines:
            if line.startswith((b" ", b"\t")):
                found[-1].append(line)
            else:
                found.append([line])
        return [b"\n".join([*each, b""]) for each in found]

    def hidden(self) -> bytes:
        """The first line behind a stray one, up to an empty line, that looks like a field with recipients; b"" if there
        is none in what was fed."""
        if self.stray:
            for line in self.rest[:LOOK].split(b"\n"):
                if not line.strip(b" \t\r"):
                    break
                if name(line) in RECIPIENTS:
                    return line
        return b""

    def _end(self, start: int) -> None:
        self.rest = bytes(self._begun[start:])
        self._begun.clear()
        self.complete = True

    def _ends_with(self, line: bytes) -> bool:
        """Take a line, which may end in a CR; whether it ends the header."""
        carriage = line.endswith(b"\r")
        line = line.removesuffix(b"\r")
        if line.startswith(FROM_LINES):
            line = MBOX + line
        if not self._belongs(line):
            self.has_crlf, self.stray = carriage, line
            return True
        self._size += len(line) + 1
        if self._size > self._limit:
            raise TooLarge("more than %d bytes" % self._limit)
        # a CR elsewhere would be the end of a line for the next host
        self._lines.append(line.replace(b"\r", b" "))
        return False

    def _belongs(self, line: bytes) -> bool:
        return bool(name(line[:LINE + 1])) or (line.startswith((b" ", b"\t")) and bool(self._lines))
