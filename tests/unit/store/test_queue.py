"""Which syncs put a batch on the disk: one for all, or one for each file when others write a lot."""

import os
import pathlib

import pytest

from vqmail.store import queue
from vqmail.unix import durable


class Whole:
    """A file system to be synced at once."""

    def __init__(self, *, busy: bool) -> None:
        self.busy = busy
        self.synced = 0

    def sync(self) -> None:
        self.synced += 1


@pytest.fixture
def sealed(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> "list[int]":
    """A queue; the descriptors that were synced one by one."""
    for name in ("pid", "intd", "todo", "lock", *(f"mess/{part}" for part in range(queue.SPLIT))):
        (tmp_path / name).mkdir(parents=True)
    for name, path in (("QUEUE", ""), ("PID", "/pid"), ("INTD", "/intd"), ("TODO", "/todo"), ("MESS", "/mess"),
                       ("TRIGGER", "/lock/trigger")):
        monkeypatch.setattr(queue, name, os.fsencode(tmp_path) + path.encode())
    found: list[int] = []
    seal = durable.Draft.seal
    monkeypatch.setattr(durable.Draft, "seal", lambda self: (found.append(1), seal(self))[1])
    return found


def entries(count: int) -> "list[queue.Entry]":
    made = []
    for number in range(count):
        entry = queue.Entry(0, b"by uid 0", number, 1_700_000_000)
        entry.write(b"hi\n")
        entry.envelope(b"s@x", [b"r@x"])
        made.append(entry)
    return made


@pytest.mark.parametrize(("count", "busy", "together", "alone"), [
    (3, False, 1, 0),
    (1, False, 1, 0),
    (3, True, 0, 6),                            # message and envelope of each
])
def test_who_is_synced_how(sealed: "list[int]", tmp_path: pathlib.Path, count: int, busy: bool, together: int,
                           alone: int) -> None:
    whole = Whole(busy=busy)
    outcome = queue.commit(entries(count), whole)

    assert [refused for _, refused in outcome] == [None] * count
    assert (whole.synced, len(sealed)) == (together, alone)
    assert len(list((tmp_path / "todo").iterdir())) == count
