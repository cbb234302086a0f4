"""What a checkpassword program reads on descriptor 3 (QMAIL interface 16.2).

    name NUL password NUL timestamp NUL     at most 512 bytes; there may be more behind it
"""

LIMIT = 512


def encode(name: bytes, secret: "bytes | bytearray", timestamp: bytes) -> bytearray:
    """The bytes, in a buffer that can be wiped.  ValueError if they are too many, or a NUL is in one of them."""
    buffer = bytearray(b"%s\0%s\0%s\0" % (name, secret, timestamp))
    if len(buffer) > LIMIT or buffer.count(b"\0") != 3:
        wipe(buffer)
        raise ValueError("not for a checkpassword program")
    return buffer


def decode(data: bytes) -> "tuple[bytes, bytes, bytes]":
    """(name, password, timestamp).  The timestamp may be missing, SMTP servers have none.  ValueError if the others
    are, or it is too long."""
    fields = data.split(b"\0")
    if len(fields) < 3 or len(data) > LIMIT:
        raise ValueError("name and password must each end in a NUL")
    return fields[0], fields[1], fields[2]


def wipe(secret: bytearray) -> None:
    """Overwrite a secret."""
    secret[:] = bytes(len(secret))
