"""The names of both ends of a connection, for programs that inetd or systemd started instead of tcpserver."""

import _socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

ENDS = (b"LOCALIP", b"LOCALPORT", b"REMOTEIP", b"REMOTEPORT")


def environment(number: int, env: "Env") -> "Env":
    """`env` with what tcpserver says of the connection on `number`; `env` itself if it is there, or there is none.

    A connection whose client is gone already has no names.
    """
    if b"PROTO" in env or b"TCPREMOTEIP" in env:
        return env
    try:
        sock = _socket.socket(fileno=number)
    except OSError:                             # no socket
        return env
    try:
        if sock.family not in (_socket.AF_INET, _socket.AF_INET6):
            return env
        (here, port, *_), (there, its_port, *_) = sock.getsockname(), sock.getpeername()
    except OSError:
        return env
    finally:
        sock.detach()
    names = dict(zip(ENDS, (plain(here), b"%d" % port, plain(there), b"%d" % its_port), strict=True))
    protos = (b"TCP", b"TCP6") if b":" in names[b"REMOTEIP"] else (b"TCP",)     # as vq-tcpserver has it
    return env | {b"PROTO": protos[-1]} | {proto + name: value for proto in protos for name, value in names.items()}


def plain(text: str) -> bytes:
    """An address as the programs know it: without the interface of fe80::1%eth0; ::ffff:192.0.2.1 is IPv4."""
    address = text.encode("ascii").partition(b"%")[0]
    return address.removeprefix(b"::ffff:") if b"." in address else address
