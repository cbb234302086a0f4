"""A bounce for both kinds of programs: those that read QSBMF (QMAIL interface 9), and those that read RFC 3464.

    paragraph       <address>:\\n report, no empty line in it, none that begins with < or -, \\n
    message         header, "Hi. This is the", the paragraphs, a break line; then what RFC 3464 wants

QSBMF wants the body to begin with "Hi. This is the", and multipart/report to begin with a boundary.  So the first line
stands once more where MIME has its preamble, and the boundary follows without an empty line: to a reader of paragraphs
it belongs to the introduction.  The break line ends the part for people, and with it what such a reader looks at.
"""

from vqmail.formats import dsn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BREAK = b"--- Below this line is a copy of the message.\n"
BREAK_HEADER = b"--- Below this line is a copy of the mail header.\n"
BREAK_DOUBLE = b"--- Below this line is the original bounce.\n"
DOUBLE = b"#@[]"                # the sender of a bounce's bounce: when that bounces too, enough is enough
SUBJECT = b"failure notice"
# what a program or another host has put into its report may not break the lines of a mail
CLEAN = bytes(each if each >= 32 or each in b"\t\n" else ord("?") for each in range(256))


def paragraph(recipient: bytes, report: bytes) -> bytes:
    """What is said of one recipient; always ends with an empty line, and has no other.

    Some readers take each line that begins with < for a recipient, and one that begins with - for the end: who answers
    for one recipient must not speak of others.
    """
    text = b"<%s>:\n%s" % (recipient.replace(b"\n", b"_"), report.replace(b"\r\n", b"\n"))
    text = text.translate(CLEAN)
    while b"\n\n" in text:
        text = text.replace(b"\n\n", b"\n/")
    first, _, rest = text.rstrip(b"\n").partition(b"\n")
    lines = dsn.with_short_lines(rest).split(b"\n") if rest else []
    lines = [b"/" + each if each.lstrip()[:1] in (b"<", b"-") else each for each in lines]
    return b"\n".join([first, *lines, b"", b""])


def paragraphs(pieces: "Iterable[bytes]") -> "Iterator[tuple[bytes, bytes]]":
    """(address, report) of each paragraph in the pieces of a bounce/N."""
    begun = b""
    for piece in pieces:
        *whole, begun = (begun + piece).split(b"\n\n")
        for each in whole:
            first, _, report = each.partition(b"\n")
            yield first.removeprefix(b"<").removesuffix(b">:"), report + b"\n"


def person(sender: bytes) -> bytes:
    """The address of `sender`: without the suffix that asks for VERP, which is for the recipients."""
    return sender.removesuffix(b"-@[]")


def envelope(sender: bytes, double_to: bytes) -> "tuple[bytes, bytes] | None":
    """(sender, recipient) of the bounce of a message from `sender`; None when there is to be none."""
    if sender == DOUBLE:
        return None
    if person(sender):
        return b"", person(sender)
    return (DOUBLE, double_to) if double_to else None


def preamble(host: bytes) -> bytes:
    """What the body begins with; its line is to be ended by the boundary."""
    return b"Hi. This is the qmail-send program at %s." % host


def introduction(host: bytes, *, double: bool) -> bytes:
    """The first paragraph of the part for people."""
    if double:
        return preamble(host) + b"\nA bounce that I sent could not be delivered.\n\n"
    return preamble(host) + (b"\nYour message could not be delivered to the addresses below, and I have given up.\n"
                             b"What each of them answered follows its name.\n\n")


def break_line(kind: bytes, *, double: bool) -> bytes:
    """What ends the paragraphs; `kind` is the type of the last part."""
    if double:
        return BREAK_DOUBLE
    return BREAK if kind == dsn.WHOLE else BREAK_HEADER
