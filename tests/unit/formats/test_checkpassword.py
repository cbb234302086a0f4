"""What goes over descriptor 3."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqmail.formats import checkpassword


def test_fields_end_in_nul() -> None:
    assert b"bob\0secret\0<1.2@h>\0" == checkpassword.encode(b"bob", bytearray(b"secret"), b"<1.2@h>")


@pytest.mark.parametrize(("name", "secret", "stamp"), [
    (b"a\0b", b"x", b"t"), (b"a", b"x\0y", b"t"), (b"a", b"x", b"\0"), (b"a" * 300, b"x" * 300, b"t"),
    (b"a" * 506, b"xx", b"tt")])
def test_what_does_not_fit_is_refused(name: bytes, secret: bytes, stamp: bytes) -> None:
    with pytest.raises(ValueError, match="not for a checkpassword"):
        checkpassword.encode(name, secret, stamp)


def test_512_bytes_fit() -> None:
    assert 512 == len(checkpassword.encode(b"a" * 506, b"xx", b"t"))


@pytest.mark.parametrize(("data", "fields"), [
    (b"bob\0secret\0stamp\0", (b"bob", b"secret", b"stamp")),
    (b"bob\0secret\0stamp\0more\0data", (b"bob", b"secret", b"stamp")),
    (b"bob\0secret\0stamp", (b"bob", b"secret", b"stamp")),
    (b"bob\0secret\0", (b"bob", b"secret", b"")),           # SMTP AUTH
    (b"\0\0\0", (b"", b"", b"")),
    (b"bob\0two words \xff\0\0", (b"bob", b"two words \xff", b"")),
])
def test_decoded(data: bytes, fields: "tuple[bytes, ...]") -> None:
    assert fields == checkpassword.decode(data)


@pytest.mark.parametrize("data", [b"", b"bob", b"bob\0", b"bob\0secret", b"bob\0" + b"x" * 507 + b"\0\0"])
def test_too_little_and_too_much_is_misuse(data: bytes) -> None:
    with pytest.raises(ValueError):
        checkpassword.decode(data)


def test_wiped_secret_is_gone() -> None:
    secret = bytearray(b"secret")
    checkpassword.wipe(secret)

    assert bytearray(6) == secret


@given(st.binary(max_size=600))
def test_any_bytes_are_fields_or_misuse(data: bytes) -> None:
    try:
        fields = checkpassword.decode(data)
    except ValueError:
        return

    assert data.startswith(b"%s\0%s\0" % fields[:2])
