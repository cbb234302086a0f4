"""Rules of tcpserver, as tcprules compiles them (QMAIL interface 18.2).

    key     an address, a prefix of it that ends in a dot, =host, =.suffix, =, info@address, or nothing
    data    D NUL: deny; +NAME=value NUL: set NAME; -NAME NUL: unset NAME, which only some tcprules know

The first key that is there decides.  No key: allowed, nothing set.

An IPv6 address has prefixes that end in a colon.  It is written in more than one way, and a rule must hold
however a client has chosen its zeros: both the short form (2001:db8::1) and the one with all eight groups
(2001:db8:0:0:0:0:0:1) are looked for.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

GROUPS = 8


def keys(ip: bytes, host: "bytes | None", info: "bytes | None") -> "Iterator[bytes]":
    """What to look up, in this order; `host` and `info` are None when they are not known."""
    if info is not None:
        yield info + b"@" + ip
        if host is not None:
            yield info + b"@=" + host
    yield ip
    long = _all_groups(ip)
    if long != ip:
        yield long
    if host is not None:
        yield b"=" + host
    if b":" in ip:
        for prefix in _prefixes(ip, b":"):
            if b"::" in prefix:
                yield prefix
        yield from _prefixes(long, b":")
    else:
        yield from _prefixes(ip, b".")
    if host is not None:
        start = host.find(b".")
        while start >= 0:
            yield b"=" + host[start:]
            start = host.find(b".", start + 1)
        yield b"="
    yield b""


def decode(data: bytes) -> "tuple[bool, dict[bytes, bytes | None]]":
    """(allowed, what to set) of a rule; a variable that is None is to be unset."""
    allowed = True
    variables: dict[bytes, bytes | None] = {}
    for part in data.split(b"\0")[:-1]:
        name, equals, value = part[1:].partition(b"=")
        if part[:1] == b"D":
            allowed = False
        elif part[:1] == b"+" and equals:
            variables[name] = value
        elif part[:1] == b"-":
            variables[part[1:]] = None
    return allowed, variables


def _prefixes(text: bytes, separator: bytes) -> "Iterator[bytes]":
    """The prefixes of `text` that end in `separator`, the longest first."""
    end = text.rfind(separator)
    while end >= 0:
        yield text[:end + 1]
        end = text.rfind(separator, 0, end)


def _all_groups(ip: bytes) -> bytes:
    """An IPv6 address without the :: that stands for groups of zero; any other as it is."""
    before, short, after = ip.partition(b"::")
    if not short or b"." in ip:
        return ip
    left = before.split(b":") if before else []
    right = after.split(b":") if after else []
    return b":".join([*left, *[b"0"] * (GROUPS - len(left) - len(right)), *right])
