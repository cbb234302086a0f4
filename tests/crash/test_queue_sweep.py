"""vq-queue broken at every system call: it never says yes to what is not there, and leaves nothing half done."""

import os
import pathlib
import subprocess

import pytest
import support
from crash import sweep

from vqmail.setup import install

MESSAGE = b"Subject: hello\n\n" + b"x" * 5000 + b"\n"
ENVELOPE = b"Fs@a.test\0Tr@b.test\0Tq@c.test\0\0"


def run(home: support.Home, command: "list[str]") -> int:
    """Run vq-queue with the message and the envelope; its exit code."""
    out, into = os.pipe()
    os.write(into, ENVELOPE)
    os.close(into)
    uid, gid = support.single_ids()
    who = {"user": uid, "group": gid, "extra_groups": []} if os.geteuid() == 0 else {}
    try:
        done = subprocess.run(command, input=MESSAGE, stdout=out, stderr=subprocess.PIPE, check=False, timeout=60, **who)
    finally:
        os.close(out)
    return done.returncode


def queued(home: support.Home) -> "list[pathlib.Path]":
    """The envelopes in todo/, each with its whole message beside it."""
    found = list((home.path / "queue/todo").iterdir())
    for path in found:
        number = int(path.name)
        mess = home.path / "queue/mess" / str(number % 23) / path.name

        assert mess.stat().st_ino == number
        assert mess.read_bytes().partition(b"\n")[2] == MESSAGE
        assert path.read_bytes().partition(b"F")[2] == ENVELOPE[1:-1]
    return found


def empty(home: support.Home) -> None:
    """Take everything out of the queue."""
    for folder in ("todo", "intd", "pid", "mess"):
        for path in (home.path / "queue" / folder).rglob("*"):
            if path.is_file():
                path.unlink()


@pytest.mark.parametrize("anonymous", [True, False], ids=["tmpfile", "named"])
def test_no_fault_makes_it_say_yes_to_what_is_not_there(home: support.Home, tmp_path: pathlib.Path,
                                                        anonymous: bool) -> None:
    if not anonymous:                           # as on a file system that has no files without a name
        durable = home.path / "lib/vqmail/unix/durable.py"
        durable.write_text(durable.read_text().replace("calls.O_TMPFILE | calls.O_RDWR", "0o200000000 | calls.O_RDWR"))
        subprocess.run([install.interpreter(), "-m", "compileall", "-q", "-f", durable], check=True)
    program = home.bin("vq-queue")
    where = tmp_path / "trace"
    where.touch()
    where.chmod(0o666)
    calls = sweep.calls_of([program], str(home.path / "queue"), log=where, **fed(home))

    assert {"fsync", "write"} <= {name for name, _ in calls}
    empty(home)
    for fault in sweep.faults(calls):
        code = run(home, sweep.broken(fault, [program]))
        found = queued(home)

        assert code != 0 or len(found) == 1, fault
        if ":error=" in fault and fault.startswith(("write", "fsync", "link")):
            assert code != 0, fault
        if code not in (0, -9, 137) and not fault.endswith("+") and not fault.startswith(("unlink", "close")):
            assert list((home.path / "queue/mess").rglob("[0-9]*[0-9][0-9]")) == [
                home.path / "queue/mess" / str(int(each.name) % 23) / each.name for each in found], fault
        empty(home)


def fed(home: support.Home) -> "dict[str, object]":
    """Options for a run that is only traced."""
    out, into = os.pipe()
    os.write(into, ENVELOPE)
    os.close(into)
    uid, gid = support.single_ids()
    who: dict[str, object] = {"user": uid, "group": gid, "extra_groups": []} if os.geteuid() == 0 else {}
    return {"input": MESSAGE, "stdout": out, "stderr": subprocess.DEVNULL} | who
