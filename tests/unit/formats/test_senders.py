"""control/senders: as whom a login may send besides himself."""

import pytest

from vqmail.formats import senders

TABLE = {
    b"bob@a.test": frozenset((b"sales@a.test", b"@c.test")),
    b"@b.test": frozenset((b"press@b.test",)),
    b"news@a.test": frozenset((b"*",)),
    b"": frozenset((b"help@a.test",)),
}


@pytest.mark.parametrize(("entry", "expected"), [
    (b"bob@a.test:sales@a.test", (b"bob@a.test", b"sales@a.test")),
    (b"bob:sales@a.test", (b"bob", b"sales@a.test")),
    (b"@a.test:@b.test", (b"@a.test", b"@b.test")),
    (b"bob@a.test:*", (b"bob@a.test", b"*")),
    (b":help@a.test", (b"", b"help@a.test")),
])
def test_lines(entry: bytes, expected: "tuple[bytes, bytes]") -> None:
    assert senders.parse(entry) == expected


@pytest.mark.parametrize(("entry", "words"), [
    (b"bob@a.test", "write login:sender"),
    (b"bob@a.test:", "after the colon"),
    (b"bob@a.test:sales", "after the colon"),
    (b"bob@a.test:sales@", "after the colon"),
    (b"bob@a.test:x@a.test:y@a.test", "after the colon"),
    (b"bob@:x@a.test", "before the colon"),
    (b"@:x@a.test", "before the colon"),
    (b"*:x@a.test", "before the colon"),
])
def test_lines_that_make_no_sense(entry: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        senders.parse(entry)


@pytest.mark.parametrize(("login", "sender", "expected"), [
    (b"bob@a.test", b"sales@a.test", True),
    (b"bob@a.test", b"anybody@c.test", True),
    (b"bob@a.test", b"anybody@x.c.test", False),
    (b"bob@a.test", b"press@b.test", False),
    (b"ann@a.test", b"sales@a.test", False),
    (b"ann@a.test", b"help@a.test", True),
    (b"eve@b.test", b"press@b.test", True),
    (b"eve@b.test", b"bob@a.test", False),
    (b"news@a.test", b"anybody@anywhere.test", True),
    (b"bob", b"sales@a.test", False),
    (b"bob@a.test", b"*", False),
])
def test_who_may(login: bytes, sender: bytes, expected: bool) -> None:
    assert senders.allow(TABLE, login, sender) is expected
