"""vq-local and virtmaildelivery broken at every system call: no yes without the message, nothing half done, and no
trouble of ours is taken for a mailbox that does not exist."""

import os
import pathlib
import subprocess
import typing

import pytest
import support
from crash import sweep

KILLED = (-9, 137)
HEAD = b"Return-Path: <s@a.test>\nDelivered-To: joe-a@b.test\n"
AFTERWARDS = ("close", "fchdir")                # can only fail when the message is there: then it comes twice
MESSAGE = b"Subject: hello\n\n" + b"line\n" * 2000
OLD = b"From x@y.test Sat Nov 07 05:18:57 2026\n\nold\n\n"
QUEUE = "#!/bin/sh\ncd {} || exit 81\ncat >message\ncat <&1 >envelope\nmv message queued\n"


class Place:
    """Where something is delivered to, by a program that may be broken."""

    def __init__(self, home: support.Home, path: pathlib.Path) -> None:
        self.home = home
        self.joe = path / "joe"
        for folder in ("", "Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur"):
            (self.joe / folder).mkdir()
            self.own(self.joe / folder)
        self.message = path / "message"
        self.message.write_bytes(MESSAGE)
        uid, gid = support.single_ids()
        self.options: dict[str, typing.Any] = {"user": uid, "group": gid, "extra_groups": []} if os.geteuid() == 0 else {}
        self.options |= {"cwd": path, "env": {"PATH": "/usr/bin:/bin", "QMAILQUEUE": str(self.joe / "queue"),
                                              "RPLINE": "Return-Path: <s@a.test>\n",
                                              "DTLINE": "Delivered-To: joe-a@b.test\n"}}
        self.log = path / "log"
        self.log.touch()
        self.log.chmod(0o666)
        self.write("queue", QUEUE.format(self.joe), 0o755)

    def own(self, path: pathlib.Path) -> None:
        os.chown(path, *support.single_ids())

    def write(self, name: str, text: "str | bytes", mode: int = 0o600) -> None:
        path = self.joe / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        self.own(path)

    def local(self, line: str) -> "list[str]":
        """The command line of vq-local, for an address that is what `line` says, and nothing without it."""
        self.write(".qmail-a", line)
        return [self.home.bin("vq-local"), "--", "joe", str(self.joe), "joe-a", "-", "a", "b.test", "s@a.test", "./none"]

    def outcomes(self, argv: "list[str]", marker: str) -> "typing.Iterator[tuple[str, int]]":
        """Each fault with the exit code of `argv` under it."""
        with self.message.open("rb") as zero:
            calls = sweep.calls_of(argv, marker, log=self.log, stdin=zero, **self.options)

        assert len(calls) > 10
        for fault in sweep.faults(calls):
            with self.message.open("rb") as zero:
                code = subprocess.run(sweep.broken(fault, argv), stdin=zero, capture_output=True, check=False, timeout=60,
                                      **self.options).returncode

            assert code in (0, 111, *KILLED), fault
            yield fault, code

    def taken(self, name: str) -> "list[bytes]":
        """The files in a folder, which is empty then."""
        found = [each.read_bytes() for each in (self.joe / name).iterdir()]
        for each in (self.joe / name).iterdir():
            each.unlink()
        return found


@pytest.fixture
def place(home: support.Home, tmp_path: pathlib.Path) -> Place:
    return Place(home, tmp_path)


def check_maildir(place: Place, argv: "list[str]", marker: str) -> None:
    place.taken("Maildir/new")
    for fault, code in place.outcomes(argv, marker):
        if code == 0:
            assert place.taken("Maildir/new") == [HEAD + MESSAGE], fault
        else:                                   # it may be there although it was not said: then it comes twice
            assert place.taken("Maildir/new") in ([], [HEAD + MESSAGE]), fault
        assert place.taken("Maildir/tmp") == [], fault


def test_a_maildir(place: Place) -> None:
    check_maildir(place, place.local("./Maildir/\n"), str(place.joe))


def test_the_maildir_of_a_virtual_user(place: Place) -> None:
    check_maildir(place, [place.home.bin("virtmaildelivery"), "joe", "/joe"], '"Maildir/new"')


def test_an_mbox(place: Place) -> None:
    mbox = place.joe / "Mailbox"
    place.write("Mailbox", OLD)
    for fault, code in place.outcomes(place.local("./Mailbox\n"), str(place.joe)):
        there = mbox.read_bytes()
        mine = there[len(OLD):].partition(b"\n")[2]

        assert there.startswith(OLD), fault
        if code == 0:
            assert mine == HEAD + MESSAGE + b"\n", fault
        elif code not in KILLED:
            assert there == OLD or (fault.startswith(AFTERWARDS) and mine == HEAD + MESSAGE + b"\n"), fault
        place.write("Mailbox", OLD)


def test_an_mbox_that_is_made(place: Place) -> None:
    mbox = place.joe / "Mailbox"
    for fault, code in place.outcomes(place.local("./Mailbox\n"), str(place.joe)):
        there = mbox.read_bytes() if mbox.exists() else b""
        if code == 0 or (fault.startswith(AFTERWARDS) and there):
            assert there.partition(b"\n")[2] == HEAD + MESSAGE + b"\n", fault
        elif code not in KILLED:
            assert there == b"", fault
        mbox.unlink(missing_ok=True)


def test_a_forward(place: Place) -> None:
    queued, envelope = place.joe / "queued", place.joe / "envelope"
    for fault, code in place.outcomes(place.local("&ann@c.test\n"), str(place.joe)):
        if code == 0:
            assert queued.read_bytes() == HEAD.partition(b"\n")[2] + MESSAGE, fault
            assert envelope.read_bytes() == b"Fs@a.test\0Tann@c.test\0\0", fault
        for each in (queued, envelope):
            each.unlink(missing_ok=True)
