"""Rules of tcpserver, as tcprules compiles them (QMAIL interface 18.2).

    key     an address, a prefix of it that ends in a dot, =host, =.suffix, =, info@address, or nothing
    data    D NUL: deny; +NAME=value NUL: set NAME; -NAME NUL: unset NAME, which only some tcprules know

The first key that is there decides.  No key: allowed, nothing set.

An IPv6 address has prefixes that end in a colon.  It is written in more than one way, and a rule must hold
however a client has chosen its zeros: both the short form (2001:db8::1) and the one with all eight groups
(2001:db8:0:0:0:0:0:1) are looked for.
"""

from vqmail.formats import ip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

GROUPS = 8
MOST_BITS = 12                  # of a group that a network leaves open: so many keys a line may become


def keys(address: bytes, host: "bytes | None", info: "bytes | None") -> "Iterator[bytes]":
    """What to look up, in this order; `host` and `info` are None when they are not known."""
    if info is not None:
        yield info + b"@" + address
        if host is not None:
            yield info + b"@=" + host
    yield address
    long = _all_groups(address)
    if long != address:
        yield long
    if host is not None:
        yield b"=" + host
    if b":" in address:
        for prefix in _prefixes(address, b":"):
            if b"::" in prefix:
                yield prefix
        yield from _prefixes(long, b":")
    else:
        yield from _prefixes(address, b".")
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


def _all_groups(address: bytes) -> bytes:
    """An IPv6 address without the :: that stands for groups of zero; any other as it is."""
    before, short, after = address.partition(b"::")
    if not short or b"." in address:
        return address
    left = before.split(b":") if before else []
    right = after.split(b":") if after else []
    return b":".join([*left, *[b"0"] * (GROUPS - len(left) - len(right)), *right])


def records(lines: "Iterable[bytes]") -> "Iterator[tuple[bytes, bytes]]":
    """What tcprules makes of a text of rules: ADDRESS:allow or ADDRESS:deny, each with ,NAME="value" as often as you
    like; 10.0.0.3-7 and 10.1-3. are ranges, # begins a comment.  An IPv6 address may be in it, with its colons, and
    a network of them: 2001:db8:1:2: or 2001:db8:1:2::/64, in whatever way it is written.

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
        info, at, address = rule[:place].rpartition(b"@")
        six = b":" in address and b"=" not in address
        for each in _six(info + at, address, number) if six else _range(rule[:place], number):
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


def _six(who: bytes, address: bytes, number: int) -> "Iterator[bytes]":
    """The keys of an IPv6 address, a prefix of it or a network, behind `who`; keys() asks for small letters."""
    net, slash, length = address.partition(b"/")
    packed = ip.pack(net)
    if slash:
        bits = int(length) if length.isdigit() and len(length) <= 3 else 0
        open_bits = -bits % 16                  # of the last group that counts
        if packed is None or not 1 <= bits <= 8 * len(packed) or open_bits > MOST_BITS:
            raise ValueError("line %d: a network is such as 2001:db8::/32, and its length /4 to /16, /20 to /32, "
                             "/36 to /48 and so on" % number)
        groups = (bits + open_bits) // 16
        first = int.from_bytes(packed[:2 * groups], "big") >> open_bits << open_bits
        for each in range(first, first + (1 << open_bits)):
            yield who + _network(each.to_bytes(2 * groups, "big"))
        return
    if packed is not None and not net.endswith(b"::"):
        yield who + ip.text(ip.plain(packed))
        return
    parts = net.lower().split(b":")
    if not net.endswith(b":") or len(parts) > GROUPS + 1 or any(
            len(part) > 4 or part.strip(b"0123456789abcdef") for part in parts):
        raise ValueError("line %d: %s is no IPv6 address; write 2001:db8::1, or a network: 2001:db8::/32" % (
            number, address.decode("utf-8", "replace")))
    yield who + b":".join(part.lstrip(b"0") or part[-1:] for part in parts)


def _network(packed: bytes) -> bytes:
    """The key of a whole address, or of a prefix of whole groups."""
    if len(packed) == 2 * GROUPS:
        return ip.text(packed)
    return b"".join(b"%x:" % int.from_bytes(packed[at:at + 2], "big") for at in range(0, len(packed), 2))
