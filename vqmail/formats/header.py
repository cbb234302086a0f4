"""The header lines we write, and the two things we look for in a header: hops and our own Delivered-To."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# what a stranger may choose in a Received line; everything else becomes a question mark
SAFE = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.@%+/=:-[]_"
SAFE_TABLE = bytes(each if each in SAFE else ord("?") for each in range(256))

BLANKS_TABLE = bytes.maketrans(b" \t\n", b"---")


def safe(text: bytes) -> bytes:
    """`text` fit for a Received line."""
    return text.translate(SAFE_TABLE)


def trace(pid: int, how: bytes, date: bytes) -> bytes:
    """The line vq-queue puts on top; `how` is `from network`, `by uid 1000`, ..."""
    return b"Received: (qmail %d invoked %s); %s\n" % (pid, how, date)


def received(host: bytes, helo: bytes, info: bytes, ip: bytes, local: bytes, protocol: bytes, date: bytes) -> bytes:
    """The line a server puts on what comes from the network (QMAIL interface 12.4).

    `helo` shows only if it is not `host` in whatever case; `info`, what the client's ident server said, may be empty.
    An IPv6 address is written [IPv6:...].                                  # RFC 5321 4.1.3
    """
    said = b" (HELO %s)" % safe(helo) if helo and helo.lower() != host.lower() else b""
    who = safe(info) + b"@" if info else b""
    return b"Received: from %s%s (%s%s)\n  by %s with %s; %s\n" % (
        safe(host), said, who, _literal(safe(ip)), _literal(safe(local)), protocol, date)


def _literal(place: bytes) -> bytes:
    return b"[IPv6:%s]" % place if b":" in place else place


def delivered_to(recipient: bytes) -> bytes:
    """DTLINE: the line that ends loops."""
    return b"Delivered-To: %s\n" % recipient.replace(b"\n", b"_")


def return_path(quoted_sender: bytes) -> bytes:
    """RPLINE: the envelope sender, quoted already, as the last delivery writes it down."""
    return b"Return-Path: <%s>\n" % quoted_sender.replace(b"\n", b"_")


def from_line(sender: bytes, date: bytes) -> bytes:
    """UFLINE: what separates messages in an mbox."""
    return b"From %s %s\n" % (sender.translate(BLANKS_TABLE) or b"MAILER-DAEMON", date)


def is_looping(pieces: "Iterable[bytes]", recipient: bytes) -> bool:
    """Whether the header of the message in `pieces` has our Delivered-To line for `recipient` already."""
    watch = Looping(recipient)
    for each in pieces:
        if watch.feed(each):
            return True
        if watch.over:
            return False
    return watch.end()


class Looping:
    """Looks for our Delivered-To lines for `recipients` in a message fed in pieces; `over` when its header is.

    The local part is compared to the byte, the domain in any case: a host that changes its case must not feed a
    loop for ever.  Headers of any size are looked through, little of them is kept.
    """

    def __init__(self, *recipients: bytes) -> None:
        self.over = False
        self._lines = []
        for each in recipients:
            line = b"\n" + delivered_to(each)
            self._lines.append((line, line.lower(), line.rindex(b"@") if b"@" in line else len(line)))
        self._keep = max((len(line) for line, _, _ in self._lines), default=1)
        self._text = b"\n"                      # as if a line had ended before the first

    def feed(self, piece: bytes) -> bool:
        """Look at the next piece; whether there is such a line."""
        if self.over:
            return False
        text = self._text + piece
        end = text.find(b"\n\n")
        self.over = end >= 0
        self._text = b"" if self.over else text[-self._keep:]
        return self._found(text[:end + 1] if self.over else text)

    def end(self) -> bool:
        """The message is over, be it in the middle of a line; whether that is one."""
        return not self.over and self._found(self._text + b"\n")

    def _found(self, text: bytes) -> bool:
        return any(_has(text, *each) for each in self._lines)


def _has(text: bytes, line: bytes, lower: bytes, exact: int) -> bool:
    folded = text.lower()
    at = folded.find(lower)
    while at >= 0:
        if text.startswith(line[:exact], at):
            return True
        at = folded.find(lower, at + 1)
    return False


def values(text: bytes, name: bytes) -> "list[bytes]":
    """What the fields called `name`, which is in lower case, say in the header `text`, in order, unfolded."""
    found: list[bytes] = []
    ours = False
    for line in text.split(b"\n"):
        if line.startswith((b" ", b"\t")):      # RFC 5322 2.2.3
            if ours:
                found[-1] += line
            continue
        word, colon, value = line.partition(b":")
        ours = bool(colon) and word.rstrip(b" \t").lower() == name
        if ours:
            found.append(value)
    return [each.strip(b" \t\r") for each in found]


class Header:
    """Collects the header of a message fed in pieces: everything before the first empty line.

    `text` is what was seen of it, `complete` says whether its end was seen.  No more than `limit` bytes are kept.
    """

    def __init__(self, limit: int = 1 << 20) -> None:
        self.text = b""
        self.complete = False
        self._limit = limit

    def feed(self, data: bytes) -> None:
        """Look at the next piece of the message."""
        if self.complete:
            return
        text = self.text + data if self.text else data
        if text[:1] == b"\n":
            self.text, self.complete = b"", True
            return
        end = text.find(b"\n\n", max(len(self.text) - 1, 0))
        if end >= 0:
            self.text, self.complete = text[:end + 1], True
        elif len(text) > self._limit:
            self.text, self.complete = text[:self._limit], True
        else:
            self.text = text

    def hops(self) -> int:
        """How many lines begin with `received` or `delivered`, in any case (QMAIL interface 12.4)."""
        lower = b"\n" + self.text.lower()
        return lower.count(b"\nreceived") + lower.count(b"\ndelivered")

    def has_line(self, line: bytes) -> bool:
        """Whether `line`, which ends in a newline, is one of the lines, to the byte."""
        text = self.text if self.text.endswith(b"\n") else self.text + b"\n"
        return text.startswith(line) or b"\n" + line in text
