"""A value of control files follows its files, however they are changed."""

import os
import pathlib
import time

import pytest

from vqmail import codes, vqhome
from vqmail.store import control, current


@pytest.fixture
def place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(vqhome, "path", lambda name: os.fsencode(tmp_path) + b"/" + name)
    (tmp_path / "control").mkdir()
    return tmp_path / "control"


def old(path: pathlib.Path, text: str) -> None:
    """A file that was written long ago."""
    path.write_text(text)
    os.utime(path, (1_700_000_000, 1_700_000_000))


def test_it_is_made_once_as_long_as_the_files_stay(place: pathlib.Path) -> None:
    old(place / "me", "a.test\n")
    made = []
    value = current.Current(lambda: made.append(1) or control.line(b"me"), (b"me", b"locals"))

    assert [value.get(), value.get(), value.get()] == [b"a.test"] * 3
    assert made == [1]


@pytest.mark.parametrize("change", ["written", "replaced", "removed", "added"])
def test_any_change_is_seen(place: pathlib.Path, change: str) -> None:
    old(place / "me", "a.test\n")
    old(place / "locals", "x.test\n")
    value = current.Current(lambda: (control.line(b"me"), control.entries(b"locals"), control.read(b"percenthack")),
                            (b"me", b"locals", b"percenthack"))
    value.get()
    if change == "written":
        (place / "me").write_text("b.test\n")
    elif change == "replaced":                  # of the same size and time
        old(place / "me.new", "b.test\n")
        (place / "me.new").rename(place / "me")
    elif change == "removed":
        (place / "locals").unlink()
    else:
        old(place / "percenthack", "p.test\n")

    expected = {"written": (b"b.test", [b"x.test"], None), "replaced": (b"b.test", [b"x.test"], None),
                "removed": (b"a.test", [b"a.test"], None), "added": (b"a.test", [b"x.test"], b"p.test\n")}
    assert value.get() == expected[change]


def test_a_file_of_just_now_is_read_again_because_its_next_change_may_bear_the_same_time(place: pathlib.Path) -> None:
    ahead = time.time_ns() + 10**12             # a clock that was set back: as fresh as can be
    value = current.Current(lambda: control.line(b"me"), (b"me",))
    for text in ("a.test", "b.test"):
        (place / "me").write_text(text + "\n")
        os.utime(place / "me", ns=(ahead, ahead))

        assert value.get() == text.encode()


def test_trouble_is_trouble_and_not_the_old_value(place: pathlib.Path) -> None:
    old(place / "me", "a.test\n")
    value = current.Current(lambda: control.line(b"me"), (b"me",))
    value.get()
    (place / "me").unlink()
    (place / "me").mkdir()

    with pytest.raises(codes.TryLater, match="control/me"):
        value.get()
