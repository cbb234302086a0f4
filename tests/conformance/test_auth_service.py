"""The auth service: who may ask it, what a guesser meets, what happens when a part of it dies or is slow."""

import contextlib
import os
import pathlib
import pwd
import re
import signal
import subprocess
import typing
import warnings

import login_world
import pytest
from login_world import ask
from system import System, wait_until

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import crypt

IN, WRONG, TROUBLE = 0, 1, 111
BOB = ("bob@example.test", "secret")


@pytest.fixture
def world(system: System) -> "typing.Iterator[System]":
    system.add_domain("example.test", {"bob": "secret", "ann": "one two"})
    system.start_auth()
    return system


def children(pid: int) -> "list[int]":
    """The processes of a service, without the first."""
    found = [int(each) for each in shown(pid, f"task/{pid}/children").split()]
    return found + [below for each in found for below in children(each)]


def shown(pid: int, name: str) -> bytes:
    """What /proc shows of a process; nothing if it has ended meanwhile, as the `sleep` of a checker does all the time."""
    try:
        return pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_qmaild_cannot_read_what_the_service_reads(world: System) -> None:
    ask(world, BOB)
    world.control("loginlimits", "")
    ask(world, BOB)
    daemon = pwd.getpwnam("qmaild")
    for path in (world.virtual / "example.test/etc/passwd", world.virtual / "example.test/etc/passwd.cdb",
                 world.home / "run/auth/guesses", pathlib.Path("/etc/shadow")):
        assert path.exists()
        done = subprocess.run(["/bin/cat", str(path)], capture_output=True, user=daemon.pw_uid, group=daemon.pw_gid,
                              extra_groups=[], check=False)

        assert (1, b"") == (done.returncode, done.stdout), path


def test_nobody_else_may_ask(world: System) -> None:
    assert [[IN, BOB[0]]] == ask(world, BOB, user="root")
    assert [[TROUBLE, ""]] == ask(world, BOB, user="nobody")
    assert f"auth: uid {pwd.getpwnam('nobody').pw_uid} may not ask" in world.log()


def test_without_the_service_it_is_trouble(world: System) -> None:
    world.stop("auth")

    assert [[TROUBLE, ""]] == ask(world, BOB)


@pytest.mark.parametrize("question", [
    ("bob@example.test", "sec\0ret"), ("bob\0@example.test", "secret"), ("", ""), ("bob@example.test", "x" * 9000),
    ("bob@example.test\n", "secret"), ("b" * 7000, "secret"), ("bob@example.test", "secret", "\0"), ("\xff\xfe", "\xff")])
def test_nonsense_is_refused(world: System, question: "tuple[str, ...]") -> None:
    assert [[WRONG, ""]] == ask(world, question)


def test_packets_that_are_no_questions_harm_nobody(world: System) -> None:
    code = """if True:
        import sys
        sys.path.insert(0, sys.argv[1])
        from vqmail.logins import authentication
        from vqmail.unix import sockets
        for packet in (b"x", b"\\0" * 100, b"check", b"check\\0\\0\\0\\0", b"scram", b"scram\\0x", b"scram\\0\\0late",
                       b"scram\\0smtp\\x000\\0\\0" + b"n,,n=bob,r=x" * 400, b"check\\0a\\0b\\0c\\0smtp\\x001\\0=\\0="):
            sock = sockets.connect(authentication.SOCKET, 5)
            sock.send(packet)
            print(sock.recv(1000))
    """
    from vqmail.setup import install

    done = subprocess.run([install.interpreter(), "-IS", "-c", code, str(world.home / "lib")], capture_output=True,
                          timeout=60, check=False)

    assert (0, b"") == (done.returncode, done.stderr)
    assert [[IN, BOB[0]]] == ask(world, BOB)
    assert "internal error" not in world.log()


def test_attacked_user_logs_in_from_elsewhere_while_the_attacker_is_locked_out(world: System) -> None:
    world.control("loginlimits", "failures 6\nlockout 600\ndelay 1\n")
    guesses = [ask(world, ("bob@example.test", f"guess {each}"), ip="203.0.113.1")[0][0] for each in range(7)]

    assert [WRONG] * 7 == guesses
    assert [[WRONG, ""]] == ask(world, BOB, ip="203.0.113.1")
    assert [[IN, BOB[0]]] == ask(world, BOB, ip="192.0.2.1")
    assert "guessing: 203.0.113.1 is locked out for 600 seconds after 6 wrong passwords" in world.log()
    assert "guess 1" not in world.log()

    shown = world.run("vq-logins").stdout.decode()
    assert shown.startswith("203.0.113.1: 0 wrong, locked out for ")
    assert [0, 1, 100] == [world.run("vq-logins", *each).returncode for each in (
        ("clear", "203.0.113.1"), ("clear", "nobody@example.test"), ("clear",))]
    assert [[IN, BOB[0]]] == ask(world, BOB, ip="203.0.113.1")
    assert 111 == world.run("vq-logins", uid=pwd.getpwnam("qmaild").pw_uid).returncode


def test_thousand_names_leave_a_table_of_the_same_size(world: System) -> None:
    world.control("loginlimits", "failures 1000000\ndelay 0\n")
    ask(world, ("first", "x"))
    size = (world.home / "run/auth/guesses").stat().st_size
    for each in range(20):
        ask(world, *[(f"user{each}.{number}", "x") for number in range(50)], ip=f"2001:db8:{each}::1")

    assert size == (world.home / "run/auth/guesses").stat().st_size
    assert [[IN, BOB[0]]] == ask(world, BOB)


def test_too_many_at_once_from_one_address_leave_room_for_others(world: System) -> None:
    stop = world.path / "stop"
    program = login_world.script(world, "slow", f"while [ ! -e {stop} ]; do sleep 0.05; done; exit 1")
    world.control("loginsources", f"virtual\ncheckpassword {program}\n")
    slow = login_world.start_asking(world, *[(f"slow{each}", "x") for each in range(30)], ip="203.0.113.9")
    wait_until(lambda: "more than 20 attempts at once from there" in world.log(), "the limit")
    try:
        # nobody else waits for the slow source, not even who comes after those it holds
        assert [[IN, BOB[0]], [WRONG, ""]] == ask(world, BOB, ("ann@example.test", "no"))
        assert slow.poll() is None
    finally:
        stop.touch()
    out, errors = slow.communicate(timeout=60)

    assert (20, 10) == (out.count(b"[1, "), out.count(b"[111, ")), errors


def test_killed_process_is_trouble_for_one_and_nothing_for_the_next(world: System) -> None:
    begun = world.path / "begun"
    program = login_world.script(world, "slow", f"touch {begun}; sleep 60")
    world.control("loginsources", f"virtual\ncheckpassword {program}\n")
    asking = login_world.start_asking(world, ("slow", "x"))
    wait_until(begun.exists, "the checker")
    server = world.processes["auth"].pid
    listening = children(server)[0]
    holder = next(each for each in children(listening) if children(each))
    checker = children(holder)
    os.kill(holder, signal.SIGKILL)
    out, _ = asking.communicate(timeout=60)
    for each in checker:
        with contextlib.suppress(ProcessLookupError):                   # the script's `touch` may have been among them
            os.kill(each, signal.SIGKILL)

    assert b'[[111, ""]]\n' == out
    assert [[IN, BOB[0]]] == ask(world, BOB)


def test_kill_of_the_listening_process_takes_the_service_down_to_be_started_again(world: System) -> None:
    os.kill(children(world.processes["auth"].pid)[0], signal.SIGKILL)

    assert 111 == world.processes["auth"].wait(60)
    world.stop("auth")
    world.start_auth()
    assert [[IN, BOB[0]]] == ask(world, BOB)


def test_kill_at_any_moment_loses_no_count_that_was_made(world: System) -> None:
    world.control("loginlimits", "failures 40\nlockout 600\ndelay 0\nwindow 9000\n")
    for each in range(8):
        asking = login_world.start_asking(
            world, *[("bob@example.test", f"{each} {number}") for number in range(10)], ip="203.0.113.2")
        wait_until(lambda each=each: world.log().count("refused") >= each + 1 or asking.poll() is not None, "a refusal")
        for one in children(children(world.processes["auth"].pid)[0]):
            try:
                os.kill(one, signal.SIGKILL)
            except ProcessLookupError:
                pass
        asking.communicate(timeout=60)
    for number in range(40):
        ask(world, ("bob@example.test", f"more {number}"), ip="203.0.113.2")
        if "is locked out for 600 seconds after 40 wrong" in world.log():
            break

    assert "is locked out for 600 seconds after 40 wrong" in world.log()
    assert [[WRONG, ""]] == ask(world, BOB, ip="203.0.113.2")
    assert [[IN, BOB[0]]] == ask(world, BOB)


def test_hashes_run_side_by_side(world: System) -> None:
    passwd = world.virtual / "example.test/etc/passwd"                  # a hash that takes its time
    passwd.write_text(re.sub(r"^bob:[^:]*:", f"bob:{crypt.crypt('secret', '$6$rounds=100000$salt')}:", passwd.read_text()))
    ask(world, *[BOB] * 16)

    assert 2 < len(children(children(world.processes["auth"].pid)[0])) <= 8


def test_passwords_are_in_no_environment_and_no_command_line(world: System) -> None:
    begun, stop = world.path / "begun", world.path / "stop"
    program = login_world.script(world, "slow", f"touch {begun}; while [ ! -e {stop} ]; do sleep 0.05; done; exit 1")
    world.control("loginsources", f"virtual\ncheckpassword {program}\n")
    exchange = login_world.start_asking(world, ("slow", "hunter2" + "hunter2"))
    wait_until(begun.exists, "the checker")
    server = world.processes["auth"].pid
    said = {pid: (shown(pid, "cmdline"), shown(pid, "environ")) for pid in (server, *children(server))}
    limits = [shown(pid, "limits") for pid in said]
    stop.touch()
    exchange.communicate(timeout=60)

    # those that matter have not ended: the service, who listens, who compares, the checker
    assert 4 <= len([environ for _, environ in said.values() if b"PATH=" in environ])
    assert any(program.encode() in cmdline and b"PATH=" in environ for cmdline, environ in said.values())
    assert b"hunter2" not in b"".join(each for both in said.values() for each in both)
    assert "hunter2" not in world.log()
    own = [each for each in limits[1:] if each]
    assert len(own) >= 3
    assert all(b"Max core file size        1 " in each for each in own)      # more than 0: unix/limits.py says why
