"""What a client says to log in (RFC 4954): PLAIN, LOGIN, CRAM-MD5, the first of these that the server knows."""

from vqmail.formats import base64
from vqmail.proto import replies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator


def words(known: "list[bytes]", user: bytes, password: bytes) -> "Generator[bytes, bytes, None]":
    """Yields a line, is sent the text of the server's 334, and so on; yields none if there is no way that both know.
    replies.Nonsense."""
    if b"PLAIN" in known:                                                                           # RFC 4616
        yield b"AUTH PLAIN " + base64.encode(b"\0%s\0%s" % (user, password))
    elif b"LOGIN" in known:
        yield b"AUTH LOGIN"
        yield base64.encode(user)
        yield base64.encode(password)
    elif b"CRAM-MD5" in known:                                                                      # RFC 2195
        challenge = yield b"AUTH CRAM-MD5"
        yield _cram(user, password, challenge)


def _cram(user: bytes, password: bytes, challenge: bytes) -> bytes:
    from binascii import a2b_base64             # not strict: what a server sends is what we answer
    from hmac import digest                     # hashlib costs milliseconds, and this way to log in is rare

    try:
        asked = a2b_base64(challenge)
    except ValueError:
        raise replies.Nonsense("a challenge that is not base64") from None
    return base64.encode(b"%s %s" % (user, digest(password, asked, "md5").hex().encode()))
