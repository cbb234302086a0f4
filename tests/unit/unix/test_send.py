"""Sending to a client, over TCP and through a pipe."""

import os
import socket
import threading

import pytest

from vqmail.unix import send

MUCH = bytes(range(256)) * 16384            # 4 MiB: more than any buffer holds


def tcp() -> "tuple[socket.socket, socket.socket]":
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    return client, server


def collected(read: "object") -> "tuple[threading.Thread, list[bytes]]":
    parts: list[bytes] = []

    def collect() -> None:
        while data := read(65536):  # type: ignore[operator]
            parts.append(data)

    thread = threading.Thread(target=collect)
    thread.start()
    return thread, parts


def test_much_arrives_over_tcp() -> None:
    client, server = tcp()
    with client, server:
        thread, parts = collected(client.recv)
        sender = send.Sender(server.fileno())
        sender.write_all(MUCH, 60)
        sender.write_all(b"", 60)
        sender.close()
        server.shutdown(socket.SHUT_WR)
        thread.join()

        assert MUCH == b"".join(parts)
        assert 1 == server.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert server.getblocking()


def test_much_arrives_through_a_pipe() -> None:
    out, into = os.pipe()
    thread, parts = collected(lambda size: os.read(out, size))
    sender = send.Sender(into)
    sender.write_all(MUCH, 60)
    sender.close()
    os.close(into)
    thread.join()
    os.close(out)

    assert MUCH == b"".join(parts)


def test_peer_that_takes_nothing_is_given_up() -> None:
    client, server = tcp()
    with client, server:
        sender = send.Sender(server.fileno())
        with pytest.raises(TimeoutError):
            for _ in range(100):
                sender.write_all(MUCH, 0.05)
        sender.close()


def test_peer_that_is_gone_is_an_error_and_no_signal() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        theirs.close()
        sender = send.Sender(ours.fileno())
        with pytest.raises(BrokenPipeError):
            sender.write_all(b"x", 60)
        sender.close()


def test_closing_leaves_the_descriptor_to_its_owner() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = send.Sender(ours.fileno())
        sender.close()
        sender.close()
        ours.send(b"still here")

        assert b"still here" == theirs.recv(100)
