"""The grammar of control files (QMAIL interface 11).

    line    one value: the first line without its trailing spaces, tabs and newline; no comments
    number  the leading decimal digits of that line
    list    one entry a line; trailing white space goes, lines that are empty or start with # are skipped,
            a space at the start of a line belongs to the entry
    map     a list of key:value; the key ends at the first colon; a line without a colon is no entry;
            of two lines with one key the last one counts
"""

BLANK = b" \t\n"


def line(text: bytes) -> bytes:
    """The one value in `text`; b"" if the first line is blank."""
    return text.partition(b"\n")[0].rstrip(BLANK)


def number(text: bytes) -> "int | None":
    """The number at the start of `text`, or None if there is no digit there."""
    value = line(text)
    digits = value[:len(value) - len(value.lstrip(b"0123456789"))]
    return int(digits[:18]) if digits else None


def entries(text: bytes) -> "list[bytes]":
    """The entries of a list, in order."""
    stripped = (each.rstrip(BLANK) for each in text.split(b"\n"))
    return [each for each in stripped if each and not each.startswith(b"#")]


def numbered(text: bytes) -> "list[tuple[int, bytes]]":
    """The entries of a list, each with the number of its line."""
    stripped = ((number, each.rstrip(BLANK)) for number, each in enumerate(text.split(b"\n"), 1))
    return [(number, each) for number, each in stripped if each and not each.startswith(b"#")]


def mapping(text: bytes) -> "dict[bytes, bytes]":
    """A map, its keys lower-cased."""
    pairs = (each.partition(b":") for each in entries(text))
    return {key.lower(): value for key, colon, value in pairs if colon}
