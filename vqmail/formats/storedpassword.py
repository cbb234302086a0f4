"""What can stand where the hash of a password stands, and what it is: Dovecot's schemes, tpop3d's, crypt(3)'s.

    {SCHEME}text    the names of SCHEMES below, in any case of letters.  {SCHEME.b64} and {SCHEME.HEX} say how the text
                    is written; without that MD5 as PLAIN-MD5 is in hex, other digests in base64, or in hex if the
                    length says so
    $...            crypt(3)'s, or argon2's
    32 hex digits, 24 characters of base64
                    MD5, as tpop3d and old databases have it
    empty, x, or what begins with * or !
                    nobody gets in

Of what Dovecot knows, CRAM-MD5 and HMAC-MD5 (half an MD5), DIGEST-MD5 (made with the user's name), OTP, SCRAM-SHA-1,
PLAIN-MD4, NTLM and LANMAN are not known here.
"""

from vqmail.formats import base64, scramkeys
from vqmail.record import Record

LOCKED, CLEAR, CRYPT, DIGEST, ARGON2, PBKDF2, SCRAM = "locked", "clear", "crypt", "digest", "argon2", "pbkdf2", "scram"
SIZES = {"md5": 16, "sha1": 20, "sha256": 32, "sha512": 64}
HEX = b"0123456789abcdefABCDEF"
MOST = 1_000_000                # rounds of PBKDF2 that a login may cost
SALTED, IN_HEX = True, True
SCHEMES: "dict[bytes, tuple[str, str, bool, bool]]" = {
    # kind, digest, whether it is salted, whether in hex
    **dict.fromkeys((b"CLEAR", b"PLAIN", b"CLEARTEXT", b"PLAINTEXT"), (CLEAR, "", False, False)),
    **dict.fromkeys((b"CRYPT", b"DES-CRYPT", b"MD5-CRYPT", b"SHA256-CRYPT", b"SHA512-CRYPT", b"BLF-CRYPT",
                     b"CRYPT_MD5"), (CRYPT, "", False, False)),
    **dict.fromkeys((b"ARGON2", b"ARGON2I", b"ARGON2ID"), (ARGON2, "", False, False)),
    b"PBKDF2": (PBKDF2, "sha1", False, False),
    b"SCRAM-SHA-256": (SCRAM, "sha256", False, False),
    b"MD5": (DIGEST, "md5", False, False),              # tpop3d's; Dovecot's is also $1$
    b"PLAIN-MD5": (DIGEST, "md5", False, IN_HEX),
    b"LDAP-MD5": (DIGEST, "md5", False, False),
    b"SMD5": (DIGEST, "md5", SALTED, False),
    b"SHA": (DIGEST, "sha1", False, False),
    b"SHA1": (DIGEST, "sha1", False, False),
    b"SSHA": (DIGEST, "sha1", SALTED, False),
    b"SHA256": (DIGEST, "sha256", False, False),
    b"SSHA256": (DIGEST, "sha256", SALTED, False),
    b"SHA512": (DIGEST, "sha512", False, False),
    b"SSHA512": (DIGEST, "sha512", SALTED, False),
}


class Stored(Record):
    """A stored password, taken apart.

    `kind` is one of the words above; `value` the password itself, crypt(3)'s or argon2's text, or the digest that is
    expected, which is `digest`'s, of the password and `salt`; `rounds` those of PBKDF2; `keys` those of SCRAM.
    """

    __slots__ = ("kind", "value", "digest", "salt", "rounds", "keys")
    kind: str
    value: bytes
    digest: str
    salt: bytes
    rounds: int
    keys: "scramkeys.Keys | None"

    def __init__(self, kind: str, value: bytes, digest: str = "", salt: bytes = b"", rounds: int = 0,
                 keys: "scramkeys.Keys | None" = None) -> None:
        Record.__init__(self, kind, value, digest, salt, rounds, keys)


def decode(stored: bytes) -> Stored:
    """Taken apart.  ValueError if it is of no kind that is known here, or not whole.

    Of crypt(3)'s and argon2's nothing is looked at: only they know whether it is theirs.
    """
    if stored in (b"", b"x") or stored.startswith((b"*", b"!")):
        return Stored(LOCKED, b"")
    if stored.startswith(b"{"):
        return _tagged(stored)
    if len(stored) == 32 and not stored.translate(None, HEX):
        return Stored(DIGEST, bytes.fromhex(stored.decode("ascii")), "md5")
    if len(stored) == 24 and stored.endswith(b"=="):
        return Stored(DIGEST, base64.decode(stored), "md5")
    return _hashed(stored)


def _hashed(text: bytes) -> Stored:
    if not text.isascii():
        raise ValueError("a hash is ASCII")
    return Stored(ARGON2 if text.startswith(b"$argon2") else CRYPT, text)


def _tagged(stored: bytes) -> Stored:
    name, brace, text = stored[1:].partition(b"}")
    name, _, written = name.upper().partition(b".")
    if not brace or name not in SCHEMES or written not in (b"", b"B64", b"BASE64", b"HEX"):
        raise ValueError("no scheme that is known here")
    kind, digest, salted, in_hex = SCHEMES[name]
    if kind == DIGEST and not (name == b"MD5" and text.startswith(b"$")):
        return _digest(text, digest, salted, written, in_hex)
    if written:
        text = _bytes(text, written == b"HEX")
    if kind == CLEAR:
        return Stored(CLEAR if text else LOCKED, text)
    if kind == PBKDF2:
        return _pbkdf2(text)
    if kind == SCRAM:
        return Stored(SCRAM, b"", digest, keys=scramkeys.decode(text))
    if text in (b"", b"x") or text.startswith((b"*", b"!")):
        return Stored(LOCKED, b"")
    return _hashed(text)


def _digest(text: bytes, digest: str, salted: bool, written: bytes, in_hex: bool) -> Stored:
    size = SIZES[digest]
    if not written and not salted:              # tpop3d's {md5} is either, and so are Dovecot's
        in_hex = len(text) == 2 * size
    elif written:
        in_hex = written == b"HEX"
    data = _bytes(text, in_hex)
    if len(data) < size or (len(data) > size) != salted:
        raise ValueError("a digest of another length")
    return Stored(DIGEST, data[:size], digest, data[size:])


def _pbkdf2(text: bytes) -> Stored:
    empty, one, salt, rounds, value, *more = [*text.split(b"$"), b"", b"", b"", b"", b""][:6]
    if empty or one != b"1" or not rounds.isdigit() or len(rounds) > 7 or not 0 < int(rounds) <= MOST or any(more):
        raise ValueError("not $1$salt$rounds$digest")
    data = _bytes(value, in_hex=True)
    if len(data) != SIZES["sha1"]:
        raise ValueError("a digest of another length")
    return Stored(PBKDF2, data, "sha1", salt, int(rounds))


def _bytes(text: bytes, in_hex: bool) -> bytes:
    if not in_hex:
        return base64.decode(text)
    if text.translate(None, HEX):
        raise ValueError("no hex digits")       # fromhex takes blanks
    return bytes.fromhex(text.decode("ascii"))
