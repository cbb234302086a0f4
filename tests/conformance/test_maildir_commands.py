"""maildirmake and maildir2mbox, as people and scripts call them.

The expected results are written by hand from qmail's interface.
"""

import fcntl
import os
import pathlib
import re
import stat
import subprocess
import time

import pytest
from local_world import MESSAGE, User, installation, joe, shell, user, world  # noqa: F401
from small_world import run
from support import NO_SENDER

# ---- maildirmake ----

def test_maildirmake(joe: User) -> None:
    done = run(joe, ["maildirmake", "New Mail/"])

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert sorted(each.name for each in (joe.home / "New Mail").iterdir()) == ["cur", "new", "tmp"]
    for each in ("", "cur", "new", "tmp"):
        assert stat.S_IMODE((joe.home / "New Mail" / each).stat().st_mode) == 0o700


@pytest.mark.parametrize(("directory", "why"), [("Maildir", b"File exists"), ("absent/Maildir", b"No such file or directory"),
                                                ("/proc/Maildir", b"No such file or directory")])
def test_maildirmake_cannot(joe: User, directory: str, why: bytes) -> None:
    done = run(joe, ["maildirmake", directory])

    assert (done.returncode, done.stderr) == (
        111, b"maildirmake: fatal: unable to mkdir %s: %s\n" % (directory.encode(), why))


def test_a_directory_that_is_there_is_left_as_it_is(joe: User) -> None:
    (joe.home / "empty").mkdir()

    assert run(joe, ["maildirmake", "empty"]).returncode == 111
    assert list((joe.home / "empty").iterdir()) == []


# ---- maildir2mbox ----

OLD = b"From x@y.test Sat Nov  7 05:18:57 2026\nSubject: old\n\nold\n\n"
FROM = b"From " + NO_SENDER + b" Sat Nov 21 05:18:57 2026\n"
JOIN = {"MAILDIR": "Maildir", "MAIL": "../Mailbox", "MAILTMP": "../Mailbox.tmp"}


def put(joe: User, name: str, text: bytes, when: int = 1_795_238_337) -> pathlib.Path:
    path = joe.write(f"Maildir/{name}", text)
    os.utime(path, (when, when))
    return path


def test_maildir2mbox(joe: User) -> None:
    joe.write("Mailbox", OLD, 0o640)
    put(joe, "cur/2.M1P2V3I4.host:2,S", b"Return-Path: <>\nSubject: two\n\n>From a\n>>From b\nno end", 1_795_238_338)
    put(joe, "new/1.M1P2V3I4.host", b"Return-Path: <a b@far.test>\n\nFrom c\n From d\n")
    put(joe, "new/3.M1P2V3I4.host", b"Subject: three\n\n")
    put(joe, "new/.hidden", b"not a message\n")
    done = run(joe, ["maildir2mbox"], env=JOIN)

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert joe.read("Mailbox") == OLD + (
        b"From a-b@far.test Sat Nov 21 05:18:57 2026\nReturn-Path: <a b@far.test>\n\n>From c\n From d\n\n"
        b"From MAILER-DAEMON Sat Nov 21 05:18:58 2026\n"
        b"Return-Path: <>\nSubject: two\n\n>>From a\n>>>From b\nno end\n\n" + FROM + b"Subject: three\n\n\n")
    assert (joe.home / "Mailbox").stat().st_mode == 0o100640
    assert (joe.home / "Mailbox").stat().st_uid == joe.world.ids[0]
    assert sorted(os.listdir(joe.home / "Maildir/new")) == [".hidden"]
    assert os.listdir(joe.home / "Maildir/cur") == []
    assert joe.read("Mailbox.tmp") is None


def test_python_reads_the_mbox(joe: User) -> None:
    import mailbox

    texts = [b"Subject: %d\n\nFrom %d\n%s" % (each, each, b"\n" * each) for each in range(5)]
    for each, text in enumerate(texts):
        put(joe, f"new/{each}.M1P2V3I4.host", text)

    assert run(joe, ["maildir2mbox"], env=JOIN).returncode == 0
    assert [each["Subject"] for each in mailbox.mbox(str(joe.home / "Mailbox"))] == ["0", "1", "2", "3", "4"]


def test_no_mbox_yet(joe: User) -> None:
    put(joe, "new/1.M1P2V3I4.host", b"Subject: one\n\n")

    assert run(joe, ["maildir2mbox"], env=JOIN).returncode == 0
    assert joe.read("Mailbox") == FROM + b"Subject: one\n\n\n"
    assert (joe.home / "Mailbox").stat().st_mode == 0o100600


@pytest.mark.parametrize(("old", "gap"), [(b"From x\n\ncut", b"\n\n"), (b"From x\n\nno gap\n", b"\n"), (OLD, b""), (b"", b"")])
def test_a_message_does_not_run_into_the_one_before(joe: User, old: bytes, gap: bytes) -> None:
    joe.write("Mailbox", old)
    put(joe, "new/1.M1P2V3I4.host", b"Subject: one\n\n")

    assert run(joe, ["maildir2mbox"], env=JOIN).returncode == 0
    assert joe.read("Mailbox") == old + gap + FROM + b"Subject: one\n\n\n"


def test_nothing_new_touches_nothing(joe: User) -> None:
    assert run(joe, ["maildir2mbox"], env=JOIN).returncode == 0
    assert joe.read("Mailbox") is None


@pytest.mark.parametrize("missing", JOIN)
def test_maildir2mbox_without_its_variables(joe: User, missing: str) -> None:
    done = run(joe, ["maildir2mbox"], env={name: JOIN[name] for name in JOIN if name != missing})

    assert (done.returncode, done.stderr) == (111, f"maildir2mbox: fatal: {missing} not set\n".encode())


@pytest.mark.parametrize("trouble", [
    {"MAILDIR": "absent"}, {"MAIL": "../absent/Mailbox"}, {"MAILTMP": "../absent/tmp"}, {"MAILTMP": "../Mailbox"},
    {"MAIL": "../link"}, {"MAIL": "../sub"}, {"MAILTMP": "../sub"}, {"MAILTMP": "/proc/mailtmp"},
    {"MAILTMP": "../hard", "MAIL": "../Mailbox"}])
def test_maildir2mbox_cannot_and_all_is_as_it_was(joe: User, trouble: "dict[str, str]") -> None:
    mbox = joe.write("Mailbox", OLD)
    (joe.home / "link").symlink_to("Mailbox")
    (joe.home / "sub").mkdir()
    os.link(mbox, joe.home / "hard")
    message = put(joe, "new/1.M1P2V3I4.host", b"Subject: one\n\n")
    done = run(joe, ["maildir2mbox"], env=JOIN | trouble)

    assert (done.returncode, done.stdout) == (111, b"")
    assert re.fullmatch(rb"maildir2mbox: [^\n]+\n", done.stderr)
    assert (mbox.read_bytes(), message.read_bytes()) == (OLD, b"Subject: one\n\n")
    assert (joe.home / "link").is_symlink()


def test_a_message_that_cannot_be_removed_is_a_warning(joe: User) -> None:
    put(joe, "new/1.M1P2V3I4.host", b"Subject: one\n\n")
    argv = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=unlink", "-P", "./new/1.M1P2V3I4.host", "-e",
            "inject=unlink:error=EROFS", "--", joe.world.installation.bin("maildir2mbox")]
    done = subprocess.run(argv, capture_output=True, check=False, timeout=60, cwd=joe.home,
                          env={"PATH": "/usr/bin:/bin"} | JOIN, **joe.world.who)

    assert (done.returncode, done.stderr) == (
        0, b"maildir2mbox: warning: $MAILDIR/new/1.M1P2V3I4.host will be delivered twice; unable to unlink: "
           b"Read-only file system\n")
    assert (joe.read("Mailbox") or b"").count(b"Subject: one") == 1


def open_files(pid: int) -> "list[str]":
    found = []
    for each in pathlib.Path(f"/proc/{pid}/fd").glob("*"):
        try:
            found.append(os.readlink(each))
        except FileNotFoundError:               # closed meanwhile
            continue
    return found


def test_an_mbox_delivery_that_waited_for_the_lock_is_not_lost(joe: User) -> None:
    mbox = joe.write("Mailbox", OLD)
    joe.write(".qmail", "./Mailbox\n")
    held = os.open(mbox, os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)            # as maildir2mbox has it
    argv = [joe.world.installation.bin("vq-local"), "joe", str(joe.home), "joe", "", "", "h", "s@x", "#"]
    with (joe.scratch / "message").open("w+b") as message:
        message.write(MESSAGE)
        message.flush()
        waiting = subprocess.Popen(argv, stdin=message, stdout=subprocess.PIPE, env={}, **joe.world.who)
        deadline = time.monotonic() + 60
        while str(mbox) not in open_files(waiting.pid):
            assert time.monotonic() < deadline, "vq-local did not open the mbox"
    replaced = joe.write("Mailbox.new", OLD + b"more\n\n")
    replaced.rename(mbox)
    os.close(held)
    output, _ = waiting.communicate(timeout=60)

    assert (waiting.returncode, output) == (0, b"did 1+0+0\n")
    assert (joe.read("Mailbox") or b"").startswith(OLD + b"more\n\nFrom s@x ")
