"""Base64 as SASL speaks it (RFC 4648 4): no line ends, no blanks, nothing left out."""


def encode(data: bytes) -> bytes:
    """`data` in base64."""
    from binascii import b2a_base64             # only for the few sessions that log in

    return b2a_base64(data, newline=False)


def decode(text: bytes) -> bytes:
    """What `text` stands for.  ValueError if nobody would have encoded it so."""
    from binascii import a2b_base64

    data = a2b_base64(text, strict_mode=True)
    if encode(data) != text:
        raise ValueError("bits to spare")
    return data
