"""IP addresses: text to 4 or 16 bytes and back."""


def pack(text: bytes) -> "bytes | None":
    """The 4 bytes of an IPv4 address or the 16 of an IPv6 address, None if `text` is neither."""
    if b":" in text:
        return _pack6(text)
    parts = text.split(b".")
    if len(parts) != 4 or not all(_is_octet(part) for part in parts):
        return None
    return bytes([int(part) for part in parts])


def text(packed: bytes) -> bytes:
    """The usual text of 4 or 16 bytes."""                                  # RFC 5952
    if len(packed) == 4:
        return b"%d.%d.%d.%d" % tuple(packed)
    groups = [int.from_bytes(packed[at:at + 2], "big") for at in range(0, 16, 2)]
    start, length = _longest_zeros(groups)
    if length < 2:
        return b":".join(b"%x" % each for each in groups)
    return (b":".join(b"%x" % each for each in groups[:start]) + b"::"
            + b":".join(b"%x" % each for each in groups[start + length:]))


def plain(packed: bytes) -> bytes:
    """`packed`, or the 4 bytes of the IPv4 address that an IPv6 address of the form ::ffff:1.2.3.4 stands for."""
    return packed[12:] if len(packed) == 16 and packed.startswith(MAPPED) else packed


def literal(host: bytes) -> "bytes | None":
    """The 4 or 16 bytes of [1.2.3.4] or [IPv6:...], None if `host` is no such thing."""   # RFC 5321 4.1.3
    if not (host.startswith(b"[") and host.endswith(b"]")):
        return None
    inner = host[1:-1]
    return pack(inner[5:] if inner[:5].lower() == b"ipv6:" else inner)


MAPPED = b"\0" * 10 + b"\xff\xff"


def _is_octet(part: bytes) -> bool:
    """Whether it is 0 to 255, and not with a leading zero, which some take for octal."""
    return part.isdigit() and len(part) <= 3 and int(part) <= 255 and (len(part) == 1 or part[0] != ord("0"))


def _pack6(text: bytes) -> "bytes | None":
    head, short, tail = text.partition(b"::")
    left = _groups(head)
    right = _groups(tail)
    if left is None or right is None or (head and b"." in head and short):
        return None
    missing = 16 - len(left) - len(right)
    if (missing < 2) if short else (missing != 0 or tail):
        return None
    return left + bytes(missing) + right


def _groups(text: bytes) -> "bytes | None":
    """Groups of up to four hexadecimal digits between colons; the last may be an IPv4 address."""
    if not text:
        return b""
    packed = b""
    parts = text.split(b":")
    for number, part in enumerate(parts):
        if b"." in part and number == len(parts) - 1:
            last = pack(part)
            if last is None:
                return None
            packed += last
        elif 1 <= len(part) <= 4 and not part.lower().strip(b"0123456789abcdef"):
            packed += int(part, 16).to_bytes(2, "big")
        else:
            return None
    return packed if len(packed) <= 16 else None


def _longest_zeros(groups: "list[int]") -> "tuple[int, int]":
    """(start, length) of the first of the longest runs of zeros."""
    best = (0, 0)
    at = 0
    while at < len(groups):
        end = at
        while end < len(groups) and groups[end] == 0:
            end += 1
        if end - at > best[1]:
            best = (at, end - at)
        at = max(end, at + 1)
    return best
