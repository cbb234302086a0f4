"""Rules of tcpserver, as tcprules compiles them (QMAIL interface 18.2).

    key     an address, a prefix of it that ends in a dot, =host, =.suffix, info@address, or nothing
    data    D NUL: deny; +NAME=value NUL: set NAME

The first key that is there decides.  No key: allowed, nothing set.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def keys(ip: bytes, host: "bytes | None", info: "bytes | None") -> "Iterator[bytes]":
    """What to look up, in this order.  An IPv6 address has prefixes that end in a colon."""
    if info:
        yield info + b"@" + ip
        if host:
            yield info + b"@=" + host
    yield ip
    if host:
        yield b"=" + host
    separator = b":" if b":" in ip else b"."
    end = ip.rfind(separator)
    while end >= 0:
        yield ip[:end + 1]
        end = ip.rfind(separator, 0, end)
    if host:
        start = host.find(b".")
        while start >= 0:
            yield b"=" + host[start:]
            start = host.find(b".", start + 1)
        yield b"="
    yield b""


def decode(data: bytes) -> "tuple[bool, dict[bytes, bytes]]":
    """(allowed, what to set) of a rule.  ValueError if it is none."""
    allowed = True
    variables = {}
    for part in data.split(b"\0")[:-1]:
        if part[:1] == b"D":
            allowed = False
        elif part[:1] == b"+":
            name, equals, value = part[1:].partition(b"=")
            if not equals:
                raise ValueError("a variable without a value")
            variables[name] = value
        else:
            raise ValueError("unknown instruction %r" % part[:1])
    return allowed, variables
