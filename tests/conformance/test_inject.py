"""vq-inject, cold, through the real queue into a mailbox, and through queues of others."""

import os
import pathlib
import re
import resource
import subprocess

import pytest
import support
import system as module

STORE = "#!/bin/sh\ncat > {0}/message\ncat <&1 > {0}/envelope\n"
MESSAGE = b"To: Joe <joe@x.example>\nSubject: hello\n\nbody\n"


@pytest.fixture
def store(home: support.Home, tmp_path: pathlib.Path) -> pathlib.Path:
    """A place where what is queued ends up, and there `queue`, a program that puts it there."""
    folder = tmp_path / "store"
    folder.mkdir()
    os.chown(folder, *support.single_ids())
    script(folder / "queue", STORE.format(folder))
    return folder


def script(path: pathlib.Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def queued(home: support.Home) -> "list[tuple[bytes, bytes]]":
    """Message and envelope of each in the queue."""
    return [((home.path / "queue/mess" / str(int(each.name) % 23) / each.name).read_bytes(), each.read_bytes())
            for each in sorted((home.path / "queue/todo").iterdir())]


def test_into_the_queue(home: support.Home) -> None:
    done = home.run(["vq-inject"], MESSAGE, {"USER": "me", "NAME": "Me M"})
    (message, envelope), = queued(home)

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert re.fullmatch(rb"u\d+\0p\d+\0Fme@host.test\0Tjoe@x.example\0", envelope)
    assert re.fullmatch(
        rb"Received: \(qmail \d+ invoked by uid \d+\); [^\n]+ -0000\n"
        rb"Date: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z][a-z] \d{4} \d\d:\d\d:\d\d \+0000\n"
        rb"Message-ID: <\d{14}\.\d+\.\d+\.vqmail@host\.test>\n"
        rb'From: "Me M" <me@host\.test>\n' + re.escape(MESSAGE), message)


def test_refused_means_nothing_is_queued(home: support.Home) -> None:
    done = home.run(["vq-inject"], b"To: joe@x.example\nCc: Ann Other\n\nbody\n")

    assert done.returncode == 100
    assert done.stderr == (b"vq-inject: fatal: Cc: a comma or angle brackets missing before this: Other\n")
    assert queued(home) == []


def test_control_files(home: support.Home, store: pathlib.Path) -> None:
    for name in ("defaulthost", "defaultdomain", "plusdomain", "idhost"):
        home.control(name, f"{name}.example\n")
    home.run(["vq-inject"], b"To: a, b@c, d@e+\n\n", {"QMAILQUEUE": str(store / "queue"), "USER": "me"})

    assert (store / "envelope").read_bytes() == (
        b"Fme@defaulthost.example\0Ta@defaulthost.example\0Tb@c.defaultdomain.example\0Td@e.plusdomain.example\0\0")
    assert b".vqmail@idhost.example>\n" in (store / "message").read_bytes()


def test_through_another_queue_program(home: support.Home, store: pathlib.Path) -> None:
    body = os.urandom(300_000)
    done = home.run(["vq-inject", "-H", "-f", "", "ann@y.example"], b"Bcc: b\nDate: d\nMessage-ID: i\nFrom: f\n\n" + body,
                    {"QMAILQUEUE": str(store / "queue")})

    assert done.returncode == 0
    assert (store / "envelope").read_bytes() == b"F\0Tann@y.example\0Tb@host.test\0\0"
    assert (store / "message").read_bytes() == (
        b"Cc: recipient list not shown: ;\nDate: d\nMessage-ID: i\nFrom: f@host.test\n\n" + body)


@pytest.mark.parametrize(("text", "code", "words"), [
    ("cat > /dev/null; exit 31", 100, b"permanently rejected"),
    ("cat > /dev/null; exit 71", 111, b"temporarily rejected"),
    ("exit 53", 111, b"cannot write"),
    ("exit 11", 100, b"too long"),
    ("echo Dno spam today >&6; exit 82", 100, b"no spam today"),
    ("echo Zin an hour >&6; exit 82", 111, b"in an hour"),
    ("exit 1", 111, b"unknown problem"),
    ("kill -9 $$", 111, b"unknown problem")])
def test_what_a_queue_program_exits_with(home: support.Home, store: pathlib.Path, text: str, code: int, words: bytes) -> None:
    done = home.run(["vq-inject"], MESSAGE + b"x" * 200_000, {"QMAILQUEUE": script(store / "no", f"#!/bin/sh\n{text}\n")})

    assert done.returncode == code
    assert words in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_queue_program_that_is_not_there(home: support.Home) -> None:
    assert home.run(["vq-inject"], MESSAGE, {"QMAILQUEUE": "/no/such"}).returncode == 111


def test_print(home: support.Home) -> None:
    done = home.run(["vq-inject", "-n"], MESSAGE, {"USER": "me"})
    lines = done.stdout.split(b"\n")

    assert [each.partition(b":")[0] for each in lines[:4]] == [b"Return-Path", b"Date", b"Message-ID", b"From"]
    assert lines[0] == b"Return-Path: <me@host.test>"
    assert b"\n".join(lines[4:]) == MESSAGE
    assert queued(home) == []


def test_a_pipe_that_comes_slowly_is_waited_for(home: support.Home) -> None:
    done = subprocess.run(
        ["sh", "-c", "(printf 'To: '; sleep .1; printf 'joe@x'; sleep .1; printf '.example\\n\\nbo'; sleep .1; echo dy)"
                     f" | {home.bin('vq-inject')} -n"], capture_output=True, check=True, env={"PATH": "/usr/bin:/bin", "USER": "me"})

    assert done.stdout.endswith(b"\nTo: joe@x.example\n\nbody\n")


def test_a_body_is_not_held_in_memory(home: support.Home, tmp_path: pathlib.Path) -> None:
    """200 MB go through with 100 MB of address space."""
    source = tmp_path / "large"
    with source.open("wb") as file:
        file.write(MESSAGE)
        file.truncate(200 << 20)
    counted = script(tmp_path / "count", "#!/bin/sh\nwc -c > /dev/null && cat <&1 > /dev/null\n")
    with source.open("rb") as file:
        done = subprocess.run([home.bin("vq-inject")], stdin=file, capture_output=True, check=False,
                              env={"PATH": "/usr/bin:/bin", "QMAILQUEUE": counted, "USER": "me"},
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (100 << 20, 100 << 20)))

    assert (done.returncode, done.stderr) == (0, b"")


def test_without_memory_it_says_so_and_queues_nothing(home: support.Home) -> None:
    limit = 30 << 20
    done = subprocess.run([home.bin("vq-inject")], input=b"To: " + b",\n ".join(b"%x" % each for each in range(90_000)) + b"\n\n",
                          capture_output=True, check=False, env={"PATH": "/usr/bin:/bin", "USER": "me"},
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))

    assert done.returncode == 111
    assert queued(home) == []


# ---- with everything running ----

@pytest.mark.root
def test_into_a_mailbox(system: module.System) -> None:
    system.add_domain("domain1.test", {"bob": "one", "ann": "two"})
    system.start_all()
    done = system.run("vq-inject", uid=45001, input=(
        b"To: bob@domain1.test\nBcc: ann@domain1.test\nSubject: hi\n\nhello\n"), env={"USER": "joe", "NAME": "Joe"})

    assert (done.returncode, done.stderr) == (0, b"")
    path, = system.wait_for_mail("domain1.test", "bob")
    other, = system.wait_for_mail("domain1.test", "ann")
    lines = path.read_bytes().split(b"\n")

    assert lines[0] == b"Return-Path: <joe@host.test>"
    assert lines[1] == b"Delivered-To: bob@domain1.test"
    assert re.match(rb"Received: \(qmail \d+ invoked by uid 45001\)", lines[2])
    assert [each.partition(b":")[0] for each in lines[3:5]] == [b"Date", b"Message-ID"]
    assert lines[5:] == [b'From: "Joe" <joe@host.test>', b"To: bob@domain1.test", b"Subject: hi", b"", b"hello", b""]
    assert b"ann@" not in path.read_bytes()
    assert b"Bcc" not in other.read_bytes()


@pytest.mark.root
def test_each_recipient_has_a_sender_of_his_own(system: module.System) -> None:
    system.add_domain("domain1.test", {"bob": "one", "ann": "two"})
    system.start_all()
    system.run("vq-inject", uid=45001, input=b"To: bob@domain1.test, ann@domain1.test\n\n",
               env={"USER": "list", "QMAILINJECT": "r"})

    for user in ("bob", "ann"):
        path, = system.wait_for_mail("domain1.test", user)
        assert path.read_bytes().startswith(b"Return-Path: <list-%s=domain1.test@host.test>\n" % user.encode())


@pytest.mark.root
def test_when_the_queue_service_is_down(system: module.System) -> None:
    done = system.run("vq-inject", uid=45001, input=MESSAGE)

    assert done.returncode == 111
    assert b"no queue service" in done.stderr
