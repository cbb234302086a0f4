"""Lines of smtproutes, authsenders, outgoingip and tlshosts (QMAIL interfaces 13.2 and 19).

    smtproutes      host:relay, host:relay:port, host:relay:port|user|password
    authsenders     sender|user|password, sender:relay|user|password, sender:relay:port|user|password
    outgoingip      address, domain:address
    tlshosts        host

    host, domain    a name, .suffix for all names below it, nothing for all
    sender          user@domain, @domain, .suffix, nothing for all
    relay           a name, 1.2.3.4, [1.2.3.4], an IPv6 address, [IPv6 address]; with a port an IPv6 address needs its
                    brackets; nothing: the MX of the recipient's host

Case does not matter but in user and password.  What is wrong with a line is a ValueError whose text says what to do.
"""

from vqmail.formats import ip
from vqmail.record import Record

SMTP = 25
NAME = b"abcdefghijklmnopqrstuvwxyz0123456789-_."


class Relay(Record):
    """Where to: `host` is b"" for the MX of the recipient's host; `user` is b"" without AUTH."""

    __slots__ = ("host", "port", "user", "password")
    host: bytes
    port: int
    user: bytes
    password: bytes

    def __repr__(self) -> str:
        return f"Relay({self.host!r}, {self.port}, {self.user!r})"


def host_keys(host: bytes) -> "list[bytes]":
    """What to look for, the most specific first: the host, the suffixes of its name, nothing."""
    host = host.lower().removesuffix(b".")
    return [host, *([] if host.startswith(b"[") else _suffixes(host)), b""]


def sender_keys(sender: bytes) -> "list[bytes]":
    """What to look for in authsenders, the most specific first."""
    sender = sender.lower().removesuffix(b".")
    domain = sender.rpartition(b"@")[2] if b"@" in sender else b""
    if not domain:
        return [sender, b""] if sender else [b""]
    return [sender, b"@" + domain, *_suffixes(domain), b""]


def split_route(line: bytes) -> "tuple[bytes, bytes]":
    """(key, what is behind its colon) of a line of smtproutes."""
    at = line.find(b":", max(line.find(b"]"), 0) if line.startswith(b"[") else 0)
    if at < 0:
        raise ValueError("it has no colon; write domain:relay, or :relay for all mail")
    return _name(line[:at], b"[]:"), line[at + 1:]


def split_sender(line: bytes) -> "tuple[bytes, bytes]":
    """(key, relay|user|password) of a line of authsenders."""
    left, bar, login = line.partition(b"|")
    literal = left.find(b"@[")
    key, _, relay = left.partition(b":") if literal < 0 else (
        left[:left.find(b"]") + 1], b"", left[left.find(b"]") + 1:].removeprefix(b":"))
    if any(byte <= 32 or byte == 127 for byte in key) or (key and b"@" not in key and not key.startswith(b".")):
        raise ValueError("its sender is no address, @domain or .domain; write sender:relay|user|password")
    return key.lower().removesuffix(b"."), relay + bar + login


def relay(value: bytes) -> Relay:
    """What a line of smtproutes says behind the key."""
    place, bar, login = value.partition(b"|")
    user, second, password = login.partition(b"|")
    if bar and not (user and second and password):
        raise ValueError("its AUTH is not complete; write |user|password behind the relay")
    host, port = whereto(place, SMTP)
    return Relay(host, port, user, password)


def authenticated_relay(value: bytes) -> Relay:
    """What a line of authsenders says behind the key: like relay(), but user and password must be there."""
    found = relay(value)
    if not found.user:
        raise ValueError("it has no user and password; write sender:relay|user|password")
    return found


def whereto(text: bytes, default: int) -> "tuple[bytes, int]":
    """(host, port) of relay, relay:port, [relay], [relay]:port; ValueError says what to do."""
    if text.startswith(b"["):
        inner, bracket, rest = text[1:].partition(b"]")
        if not bracket or (rest and not rest.startswith(b":")):
            raise ValueError("its brackets are not right; write [address]:port")
        host = inner[5:] if inner[:5].lower() == b"ipv6:" else inner
        port = rest[1:] if rest else None
        if not host:
            raise ValueError("there is nothing in its brackets; write [address]:port")
    elif ip.pack(text) is not None:
        host, port = text, None
    else:
        host, colon, rest = text.partition(b":")
        port = rest if colon else None
    packed = ip.pack(host)
    name = ip.text(packed) if packed is not None else _name(host, b"")
    return name, default if port is None else _port(port)


def split_address(line: bytes) -> "tuple[bytes, bytes]":
    """(key, 4 or 16 bytes) of a line of outgoingip; the key is b"" for all."""
    key, packed = b"", _address(line)
    if packed is None:
        key, colon, value = line.partition(b":")
        packed = _address(value) if colon else None
    if packed is None:
        raise ValueError("there is no IP address in it; write address, or domain:address")
    return _name(key, b""), packed


def tls_host(line: bytes) -> bytes:
    """The key of a line of tlshosts."""
    key = _name(line, b"[]:")
    if not key.strip(b"."):
        raise ValueError("it is no host name; write host, or .domain for all hosts below it")
    return key


def _suffixes(name: bytes) -> "list[bytes]":
    """.b.c and .c of a.b.c."""
    return [name[at:] for at in range(1, len(name)) if name[at] == ord(".")]


def _name(text: bytes, also: bytes) -> bytes:
    name = text.lower().removesuffix(b".")
    if any(byte not in NAME + also for byte in name):
        raise ValueError("%r is no host name: letters, digits, dots and hyphens make one" %
                         name.decode("ascii", "replace"))
    return name


def _port(text: bytes) -> int:
    if not text.isdigit() or len(text) > 5 or not 1 <= int(text) <= 65535:
        raise ValueError("its port is no number from 1 to 65535; an IPv6 address with a port is written [address]:port")
    return int(text)


def _address(text: bytes) -> "bytes | None":
    return ip.literal(text) if text.startswith(b"[") else ip.pack(text)
