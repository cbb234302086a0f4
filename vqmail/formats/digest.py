"""Digests of short texts, by Python's own C code: hashlib costs 4 ms to import, these modules nothing."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

INNER = bytes(each ^ 0x36 for each in range(256))                # RFC 2104 2
OUTER = bytes(each ^ 0x5C for each in range(256))
BLOCK = {"md5": 64, "sha1": 64, "sha256": 64, "sha512": 128}      # bytes; RFC 2104 2


def of(kind: str, data: bytes) -> bytes:
    """The digest of `data`: md5, sha1, sha256 or sha512."""
    return _maker(kind)(data)


def keyed(kind: str, key: bytes, data: bytes) -> bytes:
    """HMAC (RFC 2104)."""
    block = BLOCK[kind]
    make = _maker(kind)
    key = (make(key) if len(key) > block else key).ljust(block, b"\0")
    return make(key.translate(OUTER) + make(key.translate(INNER) + data))


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
        import sys                              # trying one name and then the other would cost each call 0.2 ms

        if sys.version_info >= (3, 12):
            from _sha2 import sha256, sha512    # both are in one module
        else:
            from _sha256 import sha256
            from _sha512 import sha512
        make = sha256 if kind == "sha256" else sha512
    return lambda data: bytes(make(data, usedforsecurity=False).digest())
