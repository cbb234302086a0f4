"""What vq-send makes of a queue that a power cut left: everything it finds is tried, and succeeds."""

import os
import pathlib

import pytest

from vqmail.dispatch import scheduler
from vqmail.store import queue

LATE = 100_000                  # seconds after now, when all is due
FLAT = ("pid", "intd", "todo", "bounce", "lock")
SPLIT = ("mess", "info", "local", "remote")


class Rules:
    """Everything at here.test is local; the rest is remote."""

    def rewrite(self, address: bytes) -> "tuple[int, bytes]":
        return (0 if address.endswith(b"@here.test") else 1), address

    def strip_prefix(self, address: bytes) -> bytes:
        return address


class Spawner:
    """Takes deliveries, and the messages' texts as they are then."""

    def __init__(self, delivered: "list[tuple[bytes, bytes]]") -> None:
        self.limit = 10
        self.waiting: list[object] = []
        self._delivered = delivered

    @property
    def running(self) -> int:
        return len(self.waiting)

    def free(self) -> bool:
        return self.running < self.limit

    def start(self, message: bytes, _sender: bytes, recipient: bytes, done: object) -> None:
        self._delivered.append((recipient, pathlib.Path(os.fsdecode(queue.MESS + b"/" + message)).read_bytes()))
        self.waiting.append(done)


class Cleaner:
    """Removes what it is asked to."""

    def ask(self, request: bytes, done: object) -> None:
        number = int(request[5:])
        queue.remove(queue.split(b"mess", number) if request[:4] == b"foop" else queue.TODO + b"/%d" % number)
        done(True)  # type: ignore[operator]

    def idle(self) -> bool:
        return True


class Bouncer:
    """Sends bounces to nobody, and keeps them."""

    def __init__(self, sent: "list[bytes]") -> None:
        self._sent = sent

    def add(self, number: int, recipient: bytes, report: bytes) -> None:
        raise AssertionError("nothing fails here")

    def send(self, number: int, _sender: bytes, _birth: int) -> "list[bytes]":
        path = pathlib.Path(os.fsdecode(queue.BOUNCE)) / str(number)
        if path.exists():
            self._sent.append(path.read_bytes())
            path.unlink()
        return []


class Ground:
    """A queue directory in which one state after the other is put."""

    def __init__(self, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        monkeypatch.setattr(queue, "QUEUE", os.fsencode(path))
        for name in ("PID", "INTD", "TODO", "MESS", "BOUNCE"):
            monkeypatch.setattr(queue, name, os.fsencode(path / name.lower()))
        for folder in (*FLAT, *(f"{part}/{number}" for part in SPLIT for number in range(queue.SPLIT))):
            (path / folder).mkdir(parents=True)
        self._there: set[str] = set()           # files of the state before this one

    def recover(self, files: "dict[str, bytes]", now: int) -> "tuple[list[tuple[bytes, bytes]], list[bytes], list[str]]":
        """(recipient, message) of each delivery, the bounces, and what is left in the queue besides mess/."""
        for path in self._there:
            (self.path / path).unlink(missing_ok=True)
        self._there = set(files)
        for path, data in files.items():
            (self.path / path).write_bytes(data)
        delivered: list[tuple[bytes, bytes]] = []
        bounces: list[bytes] = []
        spawners = [Spawner(delivered), Spawner(delivered)]
        it = scheduler.Scheduler(Rules(), spawners, Cleaner(), Bouncer(bounces), 10 * LATE)  # type: ignore[arg-type]
        it.start(now + LATE)
        while True:
            it.look()
            it.run(now + LATE)
            waiting = [done for each in spawners for done in each.waiting]
            if not waiting:
                break
            for each in spawners:
                each.waiting.clear()
            for done in waiting:
                done(b"K")  # type: ignore[operator]
        left = [path for path in self._there if not path.startswith("mess") and (self.path / path).exists()]
        return delivered, bounces, left
