"""What programs ask of the TLS service, and when they offer TLS at all."""

import os
import pathlib
import socket
import threading

import pytest

from vqmail import codes
from vqmail.store import secure


@pytest.fixture
def certificate(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Where the certificate would be."""
    path = tmp_path / "servercert.pem"
    monkeypatch.setattr(secure, "CERTIFICATE", bytes(path))
    return path


def test_tls_is_offered_where_there_is_a_certificate(certificate: pathlib.Path) -> None:
    assert secure.offered({}) is False
    certificate.touch(mode=0o400)
    assert secure.offered({}) is True


@pytest.mark.parametrize("env", [{b"SSL_PROTOCOL": b"TLSv1.3"}, {b"SSL_PROTOCOL": b""}, {b"DISABLETLS": b""}])
def test_it_is_not_offered_twice_nor_where_it_is_disabled(certificate: pathlib.Path, env: "dict[bytes, bytes]") -> None:
    certificate.touch()

    assert secure.offered(env) is False


def test_a_certificate_that_cannot_be_looked_at_is_trouble(certificate: pathlib.Path) -> None:
    certificate.symlink_to(certificate)

    with pytest.raises(codes.TryLater, match="servercert.pem: Too many levels of symbolic links"):
        secure.offered({})


def test_the_answer_carries_the_variables() -> None:
    variables = {b"SSL_PROTOCOL": b"TLSv1.3", b"SSL_CIPHER": b"TLS_AES_256_GCM_SHA384", b"SSL_TLS_SNI_SERVERNAME": b"pop.test"}
    packet = b"+SSL_PROTOCOL=TLSv1.3\0SSL_CIPHER=TLS_AES_256_GCM_SHA384\0SSL_TLS_SNI_SERVERNAME=pop.test\0"

    assert secure.encode(variables) == packet
    assert secure.decode(packet) == variables


@pytest.fixture
def service(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    """A service that we answer for."""
    path = tmp_path / "socket"
    monkeypatch.setattr(secure, "SOCKET", bytes(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(os.fspath(path))
        listener.listen()
        yield listener


def upgraded(service: socket.socket, packet: bytes, *descriptors: int) -> secure.Upgrade:
    """An upgrade of our own 0 that got this answer."""

    def answer() -> None:
        caller, _ = service.accept()
        _, received, _, _ = socket.recv_fds(caller, 100, 1)
        os.close(received[0])
        if packet:
            socket.send_fds(caller, [packet], list(descriptors))
        caller.close()

    thread = threading.Thread(target=answer)
    thread.start()
    upgrade = secure.Upgrade(0)
    thread.join()
    return upgrade


def test_a_secured_connection_comes_as_a_descriptor(service: socket.socket) -> None:
    ours, theirs = socket.socketpair()
    upgrade = upgraded(service, b"+SSL_PROTOCOL=TLSv1.2\0", theirs.fileno())
    plain, variables = upgrade.answer()
    upgrade.close()
    theirs.close()

    assert variables == {b"SSL_PROTOCOL": b"TLSv1.2"}
    os.write(plain, b"hello")
    assert ours.recv(10) == b"hello"
    os.close(plain)
    ours.close()


@pytest.mark.parametrize(("packet", "why"), [
    (b"-wrong version number", "wrong version number"), (b"", "the service `tls` gave up"),
    (b"+SSL_PROTOCOL=TLSv1.3\0", "SSL_PROTOCOL")])
def test_a_failure_says_why(service: socket.socket, packet: bytes, why: str) -> None:
    upgrade = upgraded(service, packet)

    with pytest.raises(secure.Failed, match=why):
        upgrade.answer()
    upgrade.close()


def test_without_the_service_it_is_for_later(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secure, "SOCKET", bytes(tmp_path / "socket"))

    with pytest.raises(codes.TryLater, match="socket: No such file or directory; is the service `tls` up"):
        secure.Upgrade(0)
