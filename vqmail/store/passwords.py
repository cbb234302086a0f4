"""Is this the password?  A "no" costs as much for a user whom there is not as for one whom there is.

Stored forms: crypt(3) of all kinds ($1$ $5$ $6$ $y$, DES ...); {CLEAR}secret or {PLAIN}secret for those who want APOP;
{PLAIN-MD5} and 32 hex digits, for those who had it elsewhere.  What is empty, or begins with * or !, or is just an x,
is no password: nobody gets in.
"""

import errno

from vqmail import codes

SALT = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# yescrypt with 2 MiB costs a login as much time as $6$ does, and so as NOBODY; the best that the system knows is b""
SCHEMES = {b"": b"", b"yescrypt": b"$y$j85$", b"sha512": b"$6$", b"clear": b""}
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CLEAR = (b"{CLEAR}", b"{PLAIN}")
MD5 = b"{PLAIN-MD5}"
LOCKED = (b"*", b"!")
# the hash of no password anybody has: what an unknown user's attempt is compared with
NOBODY = b"$6$vqmailnobodyhere$" + b"." * 86
SLOW = (b"$5$", b"$6$", b"$y$", b"$gy$", b"$7$", b"$2")     # kinds that cost no less than NOBODY


def verify(secret: bytes, stored: "bytes | None", timestamp: bytes) -> bool:
    """Whether `secret`, a password or APOP's digest for `timestamp`, fits what is `stored` (None: no such user).

    TryLater if the hash is of a kind that this system does not know.
    """
    if stored is None or stored in (b"", b"x") or stored.startswith(LOCKED):
        stored = b""
    if stored.startswith(CLEAR):
        right = _is_clear(secret, stored.partition(b"}")[2], timestamp)
    elif stored.startswith(MD5):
        right = _same(_md5(secret), stored[len(MD5):].lower())
    else:
        right = bool(stored) and _same(_crypt(secret, stored), stored)
    if not right and not stored.startswith(SLOW):
        _crypt(secret, NOBODY)                  # or a stranger could tell by the clock who is not there
    return right


def _is_clear(secret: bytes, clear: bytes, timestamp: bytes) -> bool:
    if not clear:
        return False
    digest = _md5(timestamp + clear)            # RFC 1939 7
    # without a challenge the digest would be one for ever
    return _same(secret, clear) or (bool(timestamp) and _same(secret, digest))


def _md5(data: bytes) -> bytes:
    from _md5 import md5  # for APOP and old stored forms only; hashlib would cost 4 ms

    return bytes(md5(data, usedforsecurity=False).hexdigest(), "ascii")


def is_possible(stored: bytes) -> bool:
    """Whether a login can be compared with `stored`, or it is one that nobody gets in with.  False for a hash that was
    cut, or is a password in clear by mistake: what is made with it as a salt has another length.
    """
    if stored.startswith((*LOCKED, *CLEAR)):
        return True
    if stored.startswith(MD5):
        return len(stored) == len(MD5) + 32 and not stored[len(MD5):].strip(b"0123456789abcdefABCDEF")
    try:
        return len(_crypt(b"-", stored)) == len(stored)
    except (codes.TryLater, UnicodeDecodeError):
        return False


def load() -> None:
    """Have crypt(3) in memory before many processes are forked that want it."""
    _crypt(b"", NOBODY)


def _same(one: bytes, other: bytes) -> bool:
    from _operator import _compare_digest  # hmac's, without hmac

    return bool(_compare_digest(one, other))


def _crypt(secret: bytes, salt: bytes) -> bytes:
    """crypt(3); b"" if it cannot be told because of the password."""
    if b"\0" in secret:
        return b""
    hashed = _hash(secret, salt)
    if not hashed or hashed.startswith(LOCKED):             # "*0" is libxcrypt's failure
        raise codes.TryLater("a stored password that begins with %s is of no kind that crypt(3) knows here: set it "
                             "anew" % "".join(chr(each) if 32 < each < 127 else "?" for each in salt[:3]))
    return hashed


def _hash(secret: bytes, salt: bytes) -> bytes:
    try:
        from _crypt import crypt  # crypt's own C half: the module around it costs 15 ms
    except ImportError:
        from _crypt_r import crypt  # the same for Python 3.13 and later

    try:
        return (crypt(secret.decode("utf-8"), salt.decode("ascii")) or "").encode("ascii")
    except UnicodeDecodeError:
        return _hash_8_bit(crypt, secret, salt)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOSYS):
            return b""
        raise codes.TryLater("crypt(3): %s" % error.strerror) from None


def _hash_8_bit(crypt: "Callable[[str, str], str]", secret: bytes, salt: bytes) -> bytes:
    """For a password that is no UTF-8, as old clients send them: the module takes none, the library does."""
    import sys
    from ctypes import CDLL, c_char_p  # costs 10 ms, and is seldom needed

    library = CDLL(getattr(sys.modules[crypt.__module__], "__file__", None)).crypt
    library.restype = c_char_p
    library.argtypes = [c_char_p, c_char_p]
    hashed: bytes | None = library(secret, salt)
    return hashed or b""


def hashed(secret: bytes, random: bytes, scheme: bytes = b"") -> bytes:
    """What to store for `secret`, by one of SCHEMES.  `random` is at least 16 random bytes."""
    if scheme == b"clear":
        return CLEAR[0] + secret
    if not scheme:
        scheme = b"yescrypt" if _hash(b"", b"%s%s$" % (SCHEMES[b"yescrypt"], SALT[:16])) else b"sha512"
    length = 20 if scheme == b"yescrypt" else 16
    return _crypt(secret, SCHEMES[scheme] + bytes(SALT[each % 64] for each in random[:length]))
