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
from system import System, children, wait_until

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
    "in place": ('temporary = temporary or path + b".tmp"', "temporary = path"),
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


# vq-local and virtmaildelivery

HEAD = b"Return-Path: <s@a.test>\nDelivered-To: joe@b.test\n"


@pytest.fixture
def joe(tmp_path: pathlib.Path, home: support.Home) -> pathlib.Path:
    """A user's home, with a maildir."""
    return make_folders(tmp_path / "joe", "Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur")


def make_folders(path: pathlib.Path, *names: str) -> pathlib.Path:
    for each in (path, *(path / name for name in names)):
        each.mkdir()
        os.chown(each, *support.single_ids())
    return path


def deliver(home: support.Home, joe: pathlib.Path, tmp_path: pathlib.Path, line: str) -> recording.Recording:
    """Record vq-local with `line` in the place of a dot-qmail file."""
    message = tmp_path / "message"
    message.write_bytes(BODY)
    argv = [home.bin("vq-local"), "--", "joe", str(joe), "joe", "", "", "b.test", "s@a.test", line]
    with message.open("rb") as zero:
        return record(joe, argv, tmp_path / "log", stdin=zero)


def check_maildir(disk: replay.Disk) -> "str | None":
    new = disk.within("Maildir/new")
    if any(each != HEAD + BODY for each in new.values()):
        return "new/ holds a file that is not whole"
    return "delivered and lost" if "exit 0" in disk.said and len(new) != 1 else None


@pytest.mark.parametrize("bug", ["", "file", "directory"])
def test_vq_local_keeps_what_it_put_into_a_maildir(home: support.Home, joe: pathlib.Path, tmp_path: pathlib.Path,
                                                   bug: str) -> None:
    plant(home.path, bug)
    judge(replay.violations(deliver(home, joe, tmp_path, "./Maildir/"), check_maildir), bug)


@pytest.mark.parametrize("bug", ["", "bounce", "directory"])
def test_vq_local_keeps_what_it_put_into_a_new_mbox(home: support.Home, joe: pathlib.Path, tmp_path: pathlib.Path,
                                                    bug: str) -> None:
    def check(disk: replay.Disk) -> "str | None":
        text = disk.files.get("Mailbox", b"").partition(b"\n")[2]
        return "delivered and lost" if "exit 0" in disk.said and text != HEAD + BODY + b"\n" else None

    plant(home.path, bug)
    judge(replay.violations(deliver(home, joe, tmp_path, "./Mailbox"), check), bug)


def test_an_mbox_keeps_what_was_in_it_before(home: support.Home, joe: pathlib.Path, tmp_path: pathlib.Path) -> None:
    old = b"From x\n\n" + b"old\n" * 2000 + b"\n"
    (joe / "Mailbox").write_bytes(old)
    os.chown(joe / "Mailbox", *support.single_ids())

    def check(disk: replay.Disk) -> "str | None":
        text = disk.files["Mailbox"]
        if not text.startswith(old):
            return "the old messages are hurt"
        new = text[len(old):].partition(b"\n")[2]
        return "delivered and lost" if "exit 0" in disk.said and new != HEAD + BODY + b"\n" else None

    assert replay.violations(deliver(home, joe, tmp_path, "./Mailbox"), check) == []


@pytest.mark.parametrize("bug", ["", "file", "directory"])
def test_virtmaildelivery_keeps_what_it_put_into_a_maildir_that_it_made(home: support.Home, tmp_path: pathlib.Path,
                                                                        bug: str) -> None:
    plant(home.path, bug)
    domain = make_folders(tmp_path / "domain", "home", "home/joe")
    it = record(domain / "home/joe", [home.bin("virtmaildelivery"), "joe", "/home/joe"], tmp_path / "log", cwd=str(domain),
                input=BODY, env={"RPLINE": "Return-Path: <s@a.test>\n", "DTLINE": "Delivered-To: joe@b.test\n"})
    judge(replay.violations(it, check_maildir), bug)


# vq-newu

@pytest.mark.parametrize("bug", ["", "in place", "directory"])
def test_users_cdb_is_the_old_one_or_the_new_one(home: support.Home, tmp_path: pathlib.Path, bug: str) -> None:
    plant(home.path, bug)
    virtual = make_folders(tmp_path / "virtual")
    home.control("virtualroot", f"{virtual}\n")
    home.write("users/assign", "=joe:joe:1000:1000:/home/joe:::\n.\n")

    assert home.run(["vq-newu"]).returncode == 0

    old = (home.path / "users/cdb").read_bytes()
    home.write("users/assign", "".join(f"=u{each}:u{each}:1000:1000:/home/u{each}:::\n" for each in range(200)) + ".\n")
    it = record(home.path / "users", [home.bin("vq-newu")], tmp_path / "log")
    new = (home.path / "users/cdb").read_bytes()

    def check(disk: replay.Disk) -> "str | None":
        if disk.files.get("cdb") not in (old, new):
            return "users/cdb is neither the old one nor the new one"
        return "compiled and lost" if "exit 0" in disk.said and disk.files["cdb"] != new else None

    assert len(new) > 3 * recording.PAGE
    judge(replay.violations(it, check), bug)


# the queue service

CLIENTS = 5


@pytest.mark.root
@pytest.mark.parametrize("bug", ["", "file system", "directory"])
def test_the_queue_service_keeps_what_it_takes_in_one_batch(system: System, bug: str) -> None:
    plant(system.home, bug)
    log = system.path / "trace"
    root = system.home / "queue"
    before = recording.snapshot(root)
    system.start("queue", *recording.command(log, [system.bin("vq-service"), "queue"]))
    wait_until(lambda: "vq-service: queue: ready" in system.log(), "the queue service")
    service, = children(system.processes["queue"].pid)          # strace is its parent
    processes = children(service)
    for each in processes:
        os.kill(each, signal.SIGSTOP)
    clients = [begin(system) for _ in range(CLIENTS)]
    wait_until(lambda: pathlib.Path("/proc/net/unix").read_text().count(str(system.home / "run/queue/socket")) == CLIENTS + 1,
               "all clients at the door")
    os.kill(processes[0], signal.SIGCONT)
    ended = [client.wait(60) for client in clients]
    for each in processes:
        os.kill(each, signal.SIGCONT)
    os.kill(service, signal.SIGTERM)
    system.processes["queue"].wait(60)
    it = recording.read(log, root, before, pathlib.Path("/"))

    assert ended == [0] * CLIENTS
    assert sum(bool(re.fullmatch(r"0 \d+", each.text)) for each in it.calls) == CLIENTS
    if not bug:
        assert [each.text for each in it.calls if each.kind == "sync"] == ["syncfs", "fsync todo"]
    judge(replay.violations(it, check_answered), bug)


def check_answered(disk: replay.Disk) -> "str | None":
    found = queued(disk)
    if isinstance(found, str):
        return found
    if any(each != ENVELOPE for each in found.values()):
        return "half an envelope"
    answered = {each[2:].encode() for each in disk.said if re.fullmatch(r"0 \d+", each)}
    return "acknowledged and lost" if answered - set(found) else None


def begin(system: System) -> "subprocess.Popen[bytes]":
    """A vq-queue with its whole message and envelope."""
    message, envelope = system.path / "message", system.path / "envelope"
    message.write_bytes(BODY)
    envelope.write_bytes(ENVELOPE + b"\0")
    with message.open("rb") as zero, envelope.open("rb") as one:
        return subprocess.Popen([system.bin("vq-queue")], stdin=zero, stdout=one, env=system.env())
