"""Local sockets: packets with descriptors in them, and the true identity of who sent them."""

import _socket
import time

from vqmail.unix import calls, inetd, timed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

PACKET = 200_000                # bytes of one packet; the kernel's default send buffer holds a little more
MANY = 16                       # descriptors in one packet
AGAIN = 0.02                    # seconds until a service that is too busy to be called is called again


def listen(path: bytes, mode: int) -> "socket":
    """A listening socket at `path`, which any process that may write to it can connect to."""
    try:
        calls.unlink(path)
    except FileNotFoundError:
        pass
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    sock.bind(path)
    calls.chmod(path, mode)
    sock.listen(1024)
    sock.setblocking(False)
    return sock


def accept(listener: "socket") -> "socket":
    """The next connection.  BlockingIOError if there is none."""
    number, _ = listener._accept()  # type: ignore[attr-defined]  # socket.socket would cost an import of 11 ms
    return _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, number)


def accept_from_afar(listener: "socket") -> "tuple[int, tuple[str, int]]":
    """(descriptor, address) of the next connection to a TCP socket.  BlockingIOError if there is none."""
    number, address = listener._accept()  # type: ignore[attr-defined]
    return number, address


def connect(path: bytes, seconds: "float | None" = None) -> "socket":
    """A connection to the service at `path`; OSError if there is none, or if anything of it takes `seconds`.

    With 0 seconds BlockingIOError if it is too busy to be called now; None waits for ever.
    """
    until = time.monotonic() + (seconds or 0)
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    sock.settimeout(seconds)
    try:
        while True:
            try:
                sock.connect(path)
                return sock
            except BlockingIOError:             # the kernel waits with us only where there is no timeout at all
                if time.monotonic() >= until:
                    raise
            timed.pause(AGAIN)
    except BaseException:
        sock.close()
        raise


def pair() -> "tuple[socket, socket]":
    """Two connected sockets."""
    return _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)


def send(sock: "socket", data: bytes, descriptors: "list[int] | None" = None) -> None:
    """Send one packet, with descriptors.  OSError (EMSGSIZE) if it is longer than the socket's buffer."""
    if not descriptors:
        sock.send(data, _socket.MSG_NOSIGNAL)
        return
    packed = b"".join([each.to_bytes(4, "little") for each in descriptors])
    sock.sendmsg([data], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)], _socket.MSG_NOSIGNAL)


def receive(sock: "socket", size: int = PACKET, flags: int = 0) -> "tuple[bytes, list[int]]":
    """(data, descriptors) of the next packet, b"" when the peer is gone.  The descriptors are the caller's to close.

    ValueError if the packet was cut; its descriptors are closed then.
    """
    # room for a large one would be mapped and unmapped each time: six times the cost of asking how long it is
    size = min(size, max(sock.recv_into(bytearray(1), 1, flags | _socket.MSG_PEEK | _socket.MSG_TRUNC), 1))
    data, ancillary, flags, _ = sock.recvmsg(size, _socket.CMSG_SPACE(4 * MANY), flags | _socket.MSG_CMSG_CLOEXEC)
    descriptors = []
    for level, kind, packed in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            whole = len(packed) - len(packed) % 4
            descriptors += [int.from_bytes(packed[at:at + 4], "little") for at in range(0, whole, 4)]
    if flags & (_socket.MSG_TRUNC | _socket.MSG_CTRUNC):
        for each in descriptors:
            calls.close(each)
        raise ValueError("a packet of more than %d bytes or %d descriptors" % (size, MANY))
    return data, descriptors


def name_senders(number: int) -> None:
    """From now on said() knows who sent a packet to the socket `number`."""
    sock = _socket.socket(fileno=number)
    try:
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_PASSCRED, 1)
    finally:
        sock.detach()


def said(number: int, size: int) -> "tuple[bytes, int]":
    """(data, the uid that its sender had, as the kernel saw it) of a packet that is there already; b"" and -1 if none
    is, or it was cut."""
    sock = _socket.socket(fileno=number)
    try:
        data, ancillary, flags, _ = sock.recvmsg(size, _socket.CMSG_SPACE(12), _socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b"", -1
    finally:
        sock.detach()
    for level, kind, packed in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_CREDENTIALS and not flags & _socket.MSG_TRUNC:
            return data, int.from_bytes(packed[4:8], "little", signed=True)
    return b"", -1


def peer(sock: "socket") -> "tuple[int, int, int]":
    """(pid, uid, gid) of the process at the other end, as the kernel knows them."""
    packed = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    pid, uid, gid = (int.from_bytes(packed[at:at + 4], "little", signed=True) for at in (0, 4, 8))
    return pid, uid, gid


def address_of_peer(number: int) -> "bytes | None":
    """The address of whoever is at the other end of `number`; None if that is no connection from a network."""
    try:
        sock = _socket.socket(fileno=number)
    except OSError:                             # no socket
        return None
    try:
        if sock.family not in (_socket.AF_INET, _socket.AF_INET6):
            return None
        return inetd.plain(str(sock.getpeername()[0]))
    except OSError:                             # gone already
        return b"unknown"
    finally:
        sock.detach()
