"""What fields say, and where a header ends."""

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


def test_no_more_is_asked_for_than_the_header() -> None:
    pieces = iter([b"To: a\nSub", b"ject: b\n", b"\nbody\n", b"more\n"])

    assert header.read(pieces) == b"To: a\nSubject: b\n"
    assert list(pieces) == [b"more\n"]


def test_a_message_may_end_in_its_header() -> None:
    assert header.read([b"To: a\n", b"X: y"]) == b"To: a\nX: y"
