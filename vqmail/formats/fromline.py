"""Messages of an mbox that others wrote: each begins with a line `From `, after an empty line or at the file's start.

What stands before the first such line is no message.  One `>` is taken off lines `>From `, `>>From ` ...
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def messages(lines: "Iterable[bytes]") -> "Iterator[list[bytes]]":
    """The lines, each with its newline, of each message, without the From_ line and the empty line at the end."""
    found: list[bytes] | None = None
    empty = True
    for line in lines:
        if empty and line.startswith(b"From "):
            if found is not None:
                yield _without_end(found)
            found = []
        elif found is not None:
            found.append(line[1:] if line[:1] == b">" and line.lstrip(b">").startswith(b"From ") else line)
        empty = line in (b"\n", b"\r\n")
    if found is not None:
        yield _without_end(found)


def _without_end(found: "list[bytes]") -> "list[bytes]":
    return found[:-1] if found and found[-1] in (b"\n", b"\r\n") else found
