"""Computing what passwords are compared with: crypt(3), argon2, PBKDF2, SCRAM's keys.

Each costs a login its milliseconds: tests count the calls, so whoever verifies goes through this module's names.
"""

import errno

from vqmail import codes
from vqmail.formats import scramkeys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vqmail.formats.scramkeys import Keys

SALT = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
FAILED = (b"*0", b"*1")         # libxcrypt's
NO_ARGON2 = ("for argon2 Python's argon2 module is needed: install it (Debian: python3-argon2; PyPI: argon2-cffi) and "
             "run make setup, or set the password anew in another scheme")


def crypt(secret: bytes, salt: bytes) -> bytes:
    """The hash.  b"" if the salt is of no kind that is known here; TryLater on trouble."""
    try:
        from _crypt import crypt as made  # crypt's own C half: the module around it costs 15 ms
    except ImportError:
        from _crypt_r import crypt as made  # the same for Python 3.13 and later

    try:
        hashed = (made(secret.decode("utf-8"), salt.decode("ascii")) or "").encode("ascii")
    except UnicodeDecodeError:
        hashed = _crypt_8_bit(made, secret, salt)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOSYS):
            return b""
        raise codes.TryLater("crypt(3): %s" % error.strerror) from None
    return b"" if hashed.startswith(FAILED) else hashed


def _crypt_8_bit(made: "Callable[[str, str], str]", secret: bytes, salt: bytes) -> bytes:
    """For a password that is no UTF-8, as old clients send them: the module takes none, the library does."""
    import sys
    from ctypes import CDLL, c_char_p  # costs 10 ms, and is seldom needed

    library = CDLL(getattr(sys.modules[made.__module__], "__file__", None)).crypt
    library.restype = c_char_p
    library.argtypes = [c_char_p, c_char_p]
    hashed: bytes | None = library(secret, salt)
    return hashed or b""


def argon2_fits(secret: bytes, stored: bytes) -> bool:
    """Whether `stored`, $argon2...$, is of `secret`.  ValueError if it is not argon2's; TryLater without the module."""
    try:
        from argon2 import exceptions, low_level  # another project's, and only needed for these
    except ImportError:
        raise codes.TryLater(NO_ARGON2) from None

    kinds = {b"argon2d": low_level.Type.D, b"argon2i": low_level.Type.I, b"argon2id": low_level.Type.ID}
    kind = kinds.get(stored[1:].partition(b"$")[0])
    if kind is None or b"\0" in stored:
        raise ValueError("a kind of argon2 that is not known")
    try:
        return bool(low_level.verify_secret(stored, secret, kind))
    except exceptions.VerifyMismatchError:
        return False
    except exceptions.VerificationError as error:
        if "memory" in str(error).lower() and "alloc" in str(error).lower():
            raise codes.TryLater("argon2: %s: is there a limit on the memory of this process?" % error) from None
        raise ValueError("not argon2's: %s" % error) from None


def argon2(secret: bytes, salt: bytes) -> bytes:
    """What argon2id makes of a password.  TryLater without the module."""
    try:
        from argon2 import exceptions, low_level  # as above
    except ImportError:
        raise codes.TryLater(NO_ARGON2) from None

    try:
        # 19 MiB, and not RFC 9106's 64: many logins run at once
        return bytes(low_level.hash_secret(secret, salt, 2, 19 * 1024, 1, 32, low_level.Type.ID))
    except exceptions.HashingError as error:
        raise codes.TryLater("argon2: %s" % error) from None


def pbkdf2(digest: str, secret: bytes, salt: bytes, rounds: int) -> bytes:
    """PBKDF2 (RFC 8018 5.2), as long as the digest."""
    from _hashlib import pbkdf2_hmac  # OpenSSL's: costs 3 ms, and a loop of ours more

    return bytes(pbkdf2_hmac(digest, secret, salt, rounds))


def scram_keys(secret: bytes, salt: bytes, iterations: int = scramkeys.ITERATIONS) -> "Keys":
    """The keys of SCRAM-SHA-256 for a password, which must be prepared already."""
    return scramkeys.of_salted(pbkdf2("sha256", secret, salt, iterations), iterations, salt)


def prepared(secret: bytes) -> bytes:
    """The password as SCRAM's clients take it (SASLprep, RFC 4013); as it is if it is no text or cannot be prepared.

    Dovecot takes all as they are; for what people type on one keyboard that is the same.
    """
    if secret.isascii():
        return secret
    import stringprep
    from unicodedata import ucd_3_2_0           # costs 1 ms, for the few who have more than ASCII

    try:
        text = secret.decode("utf-8")
    except UnicodeDecodeError:
        return secret
    mapped = "".join(" " if stringprep.in_table_c12(each) else each for each in text                # RFC 4013 2.1
                     if not stringprep.in_table_b1(each))
    done = ucd_3_2_0.normalize("NFKC", mapped)
    prohibited = (stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
                  stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8,
                  stringprep.in_table_c9)
    right = [stringprep.in_table_d1(each) for each in done]
    mixed = any(right) and not (right[0] and right[-1] and not any(map(stringprep.in_table_d2, done)))   # RFC 3454 6
    if not done or mixed or any(is_one(each) for each in done for is_one in prohibited):
        return secret
    return done.encode()
