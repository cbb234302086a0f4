"""JSON in ASCII, as far as scripts need it from us; Python's json costs a cold start more than all the rest.

Bytes that are not UTF-8 become the lone surrogates by which Python's surrogateescape knows them, so that a reader
can have the very bytes back.
"""

SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Value = bytes | str | int | bool | None | Sequence["Value"] | Mapping[bytes, "Value"]


def encode(value: "Value") -> bytes:
    """`value` as JSON, without a newline.  True, None, numbers, bytes, text, lists, and maps with keys of bytes."""
    if value is None or isinstance(value, bool):
        return {None: b"null", True: b"true", False: b"false"}[value]
    if isinstance(value, int):
        return b"%d" % value
    if isinstance(value, bytes):
        return _string(value.decode("utf-8", "surrogateescape"))
    if isinstance(value, str):
        return _string(value)
    if hasattr(value, "items"):
        return b"{%s}" % b", ".join([b"%s: %s" % (encode(key), encode(each)) for key, each in value.items()])
    return b"[%s]" % b", ".join([encode(each) for each in value])


def _string(text: str) -> bytes:
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return b'"%s"' % text.encode("ascii")
    return b'"%s"' % "".join([_character(each) for each in text]).encode("ascii")


def _character(each: str) -> str:
    if " " <= each <= "~":
        return SHORT.get(each, each)
    if each in SHORT:
        return SHORT[each]
    number = ord(each)
    if number < 0x10000:
        return "\\u%04x" % number
    number -= 0x10000                           # what lies beyond takes two: UTF-16's surrogates, RFC 8259 7
    return "\\u%04x\\u%04x" % (0xD800 + (number >> 10), 0xDC00 + (number & 0x3FF))
