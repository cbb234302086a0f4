"""Replies of another server, as they arrive (RFC 5321 4.2).

    ( code - text end )*  code [ space text ] end

The end of a line is LF; a CR is ignored.  The last line's code counts.  The answer to EHLO has a meaning in each line.
"""

from vqmail.record import Record

LINE_LIMIT = 4096               # bytes of a line; 512 must be allowed                           RFC 5321 4.5.3.1.5
LINES_LIMIT = 100               # of one reply
TEXT_LIMIT = 5000               # bytes kept of a reply

# what a report may show of a reply: it goes into logs and bounces
SHOWN = bytes(each if each in b"\t\n" or 31 < each != 127 else ord("?") for each in range(256))


class Nonsense(ValueError):
    """The server does not speak SMTP, or says too much."""


class Reply(Record):
    """A reply; `text` is all its lines, codes included, each with a newline."""

    __slots__ = ("code", "text")
    code: int
    text: bytes

    @property
    def good(self) -> bool:
        """Whether it is a yes."""
        return self.code // 100 == 2

    @property
    def bad(self) -> bool:
        """Whether it is a no for ever."""
        return self.code // 100 == 5


class Replies:
    """Replies as they arrive, in pieces."""

    def __init__(self) -> None:
        self._buffer = b""
        self._text = b""
        self._lines = 0

    def feed(self, data: bytes) -> None:
        """Take what came from the server."""
        self._buffer += data

    def pending(self) -> bool:
        """Whether something is there that nobody has looked at."""
        return bool(self._buffer or self._lines)

    def next(self) -> "Reply | None":
        """The next reply, None if it is not complete.  Nonsense."""
        while True:
            line, found, rest = self._buffer.partition(b"\n")
            if len(line) > LINE_LIMIT:
                raise Nonsense("a line of more than %d bytes" % LINE_LIMIT)
            if not found:
                return None
            self._buffer = rest
            line = line.replace(b"\r", b"")
            code, mark = line[:3], line[3:4]
            if len(code) < 3 or not code.isdigit() or mark not in (b"", b" ", b"-"):                # RFC 5321 4.2
                raise Nonsense("not a reply: %r" % line[:80])
            self._lines += 1
            if self._lines > LINES_LIMIT:
                raise Nonsense("a reply of more than %d lines" % LINES_LIMIT)
            if len(self._text) < TEXT_LIMIT:
                self._text = (self._text + line.translate(SHOWN))[:TEXT_LIMIT - 1] + b"\n"
            if mark != b"-":
                reply = Reply(int(code), self._text)
                self._text, self._lines = b"", 0
                return reply


def offers(text: bytes) -> "dict[bytes, list[bytes]]":
    """What a server offers, in its answer to EHLO: keyword to parameters, all in upper case."""
    found: dict[bytes, list[bytes]] = {}
    for line in text.split(b"\n")[1:-1]:       # behind the last newline is nothing
        # AUTH=LOGIN is how it was written before there was a standard
        keyword, *parameters = line[4:].upper().replace(b"AUTH=", b"AUTH ").split() or [b""]
        found[keyword] = found.get(keyword, []) + parameters
    return found


def size_limit(offered: "dict[bytes, list[bytes]]") -> int:
    """How many octets of a message it takes; 0 if it does not say."""
    value = offered.get(b"SIZE", [])[:1]                                                            # RFC 1870 4
    return int(value[0]) if value and value[0].isdigit() and len(value[0]) <= 18 else 0
