"""The arguments of MAIL and RCPT: a path and its parameters (RFC 5321 4.1.2).

    FROM:<sender> KEYWORD=value ...        TO:<recipient> KEYWORD=value ...

The address comes out as the rest of the system knows it: without the source route, without quotes and
backslashes.  It is checked and delivered in this one form.  Spaces after the colon, and an address without angle
brackets, are taken as qmail takes them; anything else must be as the RFC has it.
"""

from vqmail.proto import reply
from vqmail.record import Record

ADDRESS_LIMIT = 899             # bytes, qmail's; the queue's is 1002


class Refused(ValueError):
    """The argument cannot be taken; `reply` says why."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(answer)
        self.reply = answer


class Path(Record):
    """An address, and its parameters as (KEYWORD, value)."""

    __slots__ = ("address", "parameters")
    address: bytes
    parameters: "list[tuple[bytes, bytes]]"


def reverse(argument: bytes) -> Path:                                           # RFC 5321 4.1.1.2
    """The path of MAIL; its address may be empty.  Refused if it is malformed."""
    path = _parse(argument, b"FROM", reply.BAD_SENDER)
    _check(path.address, reply.BAD_SENDER)
    return path


def forward(argument: bytes) -> Path:                                           # RFC 5321 4.1.1.3
    """The path of RCPT.  Refused if it is malformed or empty."""
    path = _parse(argument, b"TO", reply.BAD_RECIPIENT)
    if not path.address:
        raise Refused(reply.BAD_RECIPIENT)
    _check(path.address, reply.BAD_RECIPIENT)
    return path


def _parse(argument: bytes, word: bytes, malformed: bytes) -> Path:
    keyword, _, rest = argument.partition(b":")
    rest = rest.strip(b" ")
    if keyword.rstrip(b" ").upper() != word or not rest:
        raise Refused(reply.SYNTAX)
    stop = b" "
    if rest.startswith(b"<"):
        rest, stop = rest[1:], b">"
    if rest.startswith(b"@"):                                                   # RFC 5321 F.2: routes are ignored
        route, _, rest = rest.partition(b":")
        if b">" in route or b" " in route:
            raise Refused(malformed)
    if b'"' in rest or b"\\" in rest:
        address, after = _unquote(rest, stop, malformed)
    else:
        address, found, after = rest.partition(stop)
        if b" " in address or b"<" in address or b">" in address or (stop == b">" and not found):
            raise Refused(malformed)
    if stop == b">" and after[:1] not in (b"", b" "):
        raise Refused(reply.SYNTAX)
    return Path(address, [_parameter(each) for each in after.split(b" ") if each])


def _parameter(word: bytes) -> "tuple[bytes, bytes]":
    keyword, _, value = word.partition(b"=")
    return keyword.upper(), value


def _unquote(text: bytes, stop: bytes, malformed: bytes) -> "tuple[bytes, bytes]":
    """(address without quotes, what follows `stop`).  Byte by byte: quotes are rare, and a line is short."""
    address = bytearray()
    quoted = False
    at = 0
    while at < len(text):
        byte = text[at:at + 1]
        if byte == b"\\":
            at += 1
            address += text[at:at + 1]
            if at == len(text):
                raise Refused(malformed)
        elif byte == b'"':
            quoted = not quoted
        elif byte == stop and not quoted:
            return bytes(address), text[at + 1:]
        elif byte in b" <>" and not quoted:
            raise Refused(malformed)
        else:
            address += byte
        at += 1
    if quoted or stop == b">":
        raise Refused(malformed)
    return bytes(address), b""


def _check(address: bytes, malformed: bytes) -> None:
    if len(address) > ADDRESS_LIMIT:
        raise Refused(reply.TOO_LONG)
    if not address.isascii():                                                   # RFC 6531 3.5
        raise Refused(reply.NOT_ASCII)
    if not address.decode("ascii").isprintable():       # a NUL or a newline would break the envelope, or a header
        raise Refused(malformed)
    if address.startswith(b"@") or address.endswith(b"@"):
        raise Refused(malformed)
