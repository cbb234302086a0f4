"""vq-lspawn, vq-clean and vq-start spoken to as qmail-send and qmail-start's users do (QMAIL 5 and 22)."""

import os
import signal
import subprocess

import pytest
import support

WHO = {"user": support.SINGLE[0], "group": support.SINGLE[1], "extra_groups": []} if os.geteuid() == 0 else {}


@pytest.fixture
def message(home: support.Home) -> bytes:
    """A message in the queue, as the spawners are told of it."""
    draft = home.write("queue/pid/1", "Received: (qmail 1 invoked by uid 0); 1 Jan 2026 00:00:00 -0000\nSubject: x\n\nhi\n")
    number = draft.stat().st_ino
    draft.rename(home.path / "queue/mess" / str(number % 23) / str(number))
    return b"%d/%d" % (number % 23, number)


def talk(home: support.Home, *argv: str, said: bytes) -> bytes:
    """What the spawner answers to `said`, up to its end."""
    done = subprocess.run([home.bin(argv[0]), *argv[1:]], input=said, capture_output=True, timeout=60, check=False,
                          cwd=home.path / "queue/mess", env={"PATH": f"{home.path}/bin:/usr/bin:/bin"}, **WHO)

    assert done.returncode == 0, done.stderr
    return done.stdout


def command(slot: int, message: bytes, recipient: bytes, sender: bytes = b"s@x") -> bytes:
    return b"%c%s\0%s\0%s\0" % (slot, message, sender, recipient)


@pytest.mark.parametrize(("slot", "which", "recipient", "answer"), [
    (0, None, b"@h.example", b"K"),
    (1, None, b"nobody-here", b"DSorry, address must include host name. (#5.1.3)\n"),
    (2, None, b"zzz@h.example", b"DSorry, no mailbox here by that name. (#5.1.1)\n"),
    (12, b"11/22o5803", b"joe@h.example", b"DInternal error: messid has nonnumerics. (#5.3.5)\n"),
    (13, b"/etc/passwd", b"joe@h.example", b"DInternal error: messid has nonnumerics. (#5.3.5)\n"),
    (14, b"", b"joe@h.example", b"DInternal error: messid has nonnumerics. (#5.3.5)\n"),
    (120, None, b"joe@h.example", b"ZInternal error: delnum too big. (#4.3.5)\n"),
])
def test_lspawn_answers_as_qmails(home: support.Home, message: bytes, slot: int, which: "bytes | None", recipient: bytes,
                                  answer: bytes) -> None:
    said = talk(home, "vq-lspawn", "./Mailbox", said=command(slot, message if which is None else which, recipient))

    assert said == b"\x78" + b"%c%s\0" % (slot, answer)


def test_lspawn_delivers_and_answers_in_any_order(home: support.Home, message: bytes) -> None:
    uid, gid = support.single_ids()
    home.write("users/assign", f"=joe:joe:{uid}:{gid}:{home.path}/alias:::\n=slow:joe:{uid}:{gid}:{home.path}/alias:-:slow:\n.\n")
    home.write("alias/.qmail", "./Mailbox\n")
    home.write("alias/.qmail-slow", "|sleep 1; echo slept; exit 111\n")
    assert home.run(["vq-newu"]).returncode == 0
    said = talk(home, "vq-lspawn", "./Mailbox", said=command(7, message, b"slow@h.example") + command(9, message, b"joe@h.example"))

    assert said == b"\x78" + b"\x09Kdid 1+0+0\n\0" + b"\x07Zslept\n\0"
    assert (home.path / "alias/Mailbox").read_bytes().count(b"\nSubject: x\n\nhi\n\n") == 1


def test_a_command_in_pieces_is_one_command(home: support.Home, message: bytes) -> None:
    with subprocess.Popen([home.bin("vq-lspawn"), "./Mailbox"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          cwd=home.path / "queue/mess", **WHO) as spawner:
        for byte in command(3, message, b"zzz@h.example"):
            spawner.stdin.write(bytes([byte]))
            spawner.stdin.flush()
        spawner.stdin.close()

        assert spawner.stdout.read() == b"\x78\x03DSorry, no mailbox here by that name. (#5.1.1)\n\0"


def test_clean_answers_once_and_does_nothing_it_does_not_understand(home: support.Home) -> None:
    home.write("queue/intd/12", "x")
    home.write("queue/todo/12", "x")
    home.write("queue/mess/13/36", "x")
    requests = [b"todo/12a", b"foop/99999999", b"zzzz/1", b"todo/", b"foop/../../x", b"x" * 200, b"foop/36", b"todo/12"]
    before_last = talk(home, "vq-clean", said=b"\0".join(requests[:-2]) + b"\0")

    assert before_last == b"x+xxxx"
    assert (home.path / "queue/todo/12").exists()
    assert talk(home, "vq-clean", said=b"\0".join(requests[-2:]) + b"\0") == b"++"
    assert not any((home.path / "queue" / each).exists() for each in ("intd/12", "todo/12", "mess/13/36"))


def test_start_becomes_send_and_gives_the_log_to_a_logger(home: support.Home) -> None:
    out = home.path / "logged"
    out.touch()
    out.chmod(0o666)
    process = subprocess.Popen([home.bin("vq-start"), "./Mailbox", "/bin/sh", "-c", f"exec cat >{out}"],
                               env={"PATH": "/usr/bin:/bin"}, **WHO)
    try:
        import system
        system.wait_until(lambda: out.read_bytes() == b"status: local 0/10 remote 0/20\n", "the first line in the log")

        assert b"vq-send" in open(f"/proc/{process.pid}/cmdline", "rb").read()
        second = home.run(["vq-start", "./Mailbox"])
        assert b"alert: cannot start: vq-send is already running" in second.stdout
        assert second.returncode == 111
    finally:
        process.send_signal(signal.SIGTERM)

    assert process.wait(60) == 0
    system.wait_until(lambda: out.read_bytes().endswith(b"status: exiting\n"), "the last line, which the logger writes")
