"""Is this the password?  Every answer costs what a right one costs, whoever was asked for.

Stored forms: crypt(3) of all kinds ($1$ $5$ $6$ $y$, DES ...), and {CLEAR}secret for those who want APOP.
"""

import errno

from vqmail import codes

CLEAR = (b"{CLEAR}", b"{PLAIN}")
# the hash of no password anybody has: what an unknown user's attempt is compared with
NOBODY = b"$6$vqmailnobodyhere$" + b"." * 86
LOCKED = (b"", b"*", b"!", b"x")


def verify(secret: bytes, stored: "bytes | None", timestamp: bytes) -> bool:
    """Whether `secret`, a password or APOP's digest for `timestamp`, fits what is `stored` (None: no such user).

    TryLater if the hash is of a kind that this system does not know.
    """
    known = stored is not None and stored not in LOCKED and stored[:1] not in (b"*", b"!")
    if known and stored is not None and stored.startswith(CLEAR):
        clear = stored.partition(b"}")[2]
        _crypt(secret, NOBODY)                  # or a stranger could tell by the clock who keeps a clear password
        return _same(secret, clear) | _same(secret, _digest(timestamp + clear))
    hashed = _crypt(secret, stored if known and stored is not None else NOBODY)
    return known and stored is not None and _same(hashed, stored)


def _same(one: bytes, other: bytes) -> bool:
    from _operator import _compare_digest  # hmac's, without hmac

    return bool(_compare_digest(one, other))


def _digest(text: bytes) -> bytes:
    from _md5 import md5  # APOP's; hashlib would cost 4 ms

    return bytes(md5(text).hexdigest(), "ascii")


def _crypt(secret: bytes, salt: bytes) -> bytes:
    try:
        from _crypt import crypt  # crypt's own C half: the module around it costs 15 ms
    except ImportError:
        from crypt_r import crypt  # Python 3.13 and later have none

    try:
        text = secret.decode("utf-8", "surrogateescape")
        hashed = crypt(text, salt.decode("ascii"))
    except UnicodeError:
        return b""
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise codes.TryLater("a password hash that begins with %r is of no kind that crypt(3) knows here; set the "
                                 "password anew" % salt[:3].decode("ascii", "replace")) from None
        raise codes.TryLater("crypt: %s" % error.strerror) from None
    return hashed.encode("ascii") if hashed else b""


def hashed(secret: bytes, random: bytes) -> bytes:
    """What to store for `secret`: crypt(3)'s $6$, which every system knows.  `random` is at least 12 random bytes."""
    alphabet = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return _crypt(secret, b"$6$" + bytes(alphabet[each % 64] for each in random[:16]))
