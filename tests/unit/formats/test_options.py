"""formats/options: what stands in a domain's options, and what may not."""

import pytest

from vqmail.formats import options


def test_a_line_for_each_name() -> None:
    assert options.parse([b"# who is who", b"", b"Bob:quota=5M:suspended=login,send", b"*:quota=5000000S,1000C",
                          b"@:mailboxes=100:catchall=bob:extensions=:warn=0", b"carl:"]) == {
        b"bob": {b"quota": b"5M", b"suspended": b"login,send"}, b"*": {b"quota": b"5000000S,1000C"},
        b"@": {b"mailboxes": b"100", b"catchall": b"bob", b"extensions": b"", b"warn": b"0"}, b"carl": {}}


@pytest.mark.parametrize(("line", "reason"), [
    (b"bob", "line 1: write NAME:option=value"),
    (b":quota=5M", "line 1: write NAME:option=value"),
    (b"bob:quota", "line 1: quota lacks a value; write option=value"),
    (b"bob:qota=5M", "line 1: qota is no option of a user; there are quota suspended dotqmail moved"),
    (b"bob:mailboxes=5", "line 1: mailboxes is no option of a user"),
    (b"@:dotqmail=no", "line 1: dotqmail is no option of a domain"),
    (b"bob:quota=5M:quota=6M", "line 1: quota stands there twice; remove one"),
    (b"bob:quota=5X", "line 1: quota cannot be 5X: write 5M, 5000000S,1000C or NOQUOTA"),
    (b"bob:quota=5M,", "line 1: quota cannot be 5M,: "),
    (b"bob:quota=-1", "line 1: quota cannot be -1: "),
    (b"bob:suspended=everything", "line 1: suspended cannot be everything: write login, receive, send"),
    (b"bob:dotqmail=yes", "line 1: dotqmail cannot be yes: write no, forwards or programs"),
    (b"@:mailboxes=many", "line 1: mailboxes cannot be many: a number"),
    (b"@:mailboxes=", "line 1: mailboxes cannot be an empty word: a number"),
    (b"@:warn=101", "line 1: warn cannot be 101: write a number up to 100"),
    (b"@:extensions=a", "line 1: extensions cannot be a: the characters may be "),
    (b"@:overquota=drop", "line 1: overquota cannot be drop: write bounce or defer"),
    (b"@:catchall=|/bin/sh", "line 1: catchall cannot be |/bin/sh: write a user, an address, or delete"),
    (b"@:catchall=/etc/passwd", "line 1: catchall cannot be /etc/passwd: "),
    (b"@:catchall=bob\0", "line 1: catchall cannot be bob?: "),
    (b"@:forwarding=maybe", "line 1: forwarding cannot be maybe: write yes or no"),
    (b"@:uids=root", "line 1: uids cannot be root: write own or owner"),
    (b"bob:quota=" + b"5" * 2000, "line 1: quota cannot be 555"),
])
def test_what_cannot_be_is_refused_with_its_line_and_the_remedy(line: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match="^line 1: ") as refused:
        options.parse([line])

    assert str(refused.value).startswith(reason)


def test_the_second_line_of_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="^line 3: bob has a line already; write all options of a name in one$"):
        options.parse([b"bob:quota=5M", b"", b"BOB:suspended=login"])


def test_a_line_is_made_and_read_back() -> None:
    values = {b"quota": b"5M", b"suspended": b"login,send"}

    assert options.line(b"bob", values) == b"bob:quota=5M:suspended=login,send"
    assert options.parse([options.line(b"bob", values)]) == {b"bob": values}


@pytest.mark.parametrize(("key", "value"), [(b"quota", b"5M:suspended=login"), (b"quota", b"5M\nann:quota=1"), (b"dotqmail", b"")])
def test_no_line_is_made_that_says_something_else(key: bytes, value: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        options.line(b"bob", {key: value})
