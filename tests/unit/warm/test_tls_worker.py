"""A worker of the TLS service in this process: its limits."""

import os
import pathlib
import socket
import threading

import pytest
from certificates import Authority, Client

from vqmail.store import certificates
from vqmail.unix import sockets
from vqmail.warm import tls_connection, tls_worker

NAME = "mail.test"


class Running:
    """A worker in a thread."""

    def __init__(self, path: pathlib.Path, authority: Authority, files: int, callers: "frozenset[int]") -> None:
        self.path = path / "socket"
        self.authority = authority
        certificate = path / "servercert.pem"
        certificate.write_bytes(authority.sign(NAME))
        loaded = certificates.Certificates()
        loaded.renew()
        reading, self._gate = os.pipe()
        self.worker = tls_worker.Worker(sockets.listen(bytes(self.path), 0o600), reading, loaded, callers, files)
        self._thread = threading.Thread(target=self.worker.run)
        self._thread.start()

    def call(self) -> "tuple[socket.socket, socket.socket]":
        """(the program's call, the client's end)."""
        call = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        call.settimeout(60)
        call.connect(os.fspath(self.path))
        ours, theirs = socket.socketpair()
        socket.send_fds(call, [b"+"], [theirs.fileno()])
        theirs.close()
        ours.settimeout(60)
        return call, ours

    def agree(self, ours: socket.socket) -> Client:
        """The client's handshake."""
        client = Client(self.authority.client(), NAME)
        while not client.handshake():
            ours.sendall(client.output())
            client.receive(ours.recv(65536))
        ours.sendall(client.output())
        return client

    def stop(self) -> None:
        os.close(self._gate)
        self._thread.join(60)

        assert not self._thread.is_alive()


@pytest.fixture
def start(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    """Starts workers."""
    monkeypatch.setattr(certificates, "DEFAULT", bytes(tmp_path / "servercert.pem"))
    monkeypatch.setattr(certificates, "FOLDER", bytes(tmp_path / "servercerts"))
    monkeypatch.setattr(tls_worker.tls, "silence", lambda: None)
    running = []

    def begin(files: int = 1000, callers: "frozenset[int] | None" = None) -> Running:
        running.append(Running(tmp_path, Authority(tmp_path / "authority"), files, callers or frozenset((os.getuid(),))))
        return running[-1]

    yield begin
    for each in running:
        each.stop()


def close(*each: socket.socket) -> None:
    for one in each:
        one.close()


def test_a_client_that_does_not_agree_in_time_is_let_go(start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_connection, "HANDSHAKE", 0.1)
    monkeypatch.setattr(tls_worker, "EVERY", 0.1)
    call, ours = start().call()

    assert call.recv(100).startswith(b"-the client did not agree within ")
    assert ours.recv(100) == b""
    close(call, ours)


def test_who_sends_no_connection_is_let_go(start) -> None:
    running = start()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as call:
        call.settimeout(60)
        call.connect(os.fspath(running.path))
        call.send(b"nonsense")

        assert call.recv(100) == b""


def test_a_caller_that_goes_takes_its_client_along(start) -> None:
    call, ours = start().call()
    call.close()

    assert ours.recv(100) == b""
    ours.close()


def test_a_stranger_is_not_served(start) -> None:
    running = start(callers=frozenset((os.getuid() + 1,)))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as call:
        call.settimeout(60)
        call.connect(os.fspath(running.path))

        assert call.recv(100) == b""


def test_over_the_limit_callers_wait_until_another_is_done(start) -> None:
    running = start(files=tls_worker.SPARE + 2 * tls_worker.EACH)
    first, second, third = (running.call() for _ in range(3))
    for call, ours in (first, second):
        running.agree(ours)
        packet, descriptors, _, _ = socket.recv_fds(call, 4096, 1)
        os.close(descriptors[0])

        assert packet.startswith(b"+SSL_PROTOCOL=")
    third[0].settimeout(0.2)
    client = Client(running.authority.client(), NAME)
    client.handshake()
    third[1].sendall(client.output())
    with pytest.raises(TimeoutError):
        third[0].recv(100)
    first[1].close()
    third[0].settimeout(60)
    while not client.handshake():
        third[1].sendall(client.output())
        client.receive(third[1].recv(65536))
    third[1].sendall(client.output())
    packet, descriptors, _, _ = socket.recv_fds(third[0], 4096, 1)
    os.close(descriptors[0])

    assert packet.startswith(b"+SSL_PROTOCOL=")
    close(*first, *second, *third)


def test_a_program_that_is_gone_is_not_waited_for(start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_connection, "LINGER", 0.1)
    monkeypatch.setattr(tls_worker, "EVERY", 0.1)
    running = start()
    call, ours = running.call()
    client = running.agree(ours)
    _, descriptors, _, _ = socket.recv_fds(call, 4096, 1)
    os.write(descriptors[0], b"bye")
    os.close(descriptors[0])
    records = b"".join(iter(lambda: ours.recv(65536), b""))
    client.receive(records)

    assert [client.read(), client.read()] == [b"bye", b""]
    with pytest.raises(BrokenPipeError):        # it does not hear us, either
        while True:
            ours.sendall(bytes(1000))
    close(call, ours)


def test_a_client_that_takes_nothing_does_not_keep_the_place_of_a_program_that_is_gone(
        start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_connection, "LAST", 0.1)
    monkeypatch.setattr(tls_worker, "EVERY", 0.1)
    running = start()
    call, ours = running.call()
    running.agree(ours)
    _, descriptors, _, _ = socket.recv_fds(call, 4096, 1)
    plain = socket.socket(fileno=descriptors[0])
    plain.setblocking(False)
    sent = 0
    with pytest.raises(BlockingIOError):
        while sent < 64 << 20:
            sent += plain.send(bytes(65536))
    plain.close()
    running.stop()                              # it ends with its last connection
    running.stop = lambda: None
    close(call, ours)


def test_a_client_that_does_not_wait_for_our_goodbye_is_no_fault(
        start, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[bytes] = []
    monkeypatch.setattr(tls_connection.log, "line", lambda _, text: said.append(text))
    running = start()
    call, unused = running.call()
    close(call, unused)
    call = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    call.settimeout(60)
    call.connect(os.fspath(running.path))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname(), timeout=10)
        theirs = listener.accept()[0]
    socket.send_fds(call, [b"+"], [theirs.fileno()])
    theirs.close()
    client = running.agree(ours)
    descriptors = socket.recv_fds(call, 4096, 1)[1]
    plain = socket.socket(fileno=descriptors[0])
    plain.settimeout(60)
    client.receive(ours.recv(65536))            # tickets; closing before that would be a reset at once
    ours.sendall(client.goodbye())
    ours.close()

    assert plain.recv(100) == b""
    plain.close()                               # our goodbye is answered by a reset
    running.stop()                              # it ends with its last connection
    running.stop = lambda: None
    call.close()

    assert said == []
