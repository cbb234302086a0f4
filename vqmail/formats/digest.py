"""Digests of short texts, by Python's own C code: hashlib costs 4 ms to import, these modules nothing."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = {"md5": 64, "sha1": 64, "sha256": 64, "sha512": 128}      # bytes; RFC 2104 2


def of(kind: str, data: bytes) -> bytes:
    """The digest of `data`: md5, sha1, sha256 or sha512."""
    return _maker(kind)(data)


def keyed(kind: str, key: bytes, data: bytes) -> bytes:
    """HMAC (RFC 2104)."""
    block = BLOCK[kind]
    make = _maker(kind)
    key = (make(key) if len(key) > block else key).ljust(block, b"\0")
    inner = make(bytes(each ^ 0x36 for each in key) + data)
    return make(bytes(each ^ 0x5C for each in key) + inner)


def same(one: bytes, other: bytes) -> bool:
    """Whether two secrets are equal; how long it takes does not tell where they differ."""
    from _operator import _compare_digest  # hmac's, without hmac

    return bool(_compare_digest(one, other))


def _maker(kind: str) -> "Callable[[bytes], bytes]":
    if kind == "md5":
        from _md5 import md5 as make
    elif kind == "sha1":
        from _sha1 import sha1 as make
    else:
        try:
            from _sha2 import sha256, sha512  # since Python 3.12 both are in one module
        except ImportError:
            from _sha256 import sha256
            from _sha512 import sha512
        make = sha256 if kind == "sha256" else sha512
    return lambda data: bytes(make(data, usedforsecurity=False).digest())
