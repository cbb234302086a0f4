"""A dot-qmail file as the administrators' commands see it: targets, and the lines of a person, kept to the byte.

    &address                forwards: a target
    | virtmailfilter        a copy for the mailbox of the same name, which the file would hide otherwise
    | vq-autorespond ...    an automatic answer
    any other program, or a file        somebody's own: foreign
    anything else           silent: a comment, a blank line, +list
"""

from vqmail.formats import dotqmail
from vqmail.record import Record

FORWARD, COPY, RESPONDER, FOREIGN, SILENT = b"forward", b"copy", b"responder", b"foreign", b"silent"
COPY_LINE = b"| virtmailfilter"
FILTER, AUTORESPOND = b"virtmailfilter", b"vq-autorespond"


class Line(Record):
    """A line: its kind, the address that a FORWARD goes to, and itself."""

    __slots__ = ("kind", "what", "text")
    kind: bytes
    what: bytes
    text: bytes


def parse(text: bytes, forward_only: bool = False) -> "list[Line]":
    """The lines.  ValueError if delivery would refuse the file, and so if it is empty."""
    meanings = {}
    for each in dotqmail.parse(text, forward_only):
        if not each.allowed:
            raise ValueError("line %d is a %s, but the file has its x bit or +list: only forwards may stand there" % (
                each.line, each.kind.decode()))
        meanings[each.line] = each
    found = []
    for number, line in enumerate(text.removesuffix(b"\n").split(b"\n"), 1):
        meaning = meanings.get(number)
        if meaning is None:
            found.append(Line(SILENT, b"", line))
        elif meaning.kind == dotqmail.FORWARD:
            found.append(Line(FORWARD, meaning.what.strip(b" \t"), line))
        else:
            found.append(Line(_kind(meaning), b"", line))
    return found


def text(lines: "list[Line]") -> bytes:
    """The file; no blank line comes first, which would spoil it."""
    first = next((number for number, each in enumerate(lines) if each.text.strip(b" \t")), len(lines))
    return b"".join([each.text + b"\n" for each in lines[first:]])


def forward(address: bytes) -> Line:
    """The line that forwards to an address."""
    return Line(FORWARD, address, b"&" + address)


def copy() -> Line:
    """The line that delivers to the mailbox."""
    return Line(COPY, b"", COPY_LINE)


def responder(arguments: bytes) -> Line:
    """The line that answers; nothing in the arguments may be there for a shell to look at twice."""
    line = AUTORESPOND + b" " + arguments
    if dotqmail.plain_words(line) is None or line.translate(None, dotqmail.PLAIN):
        raise ValueError("a shell would read something into it")
    return Line(RESPONDER, b"", b"| " + line)


def of(lines: "list[Line]", *kinds: bytes) -> "list[Line]":
    """The lines of these kinds."""
    return [each for each in lines if each.kind in kinds]


def has(lines: "list[Line]", line: Line) -> bool:
    """Whether the target `line` is one of the lines."""
    return any(same(each, line) for each in lines)


def same(one: Line, other: Line) -> bool:
    """Whether both are the same target."""
    if one.kind != other.kind or one.kind not in (FORWARD, COPY):
        return False
    local, _, host = one.what.rpartition(b"@")
    local_too, _, host_too = other.what.rpartition(b"@")
    return (local, host.lower()) == (local_too, host_too.lower())


def _kind(meaning: dotqmail.Instruction) -> bytes:
    if meaning.kind != dotqmail.PROGRAM:
        return FOREIGN
    words = dotqmail.plain_words(meaning.what) or [b""]
    name = words[0].rpartition(b"/")[2]
    if name == FILTER and len(words) == 1:
        return COPY
    return RESPONDER if name == AUTORESPOND else FOREIGN
