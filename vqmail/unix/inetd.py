"""The names of both ends of a connection, for programs that inetd or systemd started instead of tcpserver."""

import _socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

ENDS = (b"TCPLOCALIP", b"TCPLOCALPORT", b"TCPREMOTEIP", b"TCPREMOTEPORT")


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
    names = [each.encode().removeprefix(b"::ffff:") for each in (here, str(port), there, str(its_port))]
    return env | {b"PROTO": b"TCP"} | dict(zip(ENDS, names, strict=True))
