"""One line to descriptor 2; multilog adds the time.

What a stranger chose must not forge a line or move a terminal's cursor, so everything outside
printable ASCII becomes an escape.
"""

from vqmail.unix import calls, fd

LIMIT = 4000            # a longer line is cut: one message must not fill the log


def line(name: bytes, text: "bytes | str") -> None:
    """Write `name: text` and a newline.  A log that cannot be written stops nobody."""
    if isinstance(text, str):
        text = text.encode("utf-8", "surrogateescape")
    try:
        fd.write_all(2, b"%s: %s\n" % (name, printable(text[:LIMIT])))
    except OSError:
        return


def printable(text: bytes) -> bytes:
    """`text` with every byte outside 32..126 written as \\xNN."""
    if text.isascii() and text.decode("ascii").isprintable():
        return text
    return b"".join(b"%c" % byte if 32 <= byte < 127 else b"\\x%02x" % byte for byte in text)


def reason(error: Exception, place: bytes = b"") -> str:
    """What is wrong, in words: an OSError's with the file that it is about, or else with `place`."""
    if not isinstance(error, OSError):
        return str(error)
    path = error.filename or place
    where = path.decode("utf-8", "replace") if isinstance(path, bytes) else str(path)
    return (where and where + ": ") + (error.strerror or str(error))


def name_of(argv: "list[bytes]") -> bytes:
    """The name a program goes by in the log: the last part of argv[0]."""
    return argv[0].rpartition(b"/")[2] if argv else b"vqmail"


def pid() -> int:
    """This process, as log lines name it."""
    return calls.getpid()
