"""Who was answered: once in a time, whatever crashes, and never more than there is room for."""

import pathlib

import pytest

from vqmail import codes
from vqmail.store import answered


@pytest.fixture
def place(tmp_path: pathlib.Path) -> bytes:
    return str(tmp_path / "memory").encode()


def ask(place: bytes, sender: bytes, now: int, times: int = 1) -> bool:
    with answered.Memory(place) as memory:
        return memory.may_answer(sender, now, 100, times)


def text(place: bytes) -> bytes:
    return pathlib.Path(place.decode(), "answered").read_bytes()


def test_once_in_a_time(place: bytes) -> None:
    found = [ask(place, b"a@x", 1000), ask(place, b"A@X", 1050), ask(place, b"b@x", 1050), ask(place, b"a@x", 1099),
             ask(place, b"a@x", 1100)]

    assert found == [True, False, True, False, True]


def test_as_often_as_is_allowed(place: bytes) -> None:
    assert [ask(place, b"a@x", 1000 + each, 3) for each in range(5)] == [True, True, True, False, False]


def test_a_line_that_a_crash_cut_is_none_and_spoils_no_other(place: bytes) -> None:
    ask(place, b"a@x", 1000)
    with pathlib.Path(place.decode(), "answered").open("ab") as file:
        file.write(b"1001 b@")

    assert [ask(place, b"c@x", 1002), ask(place, b"a@x", 1003), ask(place, b"b@", 1003)] == [True, False, True]
    assert text(place) == b"1000 a@x\n1002 c@x\n1003 b@\n"


def test_nonsense_is_passed_over(place: bytes) -> None:
    ask(place, b"a@x", 1000)
    pathlib.Path(place.decode(), "answered").write_bytes(b"x\n\n-1 b@x\n9999999999999999 b@x\n1000 a@x\n5000 b@x\n")

    assert [ask(place, b"b@x", 1002), ask(place, b"a@x", 1002)] == [True, False]


def test_what_is_too_old_does_not_stay_for_ever(place: bytes) -> None:
    for each in range(2000):
        ask(place, b"%d@x.test" % each, 1000 + each)

    assert len(text(place)) < 10000


def test_a_full_memory_answers_nobody_new(place: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answered, "LIMIT", 20)

    assert [ask(place, each, 1000) for each in (b"a@x", b"b@x", b"c@x", b"a@x")] == [True, True, False, False]
    assert ask(place, b"c@x", 1200)


def test_an_answer_that_was_not_sent_is_taken_back(place: bytes) -> None:
    ask(place, b"b@x", 999)
    ask(place, b"A@x", 1000)
    with answered.Memory(place) as memory:
        memory.forget(b"A@x", 1000)
        memory.forget(b"nobody", 1000)

    assert text(place) == b"999 b@x\n"
    assert ask(place, b"a@x", 1001)


@pytest.mark.parametrize("name", ["answered", "lock"])
def test_no_link_is_followed(place: bytes, tmp_path: pathlib.Path, name: str) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "victim").write_text("mine\n")
    (tmp_path / "memory" / name).symlink_to(tmp_path / "victim")
    with pytest.raises(codes.TryLater):
        ask(place, b"a@x", 1000)

    assert (tmp_path / "victim").read_text() == "mine\n"


def test_a_directory_that_cannot_be_made_is_trouble(tmp_path: pathlib.Path) -> None:
    with pytest.raises(codes.TryLater, match="no/memory"):
        ask(str(tmp_path / "no/memory").encode(), b"a@x", 1000)
