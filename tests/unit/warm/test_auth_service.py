"""The auth service in this process, with a clock of our own: who guessed waits, and nobody else does."""

import os
import pathlib
import socket
import types
import typing

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

    def start(self, most: int = auth_service.CLIENTS) -> None:
        """Begin to serve."""
        until, self._ours = os.pipe()
        self.service = auth_service.Service(sockets.listen(bytes(self.path), 0o600), until, most)

    def ask(self, name: bytes, kind: bytes = authentication.CHECK, ip: bytes = b"192.0.2.1") -> socket.socket:
        """Ask about a password of `name`."""
        client = account.Client(ip, b"", b"", b"", b"", account.SMTP, secured=True)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.settimeout(60)
        sock.connect(os.fspath(self.path))
        packet = authentication.packed(authentication.Question(authentication.CHECK, name, b"x", b"", client))
        if kind == authentication.SCRAM:
            packet = b"\0".join((kind, *packet.split(b"\0")[4:])) + authentication.END + b"n,,n=bob,r=x"
        sock.send(packet)
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


class Busy:
    """A pool without a free process: each job waits, with its descriptors."""

    jobs: "typing.ClassVar[list[tuple[list[int], object]]]" = []

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def submit(self, _who: object, _packet: bytes, descriptors: "list[int]", done: object) -> None:
        self.jobs.append((descriptors, done))


class Exchange:
    """SCRAM of a user whose keys are to be made."""

    name, stored, seconds = b"bob", b"", 0

    def __init__(self, _client: object) -> None:
        pass

    def refusal(self, _message: bytes) -> None:
        return None


@pytest.mark.parametrize(("kind", "each"), [(authentication.CHECK, 2), (authentication.SCRAM, auth_service.FILES)])
def test_descriptors_of_an_attempt_that_waits(world: World, monkeypatch: pytest.MonkeyPatch, kind: bytes, each: int) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(auth_service.roles, "ids", lambda _role: (os.getuid(), os.getgid()))
    monkeypatch.setattr(auth_service.pool, "Pool", Busy)
    monkeypatch.setattr(auth_service.auth, "Scram", Exchange)
    monkeypatch.setattr(admission, "named", lambda name, _client: name)
    monkeypatch.setattr(guessing, "gate", lambda _name, _address: guessing.Gate(0, 0))
    monkeypatch.setattr(Busy, "jobs", [])
    before = len(os.listdir("/proc/self/fd"))
    callers = [world.ask(b"bob", kind) for _ in range(10)]

    assert len(os.listdir("/proc/self/fd")) - before == 10 * (1 + each), "one of each is the caller's"
    assert len(Busy.jobs) == 10
    for one in callers:
        one.close()
    for number in [number for numbers, _ in Busy.jobs for number in numbers]:
        os.close(number)


def test_over_the_limit_callers_are_told_at_once_and_let_in_when_another_is_gone(
        tmp_path: pathlib.Path, world: World, capfd: pytest.CaptureFixture[str]) -> None:
    world.path = tmp_path / "two"
    world.start(most=2)
    guessers = [world.ask(b"guesser") for _ in range(2)]
    late = world.ask(b"bob")

    with pytest.raises(ConnectionResetError):   # nobody has read what he asked
        late.recv(1000)
    assert capfd.readouterr().err == "auth: too many at once\n"
    guessers[0].close()
    world.service.turn()
    bob = world.ask(b"bob")
    assert world.compared == [b"bob"]
    for one in (*guessers, late, bob):
        one.close()


def test_over_the_limit_of_an_address_there_is_room_for_others(world: World) -> None:
    guessers = [world.ask(b"guesser") for _ in range(auth_service.EACH)]
    late = world.ask(b"bob")

    assert late.recv(1000) == b"111\0\0"
    assert world.compared == []
    guessers.append(world.ask(b"bob", ip=b"192.0.2.2"))
    assert world.compared == [b"bob"]
    guessers[0].close()
    world.service.turn()
    guessers.append(world.ask(b"bob"))
    assert world.compared == [b"bob", b"bob"]
    for one in (*guessers, late):
        one.close()
