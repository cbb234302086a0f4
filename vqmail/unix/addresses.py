"""The addresses of this machine's interfaces, as the kernel lists them (rtnetlink(7)), and what it has routes to."""

import _socket
import sys

RTM_NEWADDR, RTM_GETADDR, NLMSG_ERROR, NLMSG_DONE = 20, 22, 2, 3
REQUEST_DUMP = 0x301
IFA_ADDRESS, IFA_LOCAL = 1, 2
SECONDS = 5.0                   # the kernel answers at once, or something is wrong


def own() -> "frozenset[bytes]":
    """The 4 or 16 bytes of each.  OSError if the kernel does not tell."""
    found: set[bytes] = set()
    sock = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, _socket.NETLINK_ROUTE)
    try:
        sock.settimeout(SECONDS)
        header = ((24, 4), (RTM_GETADDR, 2), (REQUEST_DUMP, 2), (1, 4), (0, 4), (0, 8))
        sock.send(b"".join([number.to_bytes(size, sys.byteorder) for number, size in header]))
        while True:
            for kind, body in _messages(sock.recv(65536)):
                if kind == NLMSG_DONE:
                    return frozenset(found)
                if kind == NLMSG_ERROR:
                    number = -int.from_bytes(body[:4], sys.byteorder, signed=True)
                    raise OSError(number, "the kernel does not list its addresses (%d)" % number)
                if kind == RTM_NEWADDR:
                    found.add(_address(body))
    finally:
        sock.close()


def has_route(address: bytes) -> bool:
    """Whether the kernel knows a way to an address, given as text.  Nothing is sent."""
    try:
        sock = _socket.socket(_socket.AF_INET6 if b":" in address else _socket.AF_INET,
                              _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    except OSError:
        return False                            # a kernel without IPv6
    try:
        sock.connect((address.decode("ascii"), 9))
    except OSError:
        return False
    finally:
        sock.close()
    return True


def _messages(data: bytes) -> "list[tuple[int, bytes]]":
    """(type, body) of each message of one packet."""
    found = []
    while len(data) >= 16:
        length = max(_number(data[:4]), 16)
        found.append((_number(data[4:6]), data[16:length]))
        data = data[(length + 3) & ~3:]
    return found


def _address(body: bytes) -> bytes:
    """The address in a message: IFA_LOCAL where there is one, for IFA_ADDRESS is the other end of a tunnel."""
    attributes = {}
    body = body[8:]
    while len(body) >= 4:
        length = max(_number(body[:2]), 4)
        attributes[_number(body[2:4])] = body[4:length]
        body = body[(length + 3) & ~3:]
    return attributes.get(IFA_LOCAL) or attributes.get(IFA_ADDRESS) or b""


def _number(data: bytes) -> int:
    return int.from_bytes(data, sys.byteorder)
