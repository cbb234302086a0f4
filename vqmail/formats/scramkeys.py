"""What is stored for SCRAM-SHA-256 instead of a password (RFC 5802 5.1): Dovecot writes it, and so do we.

    {SCRAM-SHA-256}ITERATIONS,SALT,STOREDKEY,SERVERKEY       the last three in base64
"""

from vqmail.formats import base64, digest
from vqmail.record import Record

LENGTH = 32                     # bytes of a key
MOST = 10_000_000               # iterations; a login must end some day
LONGEST_SALT = 128
ITERATIONS = 4096               # of what we make; Dovecot does the same, and so nobody's keys look like everybody's
SALT = 16                       # bytes of what we make


class Keys(Record):
    """What tells the right password from others, and the server to the client."""

    __slots__ = ("iterations", "salt", "stored_key", "server_key")
    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes


def of_salted(salted: bytes, iterations: int, salt: bytes) -> Keys:
    """The keys of a password that was salted and iterated (PBKDF2) already."""
    stored = digest.of("sha256", digest.keyed("sha256", salted, b"Client Key"))                     # RFC 5802 3
    return Keys(iterations, salt, stored, digest.keyed("sha256", salted, b"Server Key"))


def decode(text: bytes) -> Keys:
    """What stands behind {SCRAM-SHA-256}.  ValueError."""
    number, *rest = text.split(b",")
    # Dovecot takes fewer iterations too, but makes 4096
    if not number.isdigit() or len(number) > 8 or not 1 <= int(number) <= MOST or len(rest) != 3:
        raise ValueError("not iterations,salt,storedkey,serverkey")
    salt, stored, server = (base64.decode(each) for each in rest)
    if not 0 < len(salt) <= LONGEST_SALT or len(stored) != LENGTH or len(server) != LENGTH:
        raise ValueError("a salt or a key of another length")
    return Keys(int(number), salt, stored, server)


def encode(keys: Keys) -> bytes:
    """What to store behind {SCRAM-SHA-256}."""
    return b",".join((b"%d" % keys.iterations, *(base64.encode(each) for each in (
        keys.salt, keys.stored_key, keys.server_key))))


def nobody(secret: bytes, name: bytes) -> Keys:
    """Keys for a name that has none: the same each time, and there is no password to them.

    `secret` is the installation's own, and kept: a salt that changes would tell that it is made up.
    """
    salt, stored, server = (digest.keyed("sha256", secret, each + b"\0" + name) for each in (
        b"salt", b"stored", b"server"))
    return Keys(ITERATIONS, salt[:SALT], stored, server)
