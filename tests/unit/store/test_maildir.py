"""Delivery into a maildir."""

import errno
import os
import pathlib

import pytest

from vqmail import codes
from vqmail.store import maildir


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    maildir.make(os.fsencode(tmp_path / "Maildir"))
    return tmp_path / "Maildir"


def new(directory: pathlib.Path) -> "list[bytes]":
    return sorted(each.read_bytes() for each in (directory / "new").iterdir())


def leftovers(directory: pathlib.Path) -> "list[pathlib.Path]":
    return [*(directory / "tmp").iterdir(), *(directory / "cur").iterdir()]


def test_made_maildir_is_private(directory: pathlib.Path) -> None:
    assert [0o40700] * 4 == [path.stat().st_mode for path in (
        directory, directory / "new", directory / "cur", directory / "tmp")]


def test_making_what_is_there_changes_nothing(directory: pathlib.Path) -> None:
    maildir.deliver(os.fsencode(directory), [b"x"])
    (directory / "cur").rmdir()
    maildir.make(os.fsencode(directory))

    assert new(directory) == [b"x"]
    assert (directory / "cur").is_dir()


def test_all_parts_arrive_in_order_and_nothing_else(directory: pathlib.Path) -> None:
    parts = [b"Return-Path: <>\n", b"\0\xff" * 100_000, b"", b"From here\nno newline at the end"]
    maildir.deliver(os.fsencode(directory) + b"/", iter(parts))

    assert new(directory) == [b"".join(parts)]
    assert leftovers(directory) == []
    assert [0o100600] == [each.stat().st_mode for each in (directory / "new").iterdir()]


def test_an_empty_message_is_a_message(directory: pathlib.Path) -> None:
    maildir.deliver(os.fsencode(directory), [])

    assert new(directory) == [b""]


def test_name_tells_time_process_file_and_host(directory: pathlib.Path) -> None:
    maildir.deliver(os.fsencode(directory), [b"x"])
    (path,) = (directory / "new").iterdir()
    seconds, unique, host = path.name.split(".", 2)
    status = path.stat()

    assert abs(int(seconds) - status.st_mtime) < 5
    assert unique.endswith(f"P{os.getpid()}V{status.st_dev}I{status.st_ino}")
    assert host == os.uname().nodename + f",S={status.st_size},W={status.st_size + 2}"


def test_messages_of_one_instant_get_names_of_their_own(
        directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maildir.time, "time_ns", lambda: 10**18)
    for each in range(20):
        maildir.deliver(os.fsencode(directory), [b"%02d" % each])

    assert new(directory) == [b"%02d" % each for each in range(20)]


def test_a_name_that_is_taken_is_left_alone_and_another_one_used(
        directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def same_name(*arguments: object) -> bytes:
        return b"taken" + arguments[-1]             # type: ignore[operator]

    monkeypatch.setattr(maildir.maildirname, "new", same_name)
    (directory / "new" / "taken,S=4,W=6").write_bytes(b"there before")
    maildir.deliver(os.fsencode(directory), [b"mine"])

    assert new(directory) == [b"mine", b"there before"]


def test_when_every_name_is_taken_nothing_is_replaced(
        directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maildir.maildirname, "new", lambda *_: b"taken")
    (directory / "new" / "taken,S=4,W=6").write_bytes(b"there before")

    with pytest.raises(maildir.Undelivered) as caught:
        maildir.deliver(os.fsencode(directory), [b"mine"])
    assert (caught.value.step, caught.value.number) == ("link", errno.EEXIST)
    assert new(directory) == [b"there before"]
    assert leftovers(directory) == []


def test_a_link_that_was_made_although_it_said_no_counts(
        directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = maildir.durable.Draft.link

    def answer_lost(draft: maildir.durable.Draft, path: bytes) -> None:
        real(draft, path)
        raise FileExistsError(errno.EEXIST, "over NFS")

    monkeypatch.setattr(maildir.durable.Draft, "link", answer_lost)
    maildir.deliver(os.fsencode(directory), [b"once"])

    assert new(directory) == [b"once"]


@pytest.mark.parametrize("make", [
    lambda path: None, lambda path: path.write_bytes(b""), lambda path: path.mkdir(),
    lambda path: path.symlink_to(path.name)], ids=["missing", "a file", "without tmp", "a link to itself"])
def test_no_maildir(tmp_path: pathlib.Path, make: "object") -> None:
    make(tmp_path / "M")                            # type: ignore[operator]

    with pytest.raises(codes.TryLater, match=r"^Unable to chdir to maildir\. \(#4\.2\.1\) .*/M: "):
        maildir.deliver(os.fsencode(tmp_path / "M"), [b"x"])


def test_without_new_nothing_is_left(directory: pathlib.Path) -> None:
    (directory / "new").rmdir()

    with pytest.raises(maildir.Undelivered, match=r"link failed: No such file or directory \(#4\.3\.0\)"):
        maildir.deliver(os.fsencode(directory), [b"x"])
    assert leftovers(directory) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EMFILE])
@pytest.mark.parametrize(("call", "step"), [("open", "open"), ("write", "write"), ("fsync", "fsync"), ("link", "link")])
def test_any_failure_is_temporary_and_leaves_nothing(
        directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch, call: str, step: str, number: int) -> None:
    def fails(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(maildir.calls, call, fails)

    with pytest.raises(codes.TryLater) as caught:
        maildir.deliver(os.fsencode(directory), [b"x"])
    assert isinstance(caught.value, maildir.Undelivered)
    assert (caught.value.step, caught.value.number) == (step, number)
    monkeypatch.undo()
    assert new(directory) == []
    assert leftovers(directory) == []


def test_a_message_that_cannot_be_read_is_not_delivered(directory: pathlib.Path) -> None:
    def parts() -> "object":
        yield b"the first half"
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(maildir.Undelivered, match="write failed: Input/output error"):
        maildir.deliver(os.fsencode(directory), parts())       # type: ignore[arg-type]
    assert new(directory) == []
    assert leftovers(directory) == []


def test_the_message_is_synced_before_it_has_a_name_and_the_name_before_anybody_is_told(
        directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = []
    inodes = {directory.joinpath("new").stat().st_ino: "new"}
    real_fsync, real_link = os.fsync, os.link

    def fsync(number: int) -> None:
        order.append("fsync " + inodes.get(os.fstat(number).st_ino, "message"))
        real_fsync(number)

    def link(*arguments: object, **named: object) -> None:
        order.append("link")
        real_link(*arguments, **named)              # type: ignore[arg-type]

    monkeypatch.setattr(maildir.calls, "fsync", fsync)
    monkeypatch.setattr(maildir.calls, "link", link)
    maildir.deliver(os.fsencode(directory), [b"x"])

    assert order == ["fsync message", "link", "fsync new"]


def test_where_files_cannot_be_nameless_tmp_is_used_and_cleaned(
        directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open
    names = []

    def no_tmpfile(path: bytes, flags: int, *rest: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "not here")
        names.append(path)
        return real(path, flags, *rest)

    monkeypatch.setattr(maildir.calls, "open", no_tmpfile)
    maildir.deliver(os.fsencode(directory), [b"x"])

    assert names[0].startswith(os.fsencode(directory) + b"/tmp/")
    assert new(directory) == [b"x"]
    assert leftovers(directory) == []


def test_no_descriptor_is_left_open(directory: pathlib.Path) -> None:
    before = os.listdir("/proc/self/fd")
    maildir.deliver(os.fsencode(directory), [b"x"])
    with pytest.raises(codes.TryLater):
        maildir.deliver(b"/nowhere", [b"x"])

    assert before == os.listdir("/proc/self/fd")
