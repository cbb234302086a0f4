"""Whatever stands in the field, it is something or ValueError."""

import hypothesis
import pytest
from hypothesis import strategies

from vqmail.formats import storedpassword
from vqmail.formats.storedpassword import Stored

SCHEMES = strategies.sampled_from([b"", *(b"{%s%s}" % (each, more) for each in (*storedpassword.SCHEMES, b"X") for more in (
    b"", b".b64", b".HEX", b".x"))])
TEXTS = strategies.binary(max_size=80) | strategies.text("abcdefABCDEF0123456789+/=$,", max_size=100).map(str.encode)


@hypothesis.given(SCHEMES, TEXTS)
def test_it_is_something_or_value_error(scheme: bytes, text: bytes) -> None:
    try:
        assert isinstance(storedpassword.decode(scheme + text), Stored)
    except ValueError:
        pass


MD5 = bytes.fromhex("e8636ea013e682faf61f56ce1cb1ab5c")


@pytest.mark.parametrize(("stored", "is_"), [
    (b"", Stored("locked", b"")), (b"x", Stored("locked", b"")), (b"*", Stored("locked", b"")), (b"!$6$x", Stored("locked", b"")),
    (b"e8636ea013e682faf61f56ce1cb1ab5c", Stored("digest", MD5, "md5")), (b"6GNuoBPmgvr2H1bOHLGrXA==", Stored("digest", MD5, "md5")),
    (b"{Md5}E8636EA013E682FAF61F56CE1CB1AB5C", Stored("digest", MD5, "md5")), (b"{SMD5.HEX}" + MD5.hex().encode() + b"6162", Stored("digest", MD5, "md5", b"ab")),
    (b"{md5}$1$a$b", Stored("crypt", b"$1$a$b")), (b"{CRYPT}$argon2id$x", Stored("argon2", b"$argon2id$x")),
    (b"$argon2i$x", Stored("argon2", b"$argon2i$x")), (b"{plain}a}b", Stored("clear", b"a}b")), (b"{PLAIN}*", Stored("clear", b"*")),
    (b"{PLAIN.b64}YTpi", Stored("clear", b"a:b")), (b"saqc9.Bob8aeY", Stored("crypt", b"saqc9.Bob8aeY")),
    (b"{PBKDF2}$1$sa$5000$" + b"0" * 40, Stored("pbkdf2", bytes(20), "sha1", b"sa", 5000))])
def test_what_is_what(stored: bytes, is_: Stored) -> None:
    assert storedpassword.decode(stored) == is_
