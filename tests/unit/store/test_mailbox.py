"""A maildir as a POP3 session sees it."""

import os
import pathlib

import pytest

from vqmail.store import mailbox, maildir
from vqmail.unix import calls, durable


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    for each in ("tmp", "new", "cur"):
        (tmp_path / "Maildir" / each).mkdir(parents=True)
    return tmp_path / "Maildir"


def put(directory: pathlib.Path, name: str, text: bytes = b"text\n") -> pathlib.Path:
    path = directory / name
    path.write_bytes(text)
    return path


def open_box(directory: pathlib.Path) -> mailbox.Mailbox:
    return mailbox.Mailbox(os.fsencode(directory))


def ids(box: mailbox.Mailbox) -> "list[bytes]":
    return box.unique_ids()


def text_of(box: mailbox.Mailbox, index: int) -> bytes:
    number = box.open(index)
    try:
        return os.read(number, 10000)
    finally:
        os.close(number)


def files(directory: pathlib.Path) -> "list[str]":
    return sorted(str(each.relative_to(directory)) for each in directory.rglob("*") if not each.is_dir())


def test_order_is_that_of_arrival_whatever_the_file_times_say(directory: pathlib.Path) -> None:
    for name in ("new/1700000002.M9P1.h", "cur/1700000002.M10P1.h:2,S", "new/900000000.x", "cur/1700000001.77_0.h:2,",
                 "new/strange", "new/1700000002.M9P1_a.h"):
        os.utime(put(directory, name), (1, 2_000_000_000 if "900" in name else 1))

    assert ids(open_box(directory)) == [
        b"strange", b"900000000.x", b"1700000001.77_0.h", b"1700000002.M9P1.h", b"1700000002.M9P1_a.h",
        b"1700000002.M10P1.h"]


def test_message_of_this_second_is_there(directory: pathlib.Path) -> None:
    maildir.deliver(os.fsencode(directory), [b"just now\n"])

    assert open_box(directory).count == 1


def test_hidden_files_are_no_messages(directory: pathlib.Path) -> None:
    put(directory, "new/.hidden")
    put(directory, "cur/.nfs0001")

    assert open_box(directory).count == 0


def test_message_that_moves_while_we_look_is_counted_once(directory: pathlib.Path) -> None:
    put(directory, "new/1.x")
    put(directory, "cur/1.x:2,S", b"the same\n")
    box = open_box(directory)

    assert ids(box) == [b"1.x"]
    assert text_of(box, 0) == b"the same\n"


@pytest.mark.parametrize("missing", ["new", "cur", "."])
def test_maildir_without_a_folder_is_none(directory: pathlib.Path, missing: str) -> None:
    for each in ("new", "cur", "tmp") if missing == "." else (missing,):
        (directory / each).rmdir()
    with pytest.raises(FileNotFoundError):
        open_box(directory)


def test_maildir_that_is_a_file_is_none(tmp_path: pathlib.Path) -> None:
    put(tmp_path, "Maildir")
    with pytest.raises(NotADirectoryError):
        open_box(tmp_path / "Maildir")


@pytest.mark.parametrize(("text", "octets"), [(b"", 0), (b"a\nb\n", 6), (b"a\r\nb", 6), (b"x" * 65535 + b"\r\n\n", 65539)])
def test_octets_are_counted_where_the_name_tells_none(directory: pathlib.Path, text: bytes, octets: int) -> None:
    put(directory, "new/1.x", text)

    assert open_box(directory).octets(0) == octets


def test_octets_in_the_name_are_believed_and_nothing_is_opened(directory: pathlib.Path,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    put(directory, "new/1.x,S=5,W=4711")
    box = open_box(directory)
    monkeypatch.setattr(calls, "open", None)

    assert box.octets(0) == 4711


def test_delivered_message_tells_its_octets_in_its_name(directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maildir.deliver(os.fsencode(directory), [b"a\nb\r", b"\nc"])
    box = open_box(directory)
    monkeypatch.setattr(calls, "open", None)

    assert box.octets(0) == 9


def test_message_renamed_by_another_program_is_found_again(directory: pathlib.Path) -> None:
    path = put(directory, "new/1.x")
    box = open_box(directory)
    path.rename(directory / "cur/1.x:2,S")

    assert text_of(box, 0) == b"text\n"

    (directory / "cur/1.x:2,S").rename(directory / "cur/1.x:2,FS")

    assert text_of(box, 0) == b"text\n"
    assert box.octets(0) == 6


def test_one_look_finds_all_that_were_renamed(directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [put(directory, f"new/{number}.x") for number in range(10)]
    box = open_box(directory)
    for path in paths:
        path.rename(directory / "cur" / (path.name + ":2,"))
    looks = []
    true = calls.listdir
    monkeypatch.setattr(calls, "listdir", lambda path: looks.append(path) or true(path))
    for index in range(10):
        text_of(box, index)

    assert len(looks) == 2                      # new and cur


def test_message_that_is_gone_is_gone(directory: pathlib.Path) -> None:
    path = put(directory, "new/1.x")
    box = open_box(directory)
    path.unlink()

    assert box.octets(0) == 0
    with pytest.raises(FileNotFoundError):
        box.open(0)


@pytest.mark.parametrize("kind", ["directory", "fifo"])
def test_what_is_no_file_cannot_be_opened_and_holds_nobody(directory: pathlib.Path, kind: str) -> None:
    path = directory / "cur" / "1.x"
    path.mkdir() if kind == "directory" else os.mkfifo(path)
    box = open_box(directory)
    before = len(os.listdir("/proc/self/fd"))

    assert box.octets(0) == 0
    with pytest.raises(OSError):
        box.open(0)
    assert before == len(os.listdir("/proc/self/fd"))


def test_finish_removes_by_name_what_was_meant(directory: pathlib.Path) -> None:
    for number in range(4):
        put(directory, f"new/{number}.x")
    box = open_box(directory)
    put(directory, "new/00.later")
    (directory / "new/2.x").rename(directory / "cur/2.x:2,S")

    assert box.finish({0, 2}) == []
    assert files(directory) == ["cur/1.x:2,", "cur/3.x:2,", "new/00.later"]


def test_flags_are_kept(directory: pathlib.Path) -> None:
    put(directory, "new/1.x:2,S")
    put(directory, "cur/2.x:2,F")
    open_box(directory).finish(set())

    assert files(directory) == ["cur/1.x:2,S", "cur/2.x:2,F"]


def test_what_another_session_removed_is_no_failure(directory: pathlib.Path) -> None:
    path = put(directory, "new/1.x")
    box = open_box(directory)
    path.unlink()

    assert box.finish({0}) == []


def test_failures_are_told_and_the_rest_is_removed(directory: pathlib.Path) -> None:
    (directory / "new/1.x").mkdir()
    put(directory, "new/2.x")

    assert [type(each) for each in open_box(directory).finish({0, 1})] == [IsADirectoryError]
    assert files(directory) == []


def test_only_folders_where_something_was_removed_are_synced(directory: pathlib.Path,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    put(directory, "new/1.x")
    put(directory, "cur/2.x:2,S")
    synced: list[bytes] = []
    monkeypatch.setattr(durable, "sync_dir", synced.append)
    open_box(directory).finish(set())

    assert synced == []

    open_box(directory).finish({0})

    assert synced == [os.fsencode(directory) + b"/cur/"]


def test_failed_sync_is_told(directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(directory, "new/1.x")

    def fail(path: bytes) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(durable, "sync_dir", fail)

    assert [each.errno for each in open_box(directory).finish({0})] == [5]


def test_old_files_in_tmp_are_removed_and_young_ones_stay(directory: pathlib.Path) -> None:
    now = 1_700_000_000
    for name, accessed, modified in (("old", now - 130_000, now - 130_000), ("young", now - 129_000, now - 129_000),
                                     ("written", now - 200_000, now - 10), ("read", now - 10, now - 200_000)):
        os.utime(put(directory, "tmp/" + name), (accessed, modified))
    (directory / "tmp/directory").mkdir()
    open_box(directory).clean(now)

    assert files(directory) == ["tmp/read", "tmp/written", "tmp/young"]


def test_missing_tmp_is_nobodys_trouble(directory: pathlib.Path) -> None:
    (directory / "tmp").rmdir()
    open_box(directory).clean(1_700_000_000)
