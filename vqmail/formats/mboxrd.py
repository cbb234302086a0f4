"""mbox bodies, the rd kind: a line that looks like a separator, with any number of `>` before it, gets one more."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST = 1 << 16               # bytes of a line that are looked at together


def quoted(pieces: "Iterable[bytes]") -> "Iterator[bytes]":
    """The message in `pieces` as it stands in an mbox after its From_ line: quoted, its last line complete, and an
    empty line."""
    rest = b""                  # an unfinished line
    middle = False              # of which the beginning has been given out already
    last = b"\n"
    for piece in pieces:
        text = rest + piece if rest else piece
        cut = text.rfind(b"\n") + 1
        if not cut and len(text) > LONGEST:
            cut = len(text)
        if cut:
            whole, rest = text[:cut], text[cut:]
            yield _quote(whole, middle)
            middle = whole[-1:] != b"\n"
            last = whole[-1:]
        else:
            rest = text
    if rest:
        yield _quote(rest, middle)
        last = rest[-1:]
    yield b"\n" if last == b"\n" else b"\n\n"


def _quote(text: bytes, middle: bool) -> bytes:
    if b"From " not in text:
        return text
    lines = text.split(b"\n")
    for at in range(1 if middle else 0, len(lines)):
        if lines[at].lstrip(b">").startswith(b"From "):
            lines[at] = b">" + lines[at]
    return b"\n".join(lines)
