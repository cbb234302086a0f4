"""Lines of a domain's passwd file."""

import pytest

from vqmail.formats import passwd


def entry(name: bytes, password: bytes, uid: int, gid: int, home: bytes) -> passwd.Entry:
    return passwd.Entry(name, password, uid, gid, home)


def test_a_line_is_a_user() -> None:
    assert list(passwd.entries([b"bob:$6$x$y:1001:1002:Bob, the first:/home/bob:/bin/false"])) == [
        entry(b"bob", b"$6$x$y", 1001, 1002, b"/home/bob")]


def test_names_are_in_lower_case() -> None:
    assert [each.name for each in passwd.entries([b"Bob:x:1:1::h:"])] == [b"bob"]


def test_empty_lines_and_comments_are_no_users() -> None:
    assert list(passwd.entries([b"", b"# bob:x:1:1::h:", b"  "])) == []


@pytest.mark.parametrize("name", [b"bob", b"bob.smith", b"bob+x", b"bob-x", b"-bob", b"bob@x", b"b\xc3\xb6b", b"x" * 255])
def test_these_are_names(name: bytes) -> None:
    assert passwd.usable(name) is True


@pytest.mark.parametrize("name", [b"", b".", b"..", b".bob", b"a/b", b"/", b"a:b", b"a\0b", b"a b", b"a\tb", b"a\nb", b"a\x7f",
                                  b"\x1b[2J", b"x" * 256])
def test_these_are_not(name: bytes) -> None:
    assert passwd.usable(name) is False


@pytest.mark.parametrize(("line", "reason"), [
    (b"bob:x:1001:1001::/home/bob", "line 2: has 5 colons, needs 6: name:hash:uid:gid:gecos:home:shell"),
    (b"bob:x:1001:1001::/home/bob:/bin/sh:", "line 2: has 7 colons, needs 6: name:hash:uid:gid:gecos:home:shell"),
    (b"bob", "line 2: has 0 colons, needs 6: name:hash:uid:gid:gecos:home:shell"),
    (b":x:1001:1001::/home/bob:", "line 2: an empty name cannot be a user's name; choose another"),
    (b"..:x:1001:1001::/home/bob:", "line 2: .. cannot be a user's name; choose another"),
    (b".bob:x:1001:1001::/home/bob:", "line 2: .bob cannot be a user's name; choose another"),
    (b"a/b:x:1001:1001::/home/bob:", "line 2: a/b cannot be a user's name; choose another"),
    (b"a\x1bb:x:1001:1001::/home/bob:", "line 2: a?b cannot be a user's name; choose another"),
    (b"bob:x:bob:1001::/home/bob:", "line 2: uid and gid of bob must be numbers"),
    (b"bob:x:1001:::/home/bob:", "line 2: uid and gid of bob must be numbers"),
    (b"bob:x:-1:1001::/home/bob:", "line 2: uid and gid of bob must be numbers"),
    (b"bob:x:4294967295:1001::/home/bob:", "line 2: uid and gid of bob must be numbers"),
    (b"bob:x:1001:1001:::", "line 2: the home of bob must be a directory below the domain's, without .."),
    (b"bob:x:1001:1001::/:", "line 2: the home of bob must be a directory below the domain's, without .."),
    (b"bob:x:1001:1001::../other/home/bob:", "line 2: the home of bob must be a directory below the domain's, without .."),
    (b"bob:x:1001:1001::/home/../../x:", "line 2: the home of bob must be a directory below the domain's, without .."),
    (b"bob:x:1001:1001::/ho\0me:", "line 2: the home of bob must be a directory below the domain's, without .."),
    (b"ANN:x:1001:1001::/home/ann:", "line 2: ANN stands in line 1 already; remove one"),
])
def test_a_broken_line_is_refused_with_its_number_and_what_to_do(line: bytes, reason: str) -> None:
    if reason.endswith("remove one"):
        reason = reason.replace("ANN", "ann")
    with pytest.raises(ValueError) as refused:
        list(passwd.entries([b"ann:x:1001:1001::/home/ann:", line]))

    assert str(refused.value) == reason


@pytest.mark.parametrize(("uid", "gid"), [(0, 1001), (99, 1001), (1001, 99), (1001, 0)])
def test_ids_below_the_least_are_refused_where_there_is_one(uid: int, gid: int) -> None:
    line = b"bob:x:%d:%d::/home/bob:" % (uid, gid)

    assert list(passwd.entries([line])) == [entry(b"bob", b"x", uid, gid, b"/home/bob")]
    with pytest.raises(ValueError, match=r"^line 1: uid \d+ or gid \d+ of bob is below 100 \(control/minuid\): not allowed$"):
        list(passwd.entries([line], 100))
