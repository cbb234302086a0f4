"""How a caller speaks to the queue service, one packet each way.

    M length NUL message envelope       a small message, all of it
    P                                   two descriptors come along: the message, the envelope

    code SP qp                          the answer: vq-queue's exit code, and the number under which the
                                        message's first line and vq-send's log know it
"""

INLINE = 120_000                # bytes of message and envelope that go in one packet
PIPES = b"P"


def encode(message: bytes, envelope: bytes) -> bytes:
    """The packet for a small message."""
    return b"M%d\0%s%s" % (len(message), message, envelope)


def decode(packet: bytes) -> "tuple[bytes, bytes]":
    """(message, envelope) of such a packet.  ValueError if it is not one."""
    head, nul, rest = packet[:16].partition(b"\0")
    length = head[1:]
    if head[:1] != b"M" or not nul or not length.isdigit():
        raise ValueError("not a message")
    start = len(head) + 1
    end = start + int(length)
    if end > len(packet):
        raise ValueError("message cut")
    return packet[start:end], packet[end:]


def encode_answer(code: int, qp: int) -> bytes:
    """The answer packet."""
    return b"%d %d" % (code, qp)


def decode_answer(packet: bytes) -> "tuple[int, int]":
    """(exit code, qp).  ValueError if the service did not answer."""
    code, _, qp = packet.partition(b" ")
    return int(code), int(qp)
