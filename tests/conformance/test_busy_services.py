"""Sessions in one process of vq-tcpserver while the TLS service or the auth service is too busy to be called."""

import base64
import contextlib
import os
import pathlib
import pwd
import smtplib
import socket
from collections.abc import Iterator

import pytest
import system as module
from test_sessions import Talk, crew
from tls_world import DEFAULT, World

from vqmail.setup import hier

pytestmark = pytest.mark.root


class Busy:
    """A socket at the address of a service that nobody accepts from: with one caller it has all it takes."""

    def __init__(self, path: pathlib.Path) -> None:
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(os.fspath(path))
        path.chmod(0o666)
        self.listener.listen(0)
        self.listener.settimeout(60)
        self.callers = []
        with contextlib.suppress(BlockingIOError):
            while True:
                caller = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                self.callers.append(caller)
                caller.setblocking(False)
                caller.connect(os.fspath(path))

    def next_question(self) -> "tuple[socket.socket, bytes, list[int]]":
        """Let go of the callers; who called, with what, of the next one."""
        for each in self.callers:
            each.close()
        while True:
            caller, _ = self.listener.accept()
            caller.settimeout(60)
            said, descriptors, _, _ = socket.recv_fds(caller, 8192, 4)
            if said:
                return caller, said, descriptors


@pytest.fixture
def world(system: module.System) -> module.System:
    system.add_domain("domain1.test", {"bob": "x"})
    system.start_all()
    system.control("clearauth", "1\n")
    system.control("servercert.pem", "there\n")
    return system


def test_who_wants_tls_waits_alone_until_the_service_takes_his_call(world: module.System) -> None:
    service = Busy(world.home / "run/tls/socket")
    world.port = world.start_smtp()
    clients = [Talk(world.port) for _ in range(4)]
    clients[0].say(b"EHLO x")
    clients[0].sock.sendall(b"STARTTLS\r\n")
    clients[0].sock.settimeout(0.3)
    with pytest.raises(TimeoutError):
        clients[0].sock.recv(100)
    clients[0].sock.settimeout(60)

    assert [each.say(b"NOOP")[:3] for each in clients[1:]] == [b"250"] * 3
    caller, said, descriptors = service.next_question()
    assert (b"+", 1) == (said, len(descriptors))
    os.close(descriptors[0])
    assert clients[0].sock.recv(100).startswith(b"220 ")
    caller.send(b"-no thanks")
    assert clients[0].sock.recv(100) == b""


def test_who_logs_in_waits_alone_until_the_service_takes_his_call(world: module.System) -> None:
    service = Busy(world.home / "run/auth/socket")
    world.port = world.start_smtp()
    clients = [Talk(world.port) for _ in range(4)]
    clients[0].say(b"EHLO x")
    clients[0].sock.sendall(b"AUTH PLAIN %b\r\n" % base64.b64encode(b"\0bob@domain1.test\0x"))
    clients[0].sock.settimeout(0.3)
    with pytest.raises(TimeoutError):
        clients[0].sock.recv(100)
    clients[0].sock.settimeout(60)

    assert [each.say(b"NOOP")[:3] for each in clients[1:]] == [b"250"] * 3
    caller, said, _ = service.next_question()
    assert said.split(b"\0")[:3] == [b"check", b"bob@domain1.test", b"x"]
    caller.send(b"0\0bob@domain1.test\0")
    assert clients[0].sock.recv(100).startswith(b"235 ")


@pytest.fixture
def tls(tmp_path: pathlib.Path) -> "Iterator[World]":
    each = World(tmp_path)
    try:
        each.system.add_domain("domain1.test", {"bob": "x"})
        each.system.start_all()
        yield each
    finally:
        each.system.stop()


def test_forty_clients_of_smtps_need_two_processes_and_a_silent_one_stops_nobody(tls: World) -> None:
    world = tls.system
    daemon = pwd.getpwnam(hier.DAEMON)
    port = world.serve("smtp", True, ["-u", str(daemon.pw_uid), "-g", str(daemon.pw_gid)],
                       [world.bin("vq-tls"), world.bin("vq-smtpd")], {"SSL_PROTOCOL": "none", "SUBMISSION": "1"})
    # the call of serve() itself, which spoke no TLS
    module.wait_until(lambda: world.log().count("status 256") == 1, "the end of the first call")
    silent = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(5)]
    clients = []
    for _ in range(40):
        client = smtplib.SMTP_SSL(timeout=60, context=tls.authority.client())
        client._host = DEFAULT
        client.connect("127.0.0.1", port)
        clients.append(client)

    assert len(crew(world)) == 2
    assert {each.ehlo()[0] for each in clients} == {250}
    assert b"AUTH" in clients[0].ehlo()[1]
    assert {each.quit()[0] for each in clients} == {221}
    for each in silent:
        each.close()
    module.wait_until(lambda: world.log().count("status 256") == 6, "the end of those who said nothing")
    assert world.log().count("vq-tls: pid") == 6
