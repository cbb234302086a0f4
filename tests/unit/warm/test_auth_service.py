"""The auth service in this process, with a clock of our own: who guessed waits, and nobody else does."""

import os
import pathlib
import socket
import types

import pytest

from vqmail.logins import account, admission, authentication, guessing
from vqmail.unix import sockets
from vqmail.warm import auth_service

SECONDS = {b"guesser": 8, b"bob": 0}


class World:
    """The service; `compared` are the names whose password it had compared."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path / "socket"
        self.now = 1000.0
        self.compared: list[bytes] = []

    def start(self) -> None:
        """Begin to serve."""
        until, self._ours = os.pipe()
        self.service = auth_service.Service(sockets.listen(bytes(self.path), 0o600), until)

    def ask(self, name: bytes) -> socket.socket:
        """Ask about a password of `name`."""
        client = account.Client(b"192.0.2.1", b"", b"", b"", b"", account.SMTP, secured=True)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(os.fspath(self.path))
        sock.send(authentication.packed(authentication.Question(authentication.CHECK, name, b"x", b"", client)))
        self.service.turn()                     # lets it in
        self.service.turn()                     # hears it
        return sock


@pytest.fixture
def world(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setattr(auth_service.roles, "ids", lambda _role: (os.getuid(), os.getgid()))
    monkeypatch.setattr(auth_service.loop.Loop, "watch_signal", lambda *_: None)
    monkeypatch.setattr(auth_service, "time", types.SimpleNamespace(monotonic=lambda: made.now))
    monkeypatch.setattr(admission, "named", lambda name, _client: name)
    monkeypatch.setattr(guessing, "gate", lambda name, _address: guessing.Gate(SECONDS[name], 0))
    monkeypatch.setattr(auth_service.Service, "_ask", lambda _self, _one, question, _stage: made.compared.append(question.name))
    made.start()
    return made


def test_who_guessed_waits_to_the_second_and_nobody_else(world: World) -> None:
    guesser = world.ask(b"guesser")
    bob = world.ask(b"bob")
    assert world.compared == [b"bob"]
    world.now += 7.99
    world.service.turn()
    assert world.compared == [b"bob"]
    world.now += 0.01
    guesser.close()                             # so that there is something to turn for
    world.service.turn()
    assert world.compared == [b"bob", b"guesser"]
    bob.close()


def test_who_leaves_while_he_waits_is_not_looked_up(world: World) -> None:
    world.ask(b"guesser").close()
    world.service.turn()
    bob = world.ask(b"bob")
    world.now += 8
    bob.close()
    world.service.turn()
    assert world.compared == [b"bob"]
