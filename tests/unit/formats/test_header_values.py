"""What fields say."""

import pytest

from vqmail.formats import header


@pytest.mark.parametrize(("text", "expected"), [
    (b"Subject: hi\n", [b"hi"]),
    (b"SUBJECT:hi", [b"hi"]),
    (b"Subject : hi\n", [b"hi"]),
    (b"Subject: a\n b\n\tc\nTo: x\n", [b"a b\tc"]),
    (b"To: x\n Subject: no\nSubject: one\nSubject: two\n", [b"one", b"two"]),
    (b"X-Subject: no\nSubjects: no\nSubject\n", []),
    (b" begins folded\nSubject:\n", [b""]),
    (b"Subject: with: colons\r\n", [b"with: colons"]),
    (b"", []),
])
def test_values(text: bytes, expected: "list[bytes]") -> None:
    assert header.values(text, b"subject") == expected
