"""The table in which sending is counted, in a file that processes share."""

import os
import pathlib

import pytest

from vqmail import codes
from vqmail.formats.sendlimits import NONE, Limit
from vqmail.store import sendcount


@pytest.fixture
def table(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(sendcount, "PATH", os.fsencode(tmp_path / "sent"))
    return tmp_path / "sent"


def test_it_is_counted_until_there_is_no_room_and_only_what_was_taken(table: pathlib.Path) -> None:
    limit = Limit(2, 10)

    assert sendcount.refused(b"bob@a.test", limit, 11) == b"recipients"
    assert [sendcount.take(b"bob@a.test", limit, each) for each in (11, 9, 2, 1, 1)] == [
        b"recipients", b"", b"recipients", b"", b"messages"]
    assert sendcount.refused(b"bob@a.test", limit, 1) == b"messages"
    assert sendcount.take(b"ann@a.test", limit, 1) == b""


def test_the_file_is_ours_alone_of_a_fixed_size_and_mostly_a_hole(table: pathlib.Path) -> None:
    for number in range(50):
        assert sendcount.take(b"user%d" % number, Limit(1, 1), 1) == b""

    found = table.stat()

    assert (found.st_mode & 0o777, found.st_size) == (0o600, 4096 * 8 * 128)
    assert found.st_blocks * 512 <= 50 * 8192


def test_without_a_limit_nothing_is_written(table: pathlib.Path) -> None:
    assert sendcount.take(b"bob@a.test", NONE, 5) == b""
    assert not table.exists()


def test_processes_count_together(table: pathlib.Path) -> None:
    pids = []
    for _ in range(4):
        pid = os.fork()
        if not pid:
            for _ in range(25):
                sendcount.take(b"bob@a.test", Limit(1000, 0), 1)
            os._exit(0)
        pids.append(pid)
    assert [os.waitpid(each, 0)[1] for each in pids] == [0] * 4

    assert sendcount.refused(b"bob@a.test", Limit(101, 0), 1) == b""
    assert sendcount.refused(b"bob@a.test", Limit(100, 0), 1) == b"messages"


def test_a_table_that_cannot_be_used_is_trouble_and_leaves_no_descriptor(table: pathlib.Path) -> None:
    table.symlink_to("elsewhere")
    before = os.listdir("/proc/self/fd")

    with pytest.raises(codes.TryLater, match=r"cannot count what bob@a\.test sends in .*sent: .*must belong to qmaild"):
        sendcount.take(b"bob@a.test", Limit(1, 1), 1)

    assert len(os.listdir("/proc/self/fd")) == len(before)
