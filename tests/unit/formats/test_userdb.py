"""Lines of Courier's userdb."""

import pytest

from vqmail.formats import userdb


def test_a_line() -> None:
    name, fields = userdb.parse(b"Bob@d.test\thome=/h/bob|mail=/h/bob/M=x|uid=5|gid=6|systempw=$1$a$b")

    assert name == b"bob@d.test"
    assert fields == {b"home": b"/h/bob", b"mail": b"/h/bob/M=x", b"uid": b"5", b"gid": b"6", b"systempw": b"$1$a$b"}
    assert userdb.password(fields) == b"$1$a$b"


@pytest.mark.parametrize("line", [b"", b"bob home=/x", b"\thome=/x"])
def test_no_line(line: bytes) -> None:
    with pytest.raises(ValueError):
        userdb.parse(line)
