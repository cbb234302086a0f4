"""Looking at a running system from outside: CPU seconds of its process trees, files arriving in Maildirs."""

import ctypes
import os
import pathlib
import struct
import time

TICK = os.sysconf("SC_CLK_TCK")
IN_CREATE, IN_MOVED_TO = 0x100, 0x80


def processes() -> "dict[int, tuple[int, float, float]]":
    """Every process: pid to (parent, own CPU seconds, CPU seconds of children it has reaped)."""
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                text = pathlib.Path("/proc", name, "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            field = text[text.rindex(")") + 2:].split()
            own, reaped = int(field[11]) + int(field[12]), int(field[13]) + int(field[14])
            table[int(name)] = int(field[1]), own / TICK, reaped / TICK
    return table


def tree(roots: "list[int]") -> "dict[int, tuple[int, float, float]]":
    """The processes of `processes` that are `roots` or descend from them."""
    table = processes()
    found = {pid for pid in roots if pid in table}
    grown = True
    while grown:
        more = {pid for pid, (parent, _, _) in table.items() if parent in found and pid not in found}
        found |= more
        grown = bool(more)
    return {pid: table[pid] for pid in found}


def cpu(roots: "list[int]") -> float:
    """CPU seconds of the trees below `roots`, ended children included."""
    return sum(own + reaped for _, own, reaped in tree(roots).values())


def quiet(roots: "list[int]", still: float = 0.3, limit: float = 5.0) -> float:
    """CPU seconds of the trees once they have not moved for `still` seconds (cleaning up counts), or after `limit`."""
    end = time.monotonic() + limit
    last, since = cpu(roots), time.monotonic()
    while time.monotonic() < end and time.monotonic() - since < still:
        time.sleep(0.05)
        now = cpu(roots)
        if now > last:
            last, since = now, time.monotonic()
    return last


def busy() -> float:
    """CPU seconds that the whole machine has spent on anything."""
    first = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return sum(int(first[each]) for each in (1, 2, 3, 6, 7)) / TICK      # user nice system irq softirq


def flushes(path: pathlib.Path) -> "tuple[int, float]":
    """How often the disk below `path` was flushed, and KiB written to it."""
    device = path.stat().st_dev
    field = pathlib.Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read_text().split()
    return int(field[15]), int(field[6]) / 2


def arrived(maildirs: "list[pathlib.Path]") -> int:
    """How many files are in new/ of all `maildirs`."""
    return sum(len(os.listdir(each / "new")) for each in maildirs)


def await_arrival(maildirs: "list[pathlib.Path]", count: int, patience: float = 30.0) -> float:
    """When (monotonic) `count` files were there; gives up when none came for `patience` seconds."""
    before, since = -1, time.monotonic()
    while True:
        now = arrived(maildirs)
        if now >= count:
            return time.monotonic()
        if now != before:
            before, since = now, time.monotonic()
        elif time.monotonic() - since > patience:
            raise SystemExit(f"lost mail: {now} of {count} messages arrived")
        time.sleep(0.004)


def numbers(maildirs: "list[pathlib.Path]") -> "list[int]":
    """The X-Bench numbers of all delivered messages, sorted."""
    found = []
    for each in maildirs:
        for path in (each / "new").iterdir():
            with path.open("rb") as file:
                head = file.read(4096)
            found.append(int(head.split(b"\nX-Bench: ", 1)[1].split(b"\n", 1)[0]))
    return sorted(found)


def empty(maildirs: "list[pathlib.Path]") -> None:
    """Remove every message."""
    for each in maildirs:
        for part in ("new", "cur", "tmp"):
            for path in (each / part).iterdir():
                path.unlink()


class Watch:
    """Waits for a file to appear in one of several directories (inotify, so that waiting costs nothing)."""

    def __init__(self, folders: "list[pathlib.Path]") -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._handle = libc.inotify_init1(0)
        for folder in folders:
            if libc.inotify_add_watch(self._handle, os.fsencode(folder), IN_CREATE | IN_MOVED_TO) < 0:
                raise OSError(ctypes.get_errno(), "inotify_add_watch")

    def wait(self) -> float:
        """When (monotonic) the next file was there."""
        data = os.read(self._handle, 4096)
        now = time.monotonic()
        if struct.calcsize("iIII") > len(data):
            raise SystemExit("inotify gave less than one event")
        return now

    def close(self) -> None:
        os.close(self._handle)
