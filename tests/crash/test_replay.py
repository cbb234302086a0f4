"""Whatever a power cut leaves: what was promised is there, and nothing is half there."""

import os
import pathlib
import re
import signal
import subprocess
import typing

import pytest
import support
from crash import recording, replay
from system import System, wait_until

from vqmail.setup import install

SENDER = b"s@a.test"
RECIPIENTS = [b"r@b.test", b"q@c.test"]
BODY = b"Subject: hello\n\n" + b"".join(b"line %d\n" % each for each in range(1000))        # three pages
TRACE = re.compile(rb"Received: \(qmail (\d+) [^\n]*\n")

# what makes the library lie about the disk, each a place in unix/durable.py and what stands there then
BUGS = {
    "file": ("        calls.fsync(self.fd)\n", "        pass\n"),
    "directory": ("        calls.fsync(number)\n    finally:\n        calls.close(number)\n\n\nclass FileSystem",
                  "        pass\n    finally:\n        calls.close(number)\n\n\nclass FileSystem"),
    "file system": ("if self._syncfs(self.directory) != 0:", "if False:"),
    "bounce": ("    calls.fsync(number)\n\n\ndef link", "    pass\n\n\ndef link"),
    "replacement": ("            write(number)\n            calls.fsync(number)\n", "            write(number)\n"),
}


def plant(home: pathlib.Path, bug: str) -> None:
    """Put one of BUGS into the library of this installation."""
    if not bug:
        return
    path = home / "lib/vqmail/unix/durable.py"
    text = path.read_text()

    assert text.count(BUGS[bug][0]) == 1

    path.write_text(text.replace(*BUGS[bug]))
    subprocess.run([install.interpreter(), "-m", "compileall", "-q", "-f", path], check=True)


def judge(found: "list[str]", bug: str) -> None:
    """There is nothing wrong, unless a bug was planted."""
    if bug:
        assert found, "the planted bug was not seen"
    else:
        assert found == []


def record(root: pathlib.Path, argv: "list[str]", log: pathlib.Path, cwd: str = "/",
           **options: typing.Any) -> recording.Recording:
    """Run `argv` as the user of single-user installations; what it did to the tree below `root`."""
    log.touch()
    log.chmod(0o666)
    uid, gid = support.single_ids()
    who = {"user": uid, "group": gid, "extra_groups": []} if os.geteuid() == 0 else {}
    before = recording.snapshot(root)
    done = subprocess.run(recording.command(log, argv), cwd=cwd, check=False, timeout=60,
                          **{"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} | options, **who)

    assert done.returncode == 0, done.stdout
    return recording.read(log, root, before, pathlib.Path(cwd))


def queued(disk: replay.Disk) -> "dict[bytes, bytes] | str":
    """The envelopes by the qp of their messages; or what is wrong with one."""
    found = {}
    messages = disk.within("mess")
    for number, envelope in disk.within("todo").items():
        if number not in messages:
            return f"todo/{number} without its message"
        first = TRACE.match(messages[number])
        if not first or messages[number][first.end():] != BODY:
            return f"mess/{number} is not the whole message"
        if not re.fullmatch(rb"u\d+\0p%s\0F.*\0" % first[1], envelope, re.DOTALL):
            return f"todo/{number} is not the envelope of its message"
        found[first[1]] = envelope[envelope.index(b"F"):]
    return found


ENVELOPE = b"F%s\0%s" % (SENDER, b"".join(b"T%s\0" % each for each in RECIPIENTS))


def check_queued(disk: replay.Disk) -> "str | None":
    found = queued(disk)
    if isinstance(found, str):
        return found
    if any(each != ENVELOPE for each in found.values()):
        return "half an envelope"
    return "acknowledged and lost" if "exit 0" in disk.said and not found else None


@pytest.mark.parametrize("bug", ["", "file", "directory"])
@pytest.mark.parametrize("anonymous", [True, False], ids=["tmpfile", "named"])
def test_vq_queue_keeps_what_it_takes(home: support.Home, tmp_path: pathlib.Path, bug: str, anonymous: bool) -> None:
    plant(home.path, bug)
    if not anonymous:                           # as on a file system that has no files without a name
        durable = home.path / "lib/vqmail/unix/durable.py"
        durable.write_text(durable.read_text().replace("calls.O_TMPFILE | calls.O_RDWR", "0o200000000 | calls.O_RDWR"))
        subprocess.run([install.interpreter(), "-m", "compileall", "-q", "-f", durable], check=True)
    out, into = os.pipe()
    os.write(into, ENVELOPE + b"\0")
    os.close(into)
    try:
        it = record(home.path / "queue", [home.bin("vq-queue")], tmp_path / "log", input=BODY, stdout=out)
    finally:
        os.close(out)

    assert sum(call.kind == "sync" for call in it.calls) == 4 - 2 * bool(bug)
    judge(replay.violations(it, check_queued), bug)
