"""A program that reads from us, or does not."""

import os
import signal
import typing

import pytest

from vqmail.unix import feed

ENV = {b"PATH": b"/usr/bin:/bin"}


def run(script: str, pieces: "typing.Iterable[bytes]") -> int:
    return feed.run([b"/bin/sh", b"-c", script.encode()], ENV, pieces, 60)


def test_it_reads_every_byte(tmp_path: "typing.Any") -> None:
    pieces = [b"head\n", b"", bytes(range(256)) * 4096, b"no end"]

    assert run(f"cat >{tmp_path}/seen", pieces) == 0
    assert (tmp_path / "seen").read_bytes() == b"".join(pieces)


@pytest.mark.parametrize(("script", "code"), [
    ("exit 0", 0), ("exit 99", 99), ("head -c 1 >/dev/null; exit 3", 3), ("exec <&-; exit 4", 4),
    ("kill -9 $$", -9), ("no-such-program 2>/dev/null", 127)])
def test_it_need_not_read(script: str, code: int) -> None:
    assert run(script, [b"x" * 65536] * 50) == code


def test_somebody_in_the_background_who_holds_the_pipe_is_not_waited_for(tmp_path: "typing.Any") -> None:
    code = run(f"sleep 60 <&0 >/dev/null 2>&1 & echo $! >{tmp_path}/pid; exit 5", [b"x" * 65536] * 50)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)

    assert code == 5


def test_it_cannot_take_a_part_for_the_whole(tmp_path: "typing.Any") -> None:
    def pieces() -> "typing.Iterator[bytes]":
        yield b"the beginning"
        raise OSError(5, "the disk")

    with pytest.raises(OSError, match="the disk"):
        run(f"cat >/dev/null; touch {tmp_path}/finished", pieces())
    assert not (tmp_path / "finished").exists()


def test_no_descriptor_is_left() -> None:
    before = os.listdir("/proc/self/fd")
    run("exit 0", [b"x" * 100_000])

    assert os.listdir("/proc/self/fd") == before
