"""Colours on a terminal, for the commands that administrators read."""

RED, GREEN, YELLOW = b"31", b"32", b"33"


def paint(text: bytes, colour: bytes, *, wanted: bool) -> bytes:
    """`text` in `colour` if that is `wanted`, else as it is."""
    return b"\x1b[%sm%s\x1b[0m" % (colour, text) if wanted else text
