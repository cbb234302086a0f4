"""Work that nobody waits for: in a process of its own, which holds nothing of ours."""

import os
import pathlib
import time

from vqmail.unix import child


def wait_for(path: pathlib.Path) -> str:
    deadline = time.monotonic() + 100
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return path.read_text()


def test_it_is_done_by_a_process_that_is_not_our_child(tmp_path: pathlib.Path) -> None:
    def work() -> None:
        text = "%d %s" % (os.getpid(), sorted(int(each) for each in os.listdir("/proc/self/fd"))[:1])
        (tmp_path / "draft").write_text(text)
        os.rename(tmp_path / "draft", tmp_path / "done")

    child.aside(work)
    pid, _, descriptors = wait_for(tmp_path / "done").partition(" ")

    assert int(pid) != os.getpid()
    assert descriptors == "[0]"                 # the directory that is listed has the first free number: 0 was closed
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        pass                                    # we have no child at all
    else:
        try:
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
        except OSError:                         # it has ended
            status = ""
        assert "PPid:\t%d\n" % os.getpid() not in status


def test_a_connection_ends_although_the_work_goes_on(tmp_path: pathlib.Path) -> None:
    out, into = os.pipe()
    go, release = os.pipe()
    os.set_inheritable(into, True)

    child.aside(lambda: (os.mkfifo(tmp_path / "wait"), open(tmp_path / "wait").read()))
    os.close(into)
    os.set_blocking(out, True)
    ended = os.read(out, 1)
    while not (tmp_path / "wait").exists():
        time.sleep(0.01)
    (tmp_path / "wait").write_text("")
    for each in (out, go, release):
        os.close(each)

    assert ended == b""


def test_what_it_raises_ends_only_itself(tmp_path: pathlib.Path) -> None:
    def work() -> None:
        raise ValueError

    child.aside(work)
    child.aside(lambda: (tmp_path / "done").write_text("here"))

    assert wait_for(tmp_path / "done") in ("", "here")
