"""A uid is given once, above all that there are, and never one that somebody has."""

import pathlib

import pytest

from vqmail import codes
from vqmail.admin import transaction, uids
from vqmail.store import journal as changes


@pytest.fixture
def site(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    for each in ("control", "users", "virtual/a.test/etc", "virtual/b.test/etc", "virtual/lost+found"):
        (tmp_path / each).mkdir(parents=True)
    (tmp_path / "virtual/file").touch()
    (tmp_path / "control/virtualroot").write_text(f"{tmp_path}/virtual\n")
    (tmp_path / "system").write_text("root:x:0:0::/:\nnobody:x:65534:65534::/:\nold:x:2003:2004::/:\n+::::::\n")
    monkeypatch.setattr("vqmail.vqhome.VQHOME", str(tmp_path).encode())
    for module, name, file in ((changes, "LOCK", "users/lock"), (changes, "PATH", "users/journal"), (uids, "PATH", "users/uids"),
                               (uids, "ASSIGN", "users/assign"), (uids, "SYSTEM", "system")):
        monkeypatch.setattr(module, name, str(tmp_path / file).encode())
    return tmp_path


def given(count: int = 1, taken: "tuple[int, ...]" = ()) -> "list[int]":
    with transaction.Transaction() as t:
        found = [uids.free(t, taken) for _ in range(count)]
        t.commit()
    return found


def test_from_2000_on_but_for_those_that_somebody_has(site: pathlib.Path) -> None:
    assert given(3) + given(2, (2006,)) == [2000, 2001, 2002, 2005, 2007]
    assert (site / "users/uids").read_text() == "2007\n"


def test_the_first_one_is_above_all_that_are_there(site: pathlib.Path) -> None:
    (site / "users/assign").write_text("+a.test-:a:3000:3001:/a:-::\n.\n")
    (site / "virtual/a.test/etc/passwd").write_text("bob:*:4000:4007::home/bob:\nnobody:*:65534:65535::home/n:\nfar:*:4000000000:9::home/f:\n")
    (site / "virtual/b.test/etc/passwd").write_text("broken\n")

    assert given(2) == [4008, 4009]


def test_what_was_not_committed_was_not_given(site: pathlib.Path) -> None:
    with transaction.Transaction() as t:
        assert uids.free(t) == 2000

    assert given() == [2000]


def test_the_postmaster_says_where_they_begin(site: pathlib.Path) -> None:
    given()
    (site / "control/firstuid").write_text("70000\n")

    assert given() == [70000]


def test_nobody_is_nobody(site: pathlib.Path) -> None:
    (site / "users/uids").write_text("65533\n")

    assert given() == [65536]


@pytest.mark.parametrize("text", ["", "many\n", "-5\n", "1 2\n"])
def test_a_state_that_is_none_is_not_guessed_at(site: pathlib.Path, text: str) -> None:
    (site / "users/uids").write_text(text)

    with pytest.raises(codes.GiveUp, match="users/uids must be the last uid that was given, a number; write it there"):
        given()
    assert (site / "users/uids").read_text() == text


def test_when_there_are_none_left(site: pathlib.Path) -> None:
    (site / "users/uids").write_text("4294967294\n")

    with pytest.raises(codes.GiveUp, match="there are no uids left"):
        given()
