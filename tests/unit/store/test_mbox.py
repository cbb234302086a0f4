"""Appending to an mbox."""

import errno
import fcntl
import mailbox
import os
import pathlib
import threading
import time

import pytest

from vqmail import codes
from vqmail.store import mbox

HEAD = b"From s@x Sat Nov 07 05:18:57 2026\nReturn-Path: <s@x>\nDelivered-To: joe@h\n"


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "Mailbox"


def append(path: pathlib.Path, *pieces: bytes, patience: float = 0.1) -> None:
    mbox.append(os.fsencode(path), HEAD, pieces, patience)


def test_a_new_mbox_is_private_and_holds_the_message(path: pathlib.Path) -> None:
    append(path, b"S: x\n\nFrom here\nend")

    assert path.read_bytes() == HEAD + b"S: x\n\n>From here\nend\n\n"
    assert path.stat().st_mode == 0o100600


def test_messages_are_read_back_by_another_reader(path: pathlib.Path) -> None:
    append(path, b"Subject: one\n\nFrom here\n")
    append(path, b"Subject: two\n\n", b"no newline")

    messages = list(mailbox.mbox(path))
    assert ["one", "two"] == [each["subject"] for each in messages]
    assert ["<s@x>", "<s@x>"] == [each["return-path"] for each in messages]
    assert messages[1].get_payload() == "no newline\n"


def test_a_failed_write_leaves_the_mbox_as_it_was(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(path, b"S: kept\n\n")
    kept = path.read_bytes()
    real = os.write
    calls = []

    def fails_later(number: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(number, data)

    monkeypatch.setattr(mbox.fd.calls, "write", fails_later)
    with pytest.raises(codes.TryLater, match=r"^Unable to write .*Mailbox: No space left on device\. \(#4\.3\.0\)$"):
        append(path, b"S: lost\n", b"\nbody\n")
    assert path.read_bytes() == kept


def test_a_failed_sync_leaves_the_mbox_as_it_was(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(path, b"S: kept\n\n")
    kept = path.read_bytes()

    def fails(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(mbox.calls, "fsync", fails)
    with pytest.raises(codes.TryLater, match="Input/output error"):
        append(path, b"S: lost\n\n")
    assert path.read_bytes() == kept


def test_a_message_that_cannot_be_read_leaves_the_mbox_as_it_was(path: pathlib.Path) -> None:
    append(path, b"S: kept\n\n")
    kept = path.read_bytes()

    def pieces() -> "object":
        yield b"half\n"
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(codes.TryLater):
        mbox.append(os.fsencode(path), HEAD, pieces())      # type: ignore[arg-type]
    assert path.read_bytes() == kept


def test_somebody_elses_lock_is_temporary_and_changes_nothing(path: pathlib.Path) -> None:
    append(path, b"S: kept\n\n")
    kept = path.read_bytes()
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(codes.TryLater, match="locked for 30 seconds"):
            append(path, b"S: lost\n\n", patience=0.1)

    assert path.read_bytes() == kept


def test_a_lock_that_goes_away_in_time_is_waited_for(path: pathlib.Path) -> None:
    path.write_bytes(b"")
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        release = threading.Timer(0.15, lambda: fcntl.flock(other, fcntl.LOCK_UN))
        release.start()
        append(path, b"S: x\n\n", patience=20)
        release.join()

    assert path.read_bytes() == HEAD + b"S: x\n\n\n"


def test_forty_at_once_are_forty_whole_messages(path: pathlib.Path) -> None:
    threads = [threading.Thread(target=append, args=(path, b"S: %d\n\n" % each, b"b" * 5000), kwargs={"patience": 30})
               for each in range(40)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert path.read_bytes().count(HEAD) == 40
    assert [5000 + 1] * 40 == [len(each.get_payload()) for each in mailbox.mbox(path)]


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["directory", "fifo"])
def test_what_is_no_file_is_refused_without_waiting(path: pathlib.Path, make: "object") -> None:
    make(path)                                              # type: ignore[operator]

    with pytest.raises(codes.TryLater, match=r"\(#4\.2\.1\)$"):       # or the time of a test is over
        append(path, b"x", patience=10_000)


def test_a_device_is_refused() -> None:
    with pytest.raises(codes.TryLater, match=r"^/dev/null is not a regular file"):
        append(pathlib.Path("/dev/null"), b"x")


def test_a_missing_directory_is_temporary(tmp_path: pathlib.Path) -> None:
    with pytest.raises(codes.TryLater, match="^Unable to open "):
        append(tmp_path / "no" / "Mailbox", b"x")


def test_the_directory_of_a_new_mbox_is_synced(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    monkeypatch.setattr(mbox.durable, "sync_dir", synced.append)
    append(path, b"x")
    append(path, b"y")
    monkeypatch.chdir(path.parent)
    mbox.append(b"other", HEAD, [])

    assert synced == [os.fsencode(path.parent), b"."]


def test_no_descriptor_is_left_open(path: pathlib.Path) -> None:
    before = os.listdir("/proc/self/fd")
    append(path, b"x")
    with pytest.raises(codes.TryLater):
        append(pathlib.Path("/dev/null"), b"x")

    assert before == os.listdir("/proc/self/fd")


@pytest.mark.parametrize(("cut", "gap"), [(b"From x\n\nhal", b"\n\n"), (b"From x\n\nhalf\n", b"\n"), (b"From x\n\n", b""),
                                          (b"F", b"\n\n"), (b"\n", b"\n"), (b"", b"")])
def test_a_message_cut_off_by_a_crash_does_not_swallow_the_next_one(path: pathlib.Path, cut: bytes, gap: bytes) -> None:
    path.write_bytes(cut)
    mbox.append(bytes(path), b"From y\n", [b"\nwhole\n"])

    assert path.read_bytes() == cut + gap + b"From y\n\nwhole\n\n"
