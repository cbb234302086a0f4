"""Old names to log in with."""

import pytest

from vqmail.formats import logins


def test_of_the_whole_installation() -> None:
    lines = [b"# old names", b"", b"dom1bob:bob@d1.test", b"BOB%dom1 : Bob@D1.test".replace(b" ", b"")]

    assert list(logins.records(lines, whole=True)) == [(b"dom1bob", b"bob@d1.test"), (b"bob%dom1", b"bob@d1.test")]


def test_of_one_domain() -> None:
    assert list(logins.records([b"old:bob"], whole=False)) == [(b"old", b"bob")]


@pytest.mark.parametrize(("line", "whole"), [
    (b"old", True), (b":bob@d.test", True), (b"old:bob", True), (b"old:bob@", True), (b"old:@d.test", True),
    (b"a b:bob@d.test", True), (b"old:../x", False), (b"old:", False)])
def test_broken_lines_are_named(line: bytes, whole: bool) -> None:
    with pytest.raises(ValueError, match="line 2: "):
        list(logins.records([b"", line], whole=whole))


def test_a_name_counts_once() -> None:
    with pytest.raises(ValueError, match="line 2: the name stands in line 1 already"):
        list(logins.records([b"old:bob", b"OLD:ann"], whole=False))
