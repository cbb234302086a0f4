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
    from collections.abc import Iterable, Iterator

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


def records(lines: "Iterable[bytes]") -> "Iterator[tuple[bytes, bytes]]":
    """What tcprules makes of a text of rules: ADDRESS:allow or ADDRESS:deny, each with ,NAME="value" as often as you
    like; 10.0.0.3-7 and 10.1-3. are ranges, # begins a comment.  An IPv6 address may be in it, with its colons.

    ValueError, with line number and remedy, if a line is broken.
    """
    for number, line in enumerate(lines, 1):
        rule = line.rstrip(b" \t\n")
        if not rule or rule.startswith(b"#"):
            continue
        places = [(place, word) for word in (b"allow", b"deny") for place in (rule.find(b":" + word),) if place >= 0]
        if not places:
            raise ValueError("line %d: write ADDRESS:allow or ADDRESS:deny" % number)
        place, word = min(places)
        data = _encode(rule[place + 1 + len(word):], number)
        for each in _range(rule[:place], number):
            yield each, (b"D\0" if word == b"deny" else b"") + data


def encode(allowed: bool, variables: "dict[bytes, bytes | None]") -> bytes:  # noqa: FBT001  what decode() says
    """The data of a rule; the other way round: decode."""
    return (b"" if allowed else b"D\0") + b"".join(
        b"-%s\0" % name if value is None else b"+%s=%s\0" % (name, value) for name, value in variables.items())


def _encode(text: bytes, number: int) -> bytes:
    data = b""
    while text:
        name, equals, rest = text[1:].partition(b"=")
        end = rest.find(rest[:1], 1)
        if text[:1] != b"," or not name or not equals or end < 0:
            raise ValueError('line %d: behind allow or deny comes nothing but ,NAME="value"' % number)
        data += b"+%s=%s\0" % (name, rest[1:end])
        text = rest[end + 1:]
    return data


def _range(address: bytes, number: int) -> "Iterator[bytes]":
    """All addresses of a range such as 10.0.0.3-7; any other address as it is."""
    before, minus, after = address.partition(b"-")
    digits = before[len(before.rstrip(b"0123456789")):]
    last = after[:len(after) - len(after.lstrip(b"0123456789"))]
    if not minus or b"=" in before or b"@" in before or not digits or not last:
        yield address
        return
    if len(digits) > 3 or len(last) > 3 or int(digits) > int(last):
        raise ValueError("line %d: %s-%s is no range" % (number, digits.decode(), last.decode()))
    for each in range(int(digits), int(last) + 1):
        yield before[:len(before) - len(digits)] + b"%d" % each + after[len(last):]
