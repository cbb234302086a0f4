"""One line, and not a byte more, from a socket and from a pipe."""

import os
import socket
import threading
import typing

import pytest

from vqmail.unix import line

SECONDS = 60


class Channel:
    """What is sent comes out of descriptor `fd`."""

    def __init__(self, kind: str) -> None:
        if kind == "pipe":
            self.fd, self.into = os.pipe()
        else:
            family = socket.AF_UNIX
            here, there = socket.socketpair(family)
            self.fd, self.into = here.detach(), there.detach()

    def send(self, data: bytes) -> None:
        os.write(self.into, data)

    def end(self) -> None:
        os.close(self.into)
        self.into = -1

    def close(self) -> None:
        for each in (self.fd, self.into):
            if each >= 0:
                os.close(each)


@pytest.fixture(params=["socket", "pipe"])
def channel(request: pytest.FixtureRequest) -> "typing.Iterator[Channel]":
    each = Channel(request.param)
    yield each
    each.close()


def test_what_follows_the_line_stays(channel: Channel) -> None:
    channel.send(b"USER bob\r\nPASS x\r\nSTAT\r\nLI")

    assert b"USER bob\r\n" == line.read(channel.fd, 100, SECONDS)
    assert b"PASS x\r\n" == line.read(channel.fd, 100, SECONDS)
    assert b"STAT\r\nLI" == os.read(channel.fd, 100)


def test_line_may_come_in_pieces(channel: Channel) -> None:
    channel.send(b"US")
    thread = threading.Timer(0.05, lambda: channel.send(b"ER\nrest"))
    thread.start()

    assert b"USER\n" == line.read(channel.fd, 100, SECONDS)
    thread.join()
    assert b"rest" == os.read(channel.fd, 100)


def test_line_of_limit_passes(channel: Channel) -> None:
    channel.send(b"x" * 99 + b"\n")

    assert b"x" * 99 + b"\n" == line.read(channel.fd, 100, SECONDS)


def test_longer_line_is_refused(channel: Channel) -> None:
    channel.send(b"x" * 100 + b"\n")
    with pytest.raises(line.TooLong):
        line.read(channel.fd, 100, SECONDS)


@pytest.mark.parametrize("sent", [b"", b"PASS half"])
def test_end_before_the_end_of_the_line_is_no_line(channel: Channel, sent: bytes) -> None:
    channel.send(sent) if sent else None
    channel.end()
    with pytest.raises(line.Unfinished):
        line.read(channel.fd, 100, SECONDS)


def test_drop_by_drop_is_no_way_to_hold_a_process(channel: Channel) -> None:
    channel.send(b"x")
    with pytest.raises(TimeoutError):
        line.read(channel.fd, 100, 0.05)


def test_descriptor_stays_open(channel: Channel) -> None:
    before = os.listdir("/proc/self/fd")
    channel.send(b"\n")
    line.read(channel.fd, 100, SECONDS)

    assert before == os.listdir("/proc/self/fd")
