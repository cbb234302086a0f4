"""The environment that tcpserver makes for a program, see tcp-environ(5) (QMAIL interface 18.1).

The names of the two ends, and who it is that connects, have to be asked for and that may take its time: only in a
process that serves nobody else meanwhile.
"""

import _socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vqmail.unix.chain import Env

IDENT = 113                     # RFC 1413
IDENT_LIMIT = 257               # bytes of a name that are taken from a stranger
BLANKS = b" \t\r"
NAMES = (b"LOCALIP", b"LOCALPORT", b"LOCALHOST", b"REMOTEIP", b"REMOTEPORT", b"REMOTEHOST", b"REMOTEINFO")


class Ends:
    """The two ends of a connection, as bytes."""

    __slots__ = ("local_ip", "local_port", "remote_ip", "remote_port")

    def __init__(self, local: "tuple[str, int]", remote: "tuple[str, int]") -> None:
        self.local_ip, self.local_port = _ip(local[0]), b"%d" % local[1]
        self.remote_ip, self.remote_port = _ip(remote[0]), b"%d" % remote[1]


def _ip(text: str) -> bytes:
    return text.encode("ascii").partition(b"%")[0]      # fe80::1%eth0: the interface is no part of the address


def environment(base: "Env", ends: Ends, local_name: "bytes | None", remote_name: "bytes | None",
                remote_info: "bytes | None") -> "Env":
    """`base` with the variables of a connection; those that are None are not in it, whatever `base` says.

    With IPv6 PROTO is TCP6, and each is there a second time as TCP6...: as the tcpserver of ucspi-tcp-ipv6 has it, and
    for programs that begin the names with PROTO.
    """
    env = dict(base)
    env[b"PROTO"] = b"TCP6" if b":" in ends.remote_ip else b"TCP"
    env[b"TCPLOCALIP"] = ends.local_ip
    env[b"TCPLOCALPORT"] = ends.local_port
    env[b"TCPREMOTEIP"] = ends.remote_ip
    env[b"TCPREMOTEPORT"] = ends.remote_port
    for name, value in ((b"TCPLOCALHOST", local_name), (b"TCPREMOTEHOST", remote_name),
                        (b"TCPREMOTEINFO", remote_info)):
        if value is not None:
            env[name] = value
        else:
            env.pop(name, None)
    for name in NAMES:
        value = env.get(b"TCP" + name) if env[b"PROTO"] == b"TCP6" else None
        if value is not None:
            env[b"TCP6" + name] = value
        else:
            env.pop(b"TCP6" + name, None)
    return env


def name_of(ip: bytes, *, paranoid: bool = False) -> "bytes | None":
    """The name of `ip` as the system's resolver knows it; None if it knows none, or, with `paranoid`, if the name
    does not lead back to `ip`."""
    try:
        # bytes, not str: for a str the interpreter would load its machinery for international names
        name = _socket.gethostbyaddr(ip)[0].encode("ascii")  # type: ignore[arg-type]
        if paranoid and ip not in _addresses(name):
            return None
    except (OSError, UnicodeError):
        return None
    return name or None


def _addresses(name: bytes) -> "Iterator[bytes]":
    for _, _, _, _, address in _socket.getaddrinfo(name, None, 0, _socket.SOCK_STREAM):
        yield _ip(str(address[0]))


def info_of(ends: Ends, seconds: int) -> "bytes | None":
    """Who the other end's host says it is that connects; None if it does not say anything.

    Each step of the conversation may take `seconds`.
    """
    family = _socket.AF_INET6 if b":" in ends.remote_ip else _socket.AF_INET
    try:
        asked = _socket.socket(family, _socket.SOCK_STREAM)
    except OSError:
        return None
    try:
        asked.settimeout(seconds)
        asked.bind((ends.local_ip.decode(), 0))
        asked.connect((ends.remote_ip.decode(), IDENT))
        asked.sendall(b"%s , %s\r\n" % (ends.remote_port, ends.local_port))
        return _info(asked)
    except OSError:
        return None
    finally:
        asked.close()


def _info(asked: "_socket.socket") -> "bytes | None":
    """What stands behind the third colon of the answer, without blanks; None if the answer has no end."""
    answer = b""
    while b"\n" not in answer and len(answer) < 4 * IDENT_LIMIT:
        piece = asked.recv(IDENT_LIMIT)
        if not piece:
            return None
        answer += piece
    fields = answer.partition(b"\n")[0].translate(None, BLANKS).split(b":", 3)
    return fields[3].partition(b"\0")[0][:IDENT_LIMIT] if len(fields) == 4 else b""
