"""base64 as passwords and logins have it (RFC 4648 4), strictly: no blanks, no bytes that mean nothing."""


def encode(data: bytes) -> bytes:
    """One line, without its end."""
    from binascii import b2a_base64             # only for whom a login goes that way

    return b2a_base64(data, newline=False)


def decode(text: bytes, *, padded: bool = True) -> bytes:
    """The bytes that `text` stands for; `padded` says whether the = at its end must be there.  ValueError."""
    from binascii import a2b_base64

    if not padded:
        text += b"=" * (-len(text) % 4)
    return a2b_base64(text, strict_mode=True)   # binascii.Error is a ValueError
