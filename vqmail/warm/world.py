"""The environment that tcpserver makes for a program, see tcp-environ(5) (QMAIL interface 18.1)."""

import _socket

from vqmail.formats import header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

MAPPED = b"::ffff:"             # an IPv4 client on an IPv6 socket
IDENT = 113
NAMES = (b"TCPREMOTEHOST", b"TCPREMOTEINFO")


class Ends:
    """The two ends of a connection, as bytes."""

    def __init__(self, local: "tuple[str, int]", remote: "tuple[str, int]") -> None:
        self.local_ip, self.local_port = _ip(local[0]), b"%d" % local[1]
        self.remote_ip, self.remote_port = _ip(remote[0]), b"%d" % remote[1]

    def env(self, base: "Env", local_name: "bytes | None") -> "Env":
        """`base` with the variables of this connection; of the client's names nothing is known yet."""
        env = dict(base)
        for name in NAMES:
            env.pop(name, None)
        env.update({b"PROTO": b"TCP6" if b":" in self.remote_ip else b"TCP",
                    b"TCPLOCALIP": self.local_ip, b"TCPLOCALPORT": self.local_port,
                    b"TCPREMOTEIP": self.remote_ip, b"TCPREMOTEPORT": self.remote_port})
        if local_name is not None:
            env[b"TCPLOCALHOST"] = local_name
        return env


def _ip(text: str) -> bytes:
    return text.encode().partition(b"%")[0].removeprefix(MAPPED) if "." in text else text.encode().partition(b"%")[0]


def host_of(ip: bytes, *, paranoid: bool) -> "bytes | None":
    """The name of `ip` by DNS, None if it has none; with `paranoid` only one that leads back to it.  Takes its time."""
    try:
        name = _socket.gethostbyaddr(ip.decode())[0]
        if paranoid:
            back = {each[4][0] for each in _socket.getaddrinfo(name, None)}
            if ip.decode() not in back:
                return None
    except OSError:
        return None
    return header.safe(name.lower().encode("ascii", "replace"))


def info_of(ends: Ends, seconds: int) -> "bytes | None":
    """What the client's host says about who connects (RFC 1413); None if it does not.  Takes `seconds` at most."""
    family = _socket.AF_INET6 if b":" in ends.remote_ip else _socket.AF_INET
    asked = _socket.socket(family, _socket.SOCK_STREAM)
    try:
        asked.settimeout(seconds)
        asked.connect((ends.remote_ip.decode(), IDENT))
        asked.send(b"%s , %s\r\n" % (ends.remote_port, ends.local_port))
        fields = asked.recv(1000).split(b":", 3)
    except OSError:
        return None
    finally:
        asked.close()
    return header.safe(fields[3].strip()[:100]) if len(fields) == 4 and fields[1].strip() == b"USERID" else None
