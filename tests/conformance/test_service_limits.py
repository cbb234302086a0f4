"""More callers than a service has room or descriptors for: they wait or are told so, and it goes on for the next ones."""

import os
import select
import socket

import login_world
import pytest
import system as module
from system import System, wait_until

pytestmark = pytest.mark.root
D = "domain1.test"
IN, WRONG, TROUBLE = 0, 1, 111
BOB = (f"bob@{D}", "secret")


def few_files(system: System, files: int) -> None:
    """What is started from now on has so many descriptors, and cannot have more."""
    system.prefix = ("prlimit", f"--nofile={files}:{files}")


def call(system: System, service: str) -> socket.socket:
    """A connection to a service, on which nothing is said yet."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(module.PATIENCE)
    sock.connect(os.fspath(system.home / "run" / service / "socket"))
    return sock


def hung_up(callers: "list[socket.socket]") -> "list[socket.socket]":
    """Those of the silent callers to whom the service has closed."""
    return select.select(callers, [], [], 0)[0]


def close(callers: "list[socket.socket]") -> None:
    for each in callers:
        each.close()


def test_auth_lets_in_as_many_as_it_has_descriptors_for(system: System) -> None:
    system.add_domain(D, {"bob": "secret"})
    few_files(system, 200)
    system.start_auth()
    room = (200 - 80) // 3
    callers = [call(system, "auth") for _ in range(room + 20)]
    try:
        wait_until(lambda: len(hung_up(callers)) == 20, "the end of the last 20 calls")
        assert [[TROUBLE, ""]] == login_world.ask(system, BOB)
        assert system.log().count("auth: too many at once\n") == 21
        assert hung_up(callers) == callers[room:], "who was first is let in"
    finally:
        close(callers)
    # they are gone when the service has looked; a call after theirs is heard after theirs
    wait_until(lambda: login_world.ask(system, BOB) == [[IN, BOB[0]]], "room for bob")
    assert "cannot let a caller in" not in system.log()


def test_admin_has_five_of_a_uid_and_room_for_others(system: System) -> None:
    system.add_domain(D, {"bob": "secret"})
    system.start_admin()
    callers = [call(system, "admin") for _ in range(8)]
    try:
        wait_until(lambda: len(hung_up(callers)) == 3, "the end of the last 3 calls")
        assert system.log().count("admin: uid 0 asks for too much at once\n") == 3
        assert hung_up(callers) == callers[5:]
        done = system.run("vq-user", "list", D, uid=system.owner(D))
        assert (0, True) == (done.returncode, b"bob" in done.stdout), done.stderr
    finally:
        close(callers)


def test_queue_takes_all_messages_with_few_descriptors(system: System) -> None:
    few_files(system, 100)
    system.start_queue()
    begun = []
    for number in range(120):                   # four descriptors of the service's for each, and then five
        sock = call(system, "queue")
        message, into = os.pipe()
        envelope, sender = os.pipe()
        os.write(into, b"Subject: %d\n\n" % number)
        socket.send_fds(sock, [b"P"], [message, envelope])
        os.close(message)
        os.close(envelope)
        begun.append((sock, into, sender))
    answers = []
    for _, into, sender in begun:               # none of them ends before all of them have begun
        os.close(into)
        os.write(sender, b"Fann@far.test\0Tbob@host.test\0\0")
        os.close(sender)
    answers = []
    for sock, _, _ in begun:
        answers.append(sock.recv(100).partition(b" ")[0])
        sock.close()

    assert [b"0"] * 120 == answers
    assert 120 == sum(each.is_file() for each in (system.home / "queue/todo").rglob("*"))
    assert "cannot" not in system.log()


def test_virtmailfilter_delivers_all_messages_with_few_descriptors(system: System) -> None:
    system.add_domain(D, {"bob": "secret"})
    few_files(system, 256)
    system.start_filter()
    env = {"EXT": "bob", "HOST": D, "DTLINE": f"Delivered-To: bob@{D}\n", "RPLINE": "Return-Path: <s@x>\n"}
    packet = "\0".join(["1", "0,1,2", "virtmailfilter", *(f"{name}={value}" for name, value in env.items())]).encode()
    begun = []
    with open(os.devnull, "wb") as null:
        for _ in range(150):                    # two descriptors of the service's for each, and then five
            os.seteuid(system.owner(D))
            try:
                sock = call(system, "virtmailfilter")
            finally:
                os.seteuid(0)
            message, into = os.pipe()
            socket.send_fds(sock, [packet], [message, null.fileno(), null.fileno()])
            os.close(message)
            begun.append((sock, into))
    for _, into in begun:                       # none of them ends before all of them have begun
        os.write(into, b"Subject: x\n\nhello\n")
        os.close(into)
    answers = []
    for sock, _ in begun:
        answers.append(sock.recv(1000))
        sock.close()

    assert [b"0 "] * 150 == answers
    assert 150 == len(system.mailbox(D, "bob"))
    assert "cannot" not in system.log()
