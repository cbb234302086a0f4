"""The virtmailfilter service in this process: what goes wrong with one caller is his alone."""

import os
import pathlib
import socket

import pytest

from vqmail.store import desk
from vqmail.unix import sockets
from vqmail.warm import filter_service

CALL = b"1\x000,1,2\0virtmailfilter\0EXT=bob\0HOST=d.test"


class World:
    """The service, a home that was there a moment ago, and who calls."""

    def __init__(self, path: pathlib.Path, most: int = 10) -> None:
        self.path = path / "socket"
        self.home = path / "gone"
        until, self._ours = os.pipe()
        self.service = filter_service.Service(sockets.listen(bytes(self.path), 0o600), until, 1, most)

    def plan(self, *_: object) -> desk.Plan:
        return desk.Plan(os.getuid(), os.getgid(), bytes(self.home), [b"virtmaildelivery"], {})

    def call(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.settimeout(60)
        sock.connect(os.fspath(self.path))
        return sock

    def ask(self, sock: socket.socket) -> None:
        with open(os.devnull, "rb") as null:
            socket.send_fds(sock, [CALL], [null.fileno()] * 3)


@pytest.fixture
def world(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(filter_service.loop.Loop, "watch_signal", lambda *_: None)
    made = World(tmp_path, most=2)
    monkeypatch.setattr(desk.Desk, "plan", made.plan)
    return made


def test_a_home_that_went_away_meanwhile_is_trouble_for_one(world: World) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        sock = world.call()
        world.ask(sock)
        world.service.turn()                    # lets it in
        world.service.turn()                    # hears it

        assert sock.recv(1000) == b"111 cannot go to %s: No such file or directory" % bytes(world.home)
        sock.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_over_the_limit_callers_wait_until_another_is_done(world: World) -> None:
    callers = [world.call() for _ in range(3)]
    world.service.turn()
    for each in callers:
        world.ask(each)
    for each in callers:
        each.setblocking(False)
    world.service.turn()                        # hears the first two, which makes room

    assert [callers[0].recv(4), callers[1].recv(4)] == [b"111 "] * 2
    with pytest.raises(BlockingIOError):
        callers[2].recv(4)
    world.service.turn()
    world.service.turn()
    assert callers[2].recv(4) == b"111 "
    for each in callers:
        each.close()
