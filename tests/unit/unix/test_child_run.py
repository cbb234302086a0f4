"""A stranger's program: its own session, three descriptors, an end."""

import os
import pathlib
import signal
import time

import pytest

from vqmail.unix import child

ENV = {b"PATH": b"/usr/bin:/bin"}


def run(script: str, seconds: int = 60) -> int:
    return child.run([b"/bin/sh", b"-c", script.encode()], ENV, {0: 0, 1: 1, 2: 2}, seconds)


def test_exit_code_and_signal() -> None:
    assert run("exit 7") == 7
    assert run("kill -9 $$") == -signal.SIGKILL


def test_no_descriptor_is_inherited_even_if_it_could_be(tmp_path: pathlib.Path) -> None:
    number = os.dup(0)
    try:
        os.set_inheritable(number, True)
        assert run(f"ls /proc/self/fd >{tmp_path}/fds") == 0
    finally:
        os.close(number)

    assert (tmp_path / "fds").read_text() == "0\n1\n2\n3\n"


def test_after_its_time_it_ends_and_so_do_its_children(tmp_path: pathlib.Path) -> None:
    assert run(f"sleep 300 & echo $! >{tmp_path}/pid; wait", seconds=2) == -signal.SIGALRM
    grandchild = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 100
    while _runs(grandchild) and time.monotonic() < deadline:
        time.sleep(0.01)

    assert not _runs(grandchild)


@pytest.mark.parametrize(("alarm", "patience", "end"), [(1, 60, signal.SIGALRM), (60, 1, signal.SIGKILL)])
def test_whoever_is_waited_for_so_long_ends_with_its_children_whichever_clock_says_so(
        tmp_path: pathlib.Path, alarm: int, patience: int, end: int) -> None:
    script = f"sleep 300 & echo $! >{tmp_path}/pid; wait"
    pid = child.start([b"/bin/sh", b"-c", script.encode()], ENV, {0: 0, 1: 1, 2: 2}, seconds=alarm)

    assert child.wait_within(pid, patience) == -end
    grandchild = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 100
    while _runs(grandchild) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _runs(grandchild)


def _runs(pid: int) -> bool:
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state.rpartition(")")[2].split()[0] != "Z"
