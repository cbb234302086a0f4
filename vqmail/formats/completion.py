"""What vq-inject does to a field of addresses: each is completed, and long lines are broken (QMAIL interface 15.1).

A field in which there is nothing to complete stays as it is, for it may be signed, unless a line is longer than LINE.

    joe                     joe@DEFAULTHOST
    joe@cs+                 joe@cs.PLUSDOMAIN
    joe@cs                  joe@cs.DEFAULTDOMAIN
    <@a,@b:joe@c.example>   <joe@c.example>
"""

from vqmail.record import Record

WIDTH = 78                      # RFC 5322 2.1.1: what a line should have at most ...
LINE = 998                      # ... and what it must

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.formats.addresses import Address, List

    Edit = tuple[int, int, bytes]


class Hosts(Record):
    """What completes an address: control/defaulthost, defaultdomain and plusdomain."""

    __slots__ = ("host", "domain", "plus")
    host: bytes
    domain: bytes
    plus: bytes

    def complete(self, domain: bytes) -> bytes:
        """`domain` as it is meant: none is the default host, a + at the end the plus domain, without a dot it is one
        of the default domain (QMAIL interface 15.1)."""
        domain = domain or self.host
        if domain.startswith(b"["):
            return domain
        if domain.endswith(b"+"):
            stem = domain[:-1]
            return stem + (b"." if stem and not stem.endswith(b".") else b"") + self.plus
        return domain if b"." in domain else domain + b"." + self.domain

    def envelope(self, address: "Address") -> bytes:
        """`address` as it goes into an envelope; b"" for the empty one."""
        return address.local + b"@" + self.complete(address.domain) if address.local else b""


def rewrite(text: bytes, found: "List", hosts: Hosts, column: int) -> bytes:
    """The value `text`, parsed as `found`, with each address completed, and then no line longer than WIDTH if it can
    be broken after a comma.  All other bytes stay.  It begins in column `column`."""
    edits: list[Edit] = [(each, each + 1, b",") for each in found.semicolons]
    for each in found.addresses:
        edits += _completion(each, hosts)
    first, *others = text.split(b"\n")
    if not edits and column + len(first) <= LINE and all(len(each) <= LINE for each in others):
        return text
    edits.sort()
    return _fold(_pieces(text, edits, found.commas), column)


def _completion(address: "Address", hosts: Hosts) -> "list[Edit]":
    if not address.local:
        return []
    edits = []
    if address.route[0] < address.route[1]:
        edits.append((*address.route, b""))
    whole = hosts.complete(address.domain)
    if whole != address.domain or address.end < address.tail:
        start, kept = address.end, address.domain
        if kept.endswith(b"+"):
            start, kept = start - 1, kept[:-1]
        rest = whole[len(kept):]
        edits.append((start, address.tail, rest if address.at else b"@" + rest))
    return edits


def _pieces(text: bytes, edits: "list[Edit]", breaks: "list[int]") -> "list[bytes]":
    """`text` with its edits made, cut at `breaks`.  No edit goes across a break."""
    pieces = []
    at = 0
    pending = 0
    for stop in (*breaks, len(text)):
        parts = []
        while pending < len(edits) and edits[pending][1] <= stop:
            start, end, new = edits[pending]
            parts += [text[at:start], new]
            at = end
            pending += 1
        parts.append(text[at:stop])
        at = stop
        pieces.append(b"".join(parts))
    return pieces


def _fold(pieces: "list[bytes]", column: int) -> bytes:
    out: list[bytes] = []
    for piece in pieces:
        first = piece.partition(b"\n")[0]
        if out and column + len(first) > WIDTH and first.strip(b" \t\r"):
            piece = b"\n" + piece if piece[:1] in (b" ", b"\t") else b"\n " + piece
        out.append(piece)
        last = piece.rfind(b"\n")
        column = len(piece) - last - 1 if last >= 0 else column + len(piece)
    return b"".join(out)
