"""The scheduler of vq-send on a real queue directory, with spawners, cleaner and bouncer played by the test."""

import os
import pathlib

import pytest

from vqmail.dispatch import scheduler
from vqmail.formats import bounce
from vqmail.store import queue

BIRTH = 1_800_000_000


class Spawner:
    """Takes deliveries and waits for the test to say how they went."""

    def __init__(self, limit: int = 10) -> None:
        self.limit = limit
        self.started: list[tuple[bytes, bytes, bytes]] = []
        self.waiting: list[object] = []

    @property
    def running(self) -> int:
        return len(self.waiting)

    def free(self) -> bool:
        return self.running < self.limit

    def start(self, message, sender, recipient, done) -> None:
        self.started.append((message, sender, recipient))
        self.waiting.append(done)

    def answer(self, *texts: bytes) -> None:
        """The oldest deliveries end so."""
        for text in texts:
            self.waiting.pop(0)(text)


class Cleaner:
    """Removes what it is asked to, or says it cannot."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.able = True

    def ask(self, request: bytes, done) -> None:
        self.asked.append(request)
        number = int(request[5:])
        if self.able:
            queue.remove(queue.split(b"mess", number) if request[:4] == b"foop" else queue.TODO + b"/%d" % number)
        done(self.able)

    def idle(self) -> bool:
        return True


class Rules:
    """Everything at here.test is local, with a prefix; the rest is remote."""

    def rewrite(self, address: bytes):
        return (0, b"p-" + address) if address.endswith(b"@here.test") else (1, address)

    def strip_prefix(self, address: bytes) -> bytes:
        return address.removeprefix(b"p-")


class Bouncer:
    """Keeps paragraphs in the real queue; notes what it would send."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, bytes, bytes]] = []
        self.told: list[tuple[int, bytes, int, list[tuple[bytes, bytes]]]] = []
        self.able = True
        self.wanted = True

    def add(self, number: int, recipient: bytes, report: bytes) -> None:
        queue.add_bounce(number, bounce.paragraph(recipient, report))

    def send(self, number: int, sender: bytes, birth: int) -> "list[bytes]":
        path = pathlib.Path(os.fsdecode(queue.BOUNCE)) / str(number)
        if not path.exists():
            return []
        if not self.able:
            raise OSError(5, "queue down")

        assert birth == BIRTH

        self.sent.append((number, sender, path.read_bytes()))
        queue.remove_bounce(number)
        return [b"bounce msg %d qp 1\n" % number]

    def delay(self, number: int, sender: bytes, birth: int, until: int, waiting) -> "list[bytes]":
        if not self.able:
            raise OSError(5, "queue down")

        assert birth == BIRTH

        self.told.append((number, sender, until, waiting))
        return [b"delay msg %d qp 1\n" % number] if self.wanted else []


class World:
    """A queue and a scheduler on it."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.now = BIRTH
        self.patience = 0
        self.restart()

    def restart(self, limit: int = 10) -> None:
        self.local, self.remote, self.cleaner, self.bouncer = Spawner(limit), Spawner(limit), Cleaner(), Bouncer()
        self.it = scheduler.Scheduler(Rules(), [self.local, self.remote], self.cleaner, self.bouncer, 604_800,
                                      self.patience)
        self.it.start(self.now)
        self.look()

    def look(self) -> None:
        self.it.look()
        self.it.run(self.now)

    def enter(self, sender: bytes, *recipients: bytes) -> int:
        """Queue a message that was born at BIRTH; its number."""
        entry = queue.Entry(7, b"by uid 7", 99, BIRTH)
        entry.write(b"Subject: x\n\nbody\n")
        entry.envelope(sender, recipients)
        (_, refused), = queue.commit([entry], None)

        assert refused is None
        os.utime(queue.TODO + b"/%d" % entry.number, (BIRTH, BIRTH))
        return entry.number

    def path_of(self, number: int) -> bool:
        """Whether mess/N is there."""
        return os.path.exists(queue.split(b"mess", number))

    def week(self) -> "tuple[list[int], list[int]]":
        """Everybody is deferred until the queue is empty; the ages at which local and remote attempts were made."""
        ages: tuple[list[int], list[int]] = ([], [])
        while self.files():
            self.look()
            for seen, spawner in zip(ages, (self.local, self.remote), strict=True):
                if spawner.waiting:
                    seen.append(self.now - BIRTH)
                    spawner.answer(*[b"Zno (#4.2.2)\n"] * len(spawner.waiting))
            wait = self.it.run(self.now)
            self.now += int(wait) if wait else 1
        return ages

    def files(self) -> "dict[str, bytes]":
        """What is in the queue besides mess/."""
        return {str(each.relative_to(self.path)).replace(str(int(each.name)), "N"): each.read_bytes()
                for part in ("todo", "intd", "info", "local", "remote", "bounce")
                for each in (self.path / part).rglob("*") if each.is_file()}

    def lines(self) -> "list[str]":
        """The log since the last look at it, without status lines."""
        return [each.decode().rstrip("\n") for each in self.it.log.take() if not each.startswith(b"status")]


@pytest.fixture
def world(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> World:
    root = str(tmp_path).encode()
    monkeypatch.setattr(queue, "QUEUE", root)
    for name in ("PID", "INTD", "TODO", "MESS", "BOUNCE"):
        monkeypatch.setattr(queue, name, root + b"/" + name.lower().encode())
        (tmp_path / name.lower()).mkdir()
    monkeypatch.setattr(queue, "TRIGGER", root + b"/trigger")
    for part in ("mess", "info", "local", "remote"):
        for number in range(23):
            (tmp_path / part / str(number)).mkdir(parents=True, exist_ok=True)
    return World(tmp_path)
