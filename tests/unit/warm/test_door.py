"""The door of a local service, in this process."""

import errno
import os
import pathlib
import socket

import pytest

from vqmail.unix import loop, sockets
from vqmail.warm import door


class World:
    """A door with room for two, and who came in."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path / "socket"
        self.inside: list[socket.socket] = []
        self.uids: list[int] = []
        self.loop = loop.Loop()
        until, self.ours = os.pipe()
        self.door = door.Door(self.loop, sockets.listen(bytes(self.path), 0o600), until, self.enter)

    def enter(self, sock: socket.socket, uid: int) -> bool:
        self.inside.append(sock)
        self.uids.append(uid)
        return len(self.inside) < 2

    def call(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(os.fspath(self.path))
        return sock


@pytest.fixture
def world(tmp_path: pathlib.Path) -> World:
    return World(tmp_path)


def test_who_calls_is_let_in_by_his_uid(world: World) -> None:
    _one = world.call()
    world.loop.turn(0)
    assert world.uids == [os.getuid()]
    assert world.door.open


def test_without_room_callers_wait_outside_and_nobody_turns_in_vain(world: World) -> None:
    _calls = [world.call() for _ in range(3)]
    world.loop.turn(0)
    assert len(world.inside) == 2
    assert not world.loop.turn(0)
    world.inside.pop(0).close()
    world.door.room()
    assert world.loop.turn(0)
    assert len(world.inside) == 2


def test_room_may_be_told_although_there_was_some(world: World) -> None:
    world.door.room()
    _one = world.call()
    world.loop.turn(0)
    assert len(world.inside) == 1


def test_who_stands_at_the_door_when_it_is_closed_is_let_in(world: World) -> None:
    _one = world.call()
    world.door.close()
    assert len(world.inside) == 1
    assert not world.door.open
    with pytest.raises(ConnectionRefusedError):
        world.call()


def test_a_full_service_lets_nobody_in_at_the_end(world: World) -> None:
    _calls = [world.call() for _ in range(3)]
    world.loop.turn(0)
    world.door.close()
    assert len(world.inside) == 2


def test_the_end_of_the_pipe_closes_it(world: World) -> None:
    os.close(world.ours)
    world.loop.turn(0)
    assert not world.door.open
    world.door.close()
    world.door.room()
    assert not world.loop.turn(0)


def test_without_descriptors_it_is_tried_again_and_told_once(
        world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def none_left(_: socket.socket) -> socket.socket:
        raise OSError(errno.ENFILE, "Too many open files in system")

    _one = world.call()
    pauses: list[float] = []
    with monkeypatch.context() as during:
        during.setattr(door.sockets, "accept", none_left)
        during.setattr(door.timed, "pause", pauses.append)
        world.loop.turn(0)
        world.loop.turn(0)
    assert capfd.readouterr().err == "vq-service: cannot let a caller in: Too many open files in system\n"
    assert pauses == [0.1, 0.1]
    world.loop.turn(0)
    assert len(world.inside) == 1
