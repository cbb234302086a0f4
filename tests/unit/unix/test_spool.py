"""A message is kept in memory, or in a file that nobody sees."""

import os
import pathlib

import pytest

from vqmail.unix import durable, spool

MIB = 1 << 20


@pytest.mark.parametrize("sizes", [[], [1], [MIB], [MIB, 1], [MIB - 1, 1, 1], [3 * MIB], [65536] * 40])
def test_what_was_written_comes_back_as_often_as_wanted(tmp_path: pathlib.Path, sizes: "list[int]") -> None:
    text = [bytes([65 + at]) * size for at, size in enumerate(sizes)]
    before = os.listdir("/proc/self/fd")
    kept = spool.Spool((os.fsencode(tmp_path),))
    for each in text:
        kept.write(each)

    assert kept.size == sum(sizes)
    assert b"".join(kept.pieces()) == b"".join(text)
    assert b"".join(kept.pieces()) == b"".join(text)
    assert list(tmp_path.iterdir()) == []
    kept.close()
    assert before == os.listdir("/proc/self/fd")


def test_no_more_than_a_mebibyte_is_in_memory(tmp_path: pathlib.Path) -> None:
    kept = spool.Spool((os.fsencode(tmp_path),))
    for _ in range(100):
        kept.write(b"x" * 65536)

    assert all(len(each) <= 65536 for each in kept.pieces())
    kept.close()


def test_the_next_directory_is_taken_when_one_is_not_there(tmp_path: pathlib.Path) -> None:
    kept = spool.Spool((b"/nonexistent", os.fsencode(tmp_path)))
    kept.write(b"x" * 2 * MIB)

    assert sum(len(each) for each in kept.pieces()) == 2 * MIB
    kept.close()


def test_no_directory_at_all_is_an_error(tmp_path: pathlib.Path) -> None:
    kept = spool.Spool((b"/nonexistent", b"/nonexistent/2"))
    with pytest.raises(FileNotFoundError):
        kept.write(b"x" * 2 * MIB)
    kept.close()


def test_a_file_system_without_nameless_files(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = spool.calls.open

    def old(path: bytes, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(durable.NO_ANONYMOUS[0], "no such thing")
        return real(path, flags, mode)

    monkeypatch.setattr(spool.calls, "open", old)
    kept = spool.Spool((os.fsencode(tmp_path),))
    kept.write(b"x" * 2 * MIB)

    assert sum(len(each) for each in kept.pieces()) == 2 * MIB
    assert list(tmp_path.iterdir()) == []
    kept.close()
