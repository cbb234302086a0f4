"""Who logged in when: a line for each, written over in place."""

import pathlib
import threading

import pytest

from vqmail.store import lastlogin

Last = lastlogin.Last


@pytest.fixture
def file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(lastlogin, "DIRECTORY", str(tmp_path / "lastlogin").encode())
    return tmp_path / "lastlogin/a.test"


def test_the_last_of_each_is_kept_in_its_line(file: pathlib.Path) -> None:
    lastlogin.put(b"a.test", b"bob", Last(1700000000, b"192.0.2.1"))
    lastlogin.put(b"a.test", b"Ann", Last(1700000001, b"2001:db8::1"))
    lastlogin.put(b"a.test", b"bob", Last(1700000002, b"192.0.2.77"))
    lastlogin.put(b"a.test", b"bo", Last(1700000003, b""))

    assert file.read_bytes() == (b"bob:1700000002 192.0.2.77%s\nann:1700000001 2001:db8::1%s\nbo:1700000003 %s\n" % (
        b" " * 35, b" " * 34, b" " * 45))
    assert file.stat().st_mode & 0o777 == 0o600
    assert lastlogin.of(b"a.test", b"BOB") == Last(1700000002, b"192.0.2.77")
    assert lastlogin.of(b"a.test", b"ob") is None
    assert lastlogin.of(b"b.test", b"bob") is None


def test_an_earlier_one_does_not_count(file: pathlib.Path) -> None:
    lastlogin.put(b"a.test", b"bob", Last(1700000000, b"192.0.2.1"))
    lastlogin.put(b"a.test", b"bob", Last(1600000000, b"192.0.2.2"))

    assert lastlogin.of_all(b"a.test") == {b"bob": Last(1700000000, b"192.0.2.1")}


def test_who_is_forgotten_has_never_logged_in_and_may_again(file: pathlib.Path) -> None:
    lastlogin.put(b"a.test", b"bob", Last(1700000000, b"192.0.2.1"))
    lastlogin.forget(b"a.test", b"bob")
    lastlogin.forget(b"a.test", b"ann")
    lastlogin.forget(b"c.test", b"ann")

    assert lastlogin.of_all(b"a.test") == {}
    lastlogin.put(b"a.test", b"bob", Last(1700000001, b"192.0.2.1"))
    assert lastlogin.of_all(b"a.test") == {b"bob": Last(1700000001, b"192.0.2.1")}


@pytest.mark.parametrize("cut", range(62))
def test_a_line_that_a_crash_cut_is_passed_over(file: pathlib.Path, cut: int) -> None:
    lastlogin.put(b"a.test", b"ann", Last(1700000000, b"192.0.2.1"))
    whole = file.read_bytes()
    lastlogin.put(b"a.test", b"bob", Last(1700000000, b"192.0.2.1"))
    file.write_bytes(file.read_bytes()[:len(whole) + cut])
    lastlogin.put(b"a.test", b"bob", Last(1700000001, b"192.0.2.2"))

    assert lastlogin.of_all(b"a.test") == {b"ann": Last(1700000000, b"192.0.2.1"), b"bob": Last(1700000001, b"192.0.2.2")}


def test_many_at_once_leave_one_line_each(file: pathlib.Path) -> None:
    def put(number: int) -> None:
        for each in range(20):
            lastlogin.put(b"a.test", b"user%d" % (each % 5), Last(1700000000 + each, b"192.0.2.%d" % number))

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert file.read_bytes().count(b"\n") == 5
    assert {last.time for last in lastlogin.of_all(b"a.test").values()} == {1700000000 + each for each in range(15, 20)}


@pytest.mark.parametrize(("domain", "user"), [(b"../x", b"bob"), (b"", b"bob"), (b"a.test", b""), (b"a.test", b"a:b"), (b"a.test", b"a\nb"),
                                              (b"a/b", b"bob"), (b".", b"bob")])
def test_what_is_no_user_is_not_noted_and_no_trouble(file: pathlib.Path, domain: bytes, user: bytes,
                                                     capfd: pytest.CaptureFixture[str]) -> None:
    lastlogin.note(domain, user, b"192.0.2.1")

    assert not file.parent.exists()
    assert "cannot note the login" in capfd.readouterr().err


def test_a_client_cannot_write_lines(file: pathlib.Path) -> None:
    lastlogin.note(b"a.test", b"bob", b"192.0.2.1\nann:1700000000")

    assert file.read_bytes().count(b"\n") == 1


def test_trouble_is_a_word_in_the_log(file: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.parent.write_text("in the way")
    lastlogin.note(b"a.test", b"bob", b"192.0.2.1")

    assert f"cannot note the login of <bob@a.test>: {file.parent}" in capfd.readouterr().err
    assert lastlogin.of(b"a.test", b"bob") is None
