"""maildirsize on the disk: when it is believed, when it is made anew, and what is noted in it."""

import os
import pathlib
import time

import pytest

from vqmail.formats.quota import Limits, Use
from vqmail.store import quota

LIMITS = Limits(100, 10)


@pytest.fixture
def box(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "Maildir"
    for each in ("cur", "new", "tmp"):
        (path / each).mkdir(parents=True)
    return path


def of(box: pathlib.Path, limits: "Limits | None" = LIMITS) -> quota.Quota:
    return quota.Quota(os.fsencode(box), limits)


def size(box: pathlib.Path) -> str:
    return (box / "maildirsize").read_text()


def put(box: pathlib.Path, name: str, content: str = "x" * 10) -> None:
    path = box / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def test_it_is_counted_where_there_is_no_file(box: pathlib.Path) -> None:
    put(box, "new/1.h,S=7")
    put(box, "cur/2.h:2,S")
    put(box, "cur/3.h,S=3:2,T")
    put(box, "cur/.4.h")
    put(box, "tmp/5.h")
    put(box, ".Sent/cur/6.h,S=20,W=22:2,S")
    put(box, ".Sent.Old/new/7.h,S=1")
    put(box, ".Trash/cur/8.h,S=50:2,S")
    put(box, "courierimapkeywords/cur/9.h")
    put(box, ".note", "a file")

    assert of(box).use() == Use(38, 4)
    assert size(box) == "100S,10C\n38 4\n"


def test_what_is_there_is_believed(box: pathlib.Path) -> None:
    put(box, "maildirsize", "100S,10C\n50 5\n-10 -1\n")

    assert of(box).use() == Use(40, 4)
    assert size(box) == "100S,10C\n50 5\n-10 -1\n"


@pytest.mark.parametrize("text", [
    "200S,10C\n50 5\n", "100S\n50 5\n", "", "100S,10C\n", "100S,10C\n50 5\nx y\n", "100S,10C\n50 5\n-60 -1\n",
    "100S,10C\n50 5\n10", "100S,10C\n50 5\n" + "1 0\n-1 0\n" * 600])
def test_it_is_counted_where_the_file_is_no_good(box: pathlib.Path, text: str) -> None:
    put(box, "maildirsize", text)
    put(box, "new/1.h,S=7")

    assert of(box).use() == Use(7, 1)
    assert size(box) == "100S,10C\n7 1\n"


def test_a_link_or_a_pipe_of_that_name_is_replaced(box: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "secret").write_text("100S,10C\n1 1\n")
    (box / "maildirsize").symlink_to(tmp_path / "secret")
    put(box, "new/1.h,S=7")
    assert of(box).use() == Use(7, 1)
    assert (tmp_path / "secret").read_text() == "100S,10C\n1 1\n"

    (box / "maildirsize").unlink()
    os.mkfifo(box / "maildirsize")
    assert of(box).use() == Use(7, 1)
    assert size(box) == "100S,10C\n7 1\n"


def test_what_is_over_is_counted_before_it_is_believed(box: pathlib.Path) -> None:
    put(box, "maildirsize", "100S,10C\n50 5\n45 1\n")
    put(box, "new/1.h,S=7")

    assert of(box).fits(5)
    assert size(box) == "100S,10C\n50 5\n45 1\n"
    assert of(box).fits(6)
    assert size(box) == "100S,10C\n7 1\n"


def test_a_fresh_count_is_believed_for_a_quarter_of_an_hour(box: pathlib.Path) -> None:
    put(box, "maildirsize", "100S,10C\n99 5\n")
    now = time.time()
    os.utime(box / "maildirsize", (now, now - 600))
    assert not of(box).fits(6)

    os.utime(box / "maildirsize", (now, now - 1000))
    assert of(box).fits(6)
    assert size(box) == "100S,10C\n0 0\n"


def test_reserve_notes_what_comes_and_refuses_what_does_not_fit(box: pathlib.Path) -> None:
    one = of(box)
    assert one.reserve(60) == Use(60, 1)
    assert size(box) == "100S,10C\n0 0\n60 1\n"
    put(box, "new/1.h,S=60")
    with pytest.raises(quota.Full) as full:
        of(box).reserve(41)
    assert full.value.use == Use(60, 1)
    assert of(box).reserve(41, whatever=True) == Use(101, 2)


def test_the_eleventh_message_of_ten_does_not_fit(box: pathlib.Path) -> None:
    for each in range(10):
        of(box).reserve(1)
        put(box, f"new/{each}.h,S=1")

    with pytest.raises(quota.Full):
        of(box).reserve(1)


def test_what_did_not_come_is_given_back(box: pathlib.Path) -> None:
    one = of(box)
    one.reserve(60)
    one.give_back()
    one.give_back()

    assert size(box) == "100S,10C\n0 0\n60 1\n-60 -1\n"
    assert of(box).use() == Use(0, 0)


def test_what_a_count_in_between_missed_is_said_again(box: pathlib.Path) -> None:
    one = of(box)
    one.reserve(60)
    of(box).recount()
    put(box, "new/1.h,S=60")
    one.confirm()

    assert of(box).use() == Use(60, 1)


def test_a_death_in_between_leaves_too_much_which_is_mended_when_it_matters(box: pathlib.Path) -> None:
    of(box).reserve(60)                         # and then it was killed
    assert of(box).use() == Use(60, 1)

    assert of(box).reserve(60) == Use(60, 1)
    assert size(box) == "100S,10C\n0 0\n60 1\n"


def test_without_a_quota_nothing_is_made(box: pathlib.Path) -> None:
    for limits in (None, Limits(0, 0)):
        one = of(box, limits)
        one.reserve(10**9)
        one.confirm()
        assert not (box / "maildirsize").exists()
        assert one.fits(10**9)


def test_anothers_file_is_kept_up_but_not_obeyed(box: pathlib.Path) -> None:
    put(box, "maildirsize", "10S\n9 1\n")
    one = of(box, None)
    one.reserve(60)
    one.confirm()
    one.remove(9, 1)

    assert size(box) == "10S\n9 1\n60 1\n-9 -1\n"
    assert one.recount() == Use(0, 0)
    assert size(box) == "10S\n0 0\n"


def test_noquota_takes_the_limit_out_of_the_file(box: pathlib.Path) -> None:
    put(box, "maildirsize", "10S\n9 1\n")
    of(box, Limits(0, 0)).reserve(60)

    assert size(box) == "0S\n0 0\n60 1\n"


def test_removed_messages_are_noted_unless_they_did_not_count(box: pathlib.Path) -> None:
    put(box, "maildirsize", "100S,10C\n50 5\n")
    quota.note_removed(os.fsencode(box), [(b"1.h,S=7", 7), (b"2.h:2,S", 10), (b"3.h,S=3:2,T", 3)])

    assert size(box) == "100S,10C\n50 5\n-17 -2\n"


def test_nothing_is_left_in_tmp(box: pathlib.Path) -> None:
    of(box).recount()

    assert list((box / "tmp").iterdir()) == []


def test_a_lock_that_somebody_keeps_does_not_stop_it(box: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vqmail.unix import lock

    monkeypatch.setattr(quota, "PATIENCE", 0.0)
    number = os.open(box, os.O_RDONLY)
    lock.take_within(number, 1)
    try:
        assert of(box).reserve(60) == Use(60, 1)
    finally:
        os.close(number)
