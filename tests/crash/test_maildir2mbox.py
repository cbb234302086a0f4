"""maildir2mbox killed, or given an error, at every system call it makes: no message is lost, none comes more than twice,
and the mbox is always a whole one."""

import os
import pathlib
import subprocess
import typing

import pytest
import support
from crash import sweep

KILLED = (-9, 137)
OLD = b"From x@y.test Sat Nov  7 05:18:57 2026\nSubject: old\n\nold\n\n"
MESSAGES = {"new/1.M1P1V1I1.h": b"Subject: one\n\n" + b"line\n" * 30_000, "new/2.M2P1V1I2.h": b"Subject: two\n\nFrom x\n",
            "cur/3.M3P1V1I3.h:2,S": b"Return-Path: <s@a.test>\nSubject: three\n\n"}
SUBJECTS = (b"\nSubject: one\n", b"\nSubject: two\n", b"\nSubject: three\n")
WHOLE = OLD + (
    b"From " + support.NO_SENDER + b" Sat Nov 21 05:18:57 2026\n" + MESSAGES["new/1.M1P1V1I1.h"]
    + b"\nFrom " + support.NO_SENDER + b" Sat Nov 21 05:18:57 2026\nSubject: two\n\n>From x\n"
    + b"\nFrom s@a.test Sat Nov 21 05:18:57 2026\nReturn-Path: <s@a.test>\nSubject: three\n\n\n")


class Place:
    """A maildir with three messages and an mbox with one."""

    def __init__(self, home: support.Home, path: pathlib.Path) -> None:
        self.argv = [home.bin("maildir2mbox")]
        self.joe = path / "joe"
        for folder in ("", "Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur"):
            (self.joe / folder).mkdir()
            os.chown(self.joe / folder, *support.single_ids())
        uid, gid = support.single_ids()
        self.options: dict[str, typing.Any] = {"user": uid, "group": gid, "extra_groups": []} if os.geteuid() == 0 else {}
        self.options |= {"cwd": path, "env": {
            "PATH": "/usr/bin:/bin", "MAILDIR": str(self.joe / "Maildir"), "MAIL": str(self.joe / "Mailbox"),
            "MAILTMP": str(self.joe / "mailtmp")}}
        self.log = path / "log"
        self.log.touch()
        self.log.chmod(0o666)

    def fill(self) -> None:
        """As it is before a run."""
        for name, text in {"Mailbox": OLD, **{"Maildir/" + name: text for name, text in MESSAGES.items()}}.items():
            path = self.joe / name
            path.unlink(missing_ok=True)
            path.write_bytes(text)
            path.chmod(0o640)
            os.utime(path, (1_795_238_337, 1_795_238_337))
            os.chown(path, *support.single_ids())
        (self.joe / "mailtmp").unlink(missing_ok=True)

    def left(self) -> "set[str]":
        """The messages that are in the maildir still."""
        return {f"{folder}/{each.name}" for folder in ("new", "cur") for each in (self.joe / "Maildir" / folder).iterdir()}

    def mbox(self) -> bytes:
        return (self.joe / "Mailbox").read_bytes()

    def run(self, argv: "list[str]") -> int:
        return subprocess.run(argv, capture_output=True, check=False, timeout=60, **self.options).returncode


@pytest.fixture
def place(home: support.Home, tmp_path: pathlib.Path) -> Place:
    return Place(home, tmp_path)


def test_nothing_is_lost_and_nothing_comes_three_times(place: Place) -> None:
    place.fill()
    calls = sweep.calls_of(place.argv, str(place.joe), log=place.log, **place.options)

    assert place.mbox() == WHOLE
    assert {name for name, _ in calls} >= {"openat", "write", "fsync", "rename", "unlink", "flock"}
    outcomes = set()
    for fault in sweep.faults(calls):
        place.fill()
        code = place.run(sweep.broken(fault, place.argv))
        mbox, left = place.mbox(), place.left()
        outcomes.add((code, mbox == WHOLE, len(left)))

        assert code in (0, 111, *KILLED), fault
        assert mbox in (OLD, WHOLE), fault
        assert mbox == WHOLE or left == set(MESSAGES), fault
        assert mbox == WHOLE or code != 0, fault
        assert (place.joe / "Mailbox").stat().st_mode == 0o100640, fault

        # the next run, which nothing breaks, puts all of it right
        assert place.run(place.argv) == 0, fault
        again = place.mbox()
        assert place.left() == set(), fault
        assert again.startswith(mbox), fault
        for subject in SUBJECTS:
            assert 1 <= again.count(subject) <= 2, fault
        assert not (place.joe / "mailtmp").exists(), fault

    assert {(0, True, 0), (111, False, 3), (-9, False, 3), (-9, True, 3), (-9, True, 1)} <= outcomes
