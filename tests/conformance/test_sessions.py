"""Many SMTP sessions in one process of vq-tcpserver: none waits for another, none hurts another."""

import os
import pathlib
import signal
import smtplib
import socket
import subprocess

import pytest
import system as module

pytestmark = pytest.mark.root
MESSAGE = b"From: a@far.test\r\nSubject: hello\r\n\r\nbody %d\r\n"


@pytest.fixture
def world(system: module.System) -> module.System:
    system.add_domain("domain1.test", {"bob": "x"})
    system.start_all()
    system.port = system.start_smtp()
    return system


class Talk:
    """A client that says and hears lines."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), 60)
        self.file = self.sock.makefile("rb")
        self.greeting = self.file.readline()

    def say(self, line: bytes) -> bytes:
        self.sock.sendall(line + b"\r\n")
        answer = self.file.readline()
        while answer[3:4] == b"-":
            answer = self.file.readline()
        return answer

    def close(self) -> None:
        self.file.close()
        self.sock.close()


def crew(world: module.System) -> "list[int]":
    """The processes that hold sessions."""
    parent = world.processes["smtp"].pid
    return [int(each) for each in pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def test_a_hundred_sessions_at_once_need_two_processes(world: module.System) -> None:
    clients = [Talk(world.port) for _ in range(90)]
    assert {each.greeting[:3] for each in clients} == {b"220"}
    assert len(crew(world)) == 2

    for number, each in enumerate(clients):
        assert each.say(b"EHLO x").startswith(b"250")
        assert each.say(b"MAIL FROM:<s%d@far.test>" % number).startswith(b"250")
    for each in reversed(clients):
        assert each.say(b"RCPT TO:<bob@domain1.test>").startswith(b"250")
        assert each.say(b"DATA").startswith(b"354")
    for number, each in enumerate(clients):
        assert each.say(MESSAGE % number + b".").startswith(b"250 2.0.0 ok")
    for each in clients:
        assert each.say(b"QUIT").startswith(b"221")
        assert each.file.readline() == b""
        each.close()

    found = world.wait_for_mail("domain1.test", "bob", 90)
    texts = sorted(each.read_bytes() for each in found)
    assert len(found) == 90
    for number in range(90):
        assert sum(b"\nbody %d\n" % number in each and b"Return-Path: <s%d@far.test>" % number in each for each in texts) == 1


def test_one_that_is_silent_in_the_middle_stops_nobody(world: module.System) -> None:
    silent = Talk(world.port)
    silent.say(b"EHLO x")
    silent.say(b"MAIL FROM:<s@far.test>")
    silent.say(b"RCPT TO:<bob@domain1.test>")
    silent.say(b"DATA")
    silent.sock.sendall(b"half a mess")
    for _ in range(3):
        with smtplib.SMTP("127.0.0.1", world.port, timeout=60) as client:
            client.sendmail("a@far.test", ["bob@domain1.test"], MESSAGE % 1)
    world.wait_for_mail("domain1.test", "bob", 3)
    silent.close()
    module.wait_until(lambda: "end lost-in-message" in world.log(), "the log line of the broken session")

    assert len(world.mailbox("domain1.test", "bob")) == 3
    module.wait_until(world.queue_is_empty, "an empty queue")


def test_a_client_that_does_not_listen_stops_nobody(world: module.System) -> None:
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", world.port))
    deaf.setblocking(False)
    try:
        for _ in range(2000):
            deaf.send(b"NOOP\r\n" * 500)
    except (BlockingIOError, ConnectionError):
        pass
    with smtplib.SMTP("127.0.0.1", world.port, timeout=60) as client:
        assert client.noop()[0] == 250
    deaf.close()


def test_a_large_message_comes_through_whole(world: module.System) -> None:
    text = b"Subject: large\r\n\r\n" + b"".join(b"%07d\r\n" % number for number in range(500_000))
    with smtplib.SMTP("127.0.0.1", world.port, timeout=60) as client:
        client.sendmail("a@far.test", ["bob@domain1.test"], text)
    path, = world.wait_for_mail("domain1.test", "bob")

    assert path.read_bytes().endswith(b"\n\n" + b"".join(b"%07d\n" % number for number in range(500_000)))
    for pid in crew(world):
        peak = int(pathlib.Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0])
        assert peak < 60_000, "kB: a message is streamed, not kept"


def test_commands_and_message_in_one_packet(world: module.System) -> None:
    client = Talk(world.port)
    client.sock.sendall(b"EHLO x\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<bob@domain1.test>\r\nRCPT TO:<no@domain1.test>\r\n"
                        b"DATA\r\n" + MESSAGE % 7 + b".\r\nMAIL FROM:<b@far.test>\r\nRCPT TO:<bob@domain1.test>\r\nDATA\r\n"
                        + MESSAGE % 8 + b".\r\nQUIT\r\n")
    said = client.file.read().split(b"\r\n")

    assert [each[:3] for each in said if each[3:4] == b" "] == [
        b"250", b"250", b"250", b"550", b"354", b"250", b"250", b"250", b"354", b"250", b"221"]
    world.wait_for_mail("domain1.test", "bob", 2)


def test_a_bare_newline_ends_the_session_and_the_answer_arrives(world: module.System) -> None:
    client = Talk(world.port)
    for line in (b"EHLO x", b"MAIL FROM:<a@far.test>", b"RCPT TO:<bob@domain1.test>", b"DATA"):
        client.say(line)
    client.sock.sendall(b"one\r\ntwo\nthree\r\n.\r\nMAIL FROM:<evil@far.test>\r\n" + b"x" * 100_000)
    said = client.file.read()

    assert said.startswith(b"451 ")
    assert said.count(b"\r\n") == 1
    assert world.mailbox("domain1.test", "bob") == []


def test_a_process_that_is_killed_takes_its_own_sessions_only(world: module.System) -> None:
    clients = [Talk(world.port) for _ in range(6)]
    killed = crew(world)[0]
    os.kill(killed, signal.SIGKILL)
    alive = []
    for each in clients:
        try:
            alive.append(each.say(b"NOOP").startswith(b"250"))
        except ConnectionError:
            alive.append(False)

    assert sum(alive) == 3
    module.wait_until(lambda: killed not in crew(world), "another process in its place")
    with smtplib.SMTP("127.0.0.1", world.port, timeout=60) as client:
        client.sendmail("a@far.test", ["bob@domain1.test"], MESSAGE % 1)
    world.wait_for_mail("domain1.test", "bob")


def test_without_the_queue_service_the_answer_is_451(world: module.System) -> None:
    world.stop("queue")
    client = Talk(world.port)
    for line in (b"EHLO x", b"MAIL FROM:<a@far.test>", b"RCPT TO:<bob@domain1.test>"):
        client.say(line)

    assert client.say(b"DATA").startswith(b"451 ")
    world.start_queue()
    assert client.say(b"RSET").startswith(b"250")
    for line in (b"MAIL FROM:<a@far.test>", b"RCPT TO:<bob@domain1.test>", b"DATA"):
        client.say(line)
    assert client.say(MESSAGE % 1 + b".").startswith(b"250 2.0.0 ok")


def test_silence_is_answered_with_451_and_the_end(world: module.System) -> None:
    world.control("timeoutsmtpd", "1\n")
    client = Talk(world.port)

    assert client.file.readline().startswith(b"451 ")
    assert client.file.readline() == b""
    assert "end timeout messages 0" in world.log()


def test_rules_may_set_qmailqueue_and_that_session_gets_a_process(system: module.System, tmp_path: pathlib.Path) -> None:
    system.add_domain("domain1.test", {"bob": "x"})
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(f"#!/bin/sh\ncat >/dev/null\necho 'Dno thanks (#5.7.1)' >&6\nexit 82\n")
    wrapper.chmod(0o755)
    rules = tmp_path / "rules.cdb"
    subprocess.run(["tcprules", rules, tmp_path / "rules.tmp"], check=True,
                   input=f'127.:allow,QMAILQUEUE="{wrapper}"\n'.encode())
    port = system.serve("smtp", True, ["-x", str(rules)], [system.bin("vq-smtpd")])
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as client, pytest.raises(smtplib.SMTPDataError, match="no thanks"):
        client.sendmail("a@far.test", ["bob@domain1.test"], MESSAGE % 1)


def test_control_files_are_read_for_each_session(world: module.System) -> None:
    first = Talk(world.port)
    world.control("smtpgreeting", "other.test hello\n")
    second = Talk(world.port)

    assert first.greeting == b"220 host.test ESMTP\r\n"
    assert second.greeting == b"220 other.test hello ESMTP\r\n"


def test_the_log_joins_connection_message_and_delivery(world: module.System) -> None:
    with smtplib.SMTP("127.0.0.1", world.port, timeout=60) as client:
        client.sendmail("a@far.test", ["bob@domain1.test"], MESSAGE % 1)
    world.wait_for_mail("domain1.test", "bob")
    module.wait_until(lambda: "end msg" in world.log() and "end quit" in world.log(), "the end of the story")
    import re

    log = world.log()
    number, qp = re.search(r"vq-smtpd: pid (\d+) from 127.0.0.1 accepted message qp (\d+) bytes", log).groups()
    assert re.search(rf"tcpserver: ok {number} ", log)
    assert re.search(rf"tcpserver: end {number} status 0\n", log)
    assert re.search(rf"info msg (\d+): bytes \d+ from <a@far.test> qp {qp} uid", log)
