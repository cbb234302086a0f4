"""Digests without hashlib are hashlib's."""

import hashlib
import hmac

import pytest

from vqmail.formats import digest


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256", "sha512"])
@pytest.mark.parametrize("key", [b"", b"key", b"k" * 64, b"k" * 65, b"k" * 128, b"k" * 129])
def test_same_as_hashlib(kind: str, key: bytes) -> None:
    assert digest.of(kind, key) == hashlib.new(kind, key).digest()
    assert digest.keyed(kind, key, b"text") == hmac.digest(key, b"text", kind)


def test_rfc_2195_example() -> None:
    assert digest.keyed("md5", b"tanstaaftanstaaf", b"<1896.697170952@postoffice.reston.mci.net>").hex() == (
        "b913a602c7eda7a495b4e6e7334d3890")
