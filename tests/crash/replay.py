"""What a power cut may leave: every state of the disk that a recording allows.

After each call the power may fail.  What was synced by then is there, and of the rest any part that the model of the
file system allows:

    posix   a file's data and size are kept by fsync of the file, a name by fsync of its directory, both by syncfs.
            Of all else any subset: a name without its data, a size without its data, data without its name.
    ext4    the same for data; but names change in the order of the calls, and any sync keeps all names before it.

Taken for granted: the disk obeys flushes, an fsync that returned 0 did it, a page and a rename are atomic.  Not
modelled: owner, mode and times, mmap, two file systems.
"""

import dataclasses
import itertools
import pathlib
import random
import typing

from crash.recording import Call, Recording

MODELS = ("posix", "ext4")
SUBSETS = 96                    # of the calls that are not synced, tried at random at each point if there are more


@dataclasses.dataclass
class Disk:
    """What is there after a power cut: `files` by their paths, what had been `said`, and which calls are `lost`."""

    files: "dict[str, bytes]"
    said: "list[str]"
    lost: "list[str]"

    def within(self, folder: str) -> "dict[str, bytes]":
        """The files anywhere below `folder`, by their last names."""
        return {pathlib.PurePath(path).name: data for path, data in self.files.items() if path.startswith(folder + "/")}


def violations(recording: Recording, check: "typing.Callable[[Disk], str | None]") -> "list[str]":
    """What `check` has to say against the states, with the calls that are lost in them."""
    found = []
    for model in MODELS:
        for disk in states(recording, model):
            wrong = check(disk)
            if wrong:
                found.append(f"{model}: {wrong}; not on the disk: {', '.join(disk.lost)}")
    return found


def states(recording: Recording, model: str) -> "typing.Iterator[Disk]":
    """Each different state once, for each thing that had been said."""
    kept_from = _kept_from(recording.calls, model)
    chance = random.Random(20)  # noqa: S311  the same states in every run
    seen = set()
    for cut, call in enumerate([*recording.calls, Call("said", "the end")]):
        if call.kind not in ("sync", "said"):   # the states before any other call are among those after it
            continue
        said = [each.text for each in recording.calls[:cut] if each.kind == "said"]
        free = [place for place in range(cut)
                if kept_from[place] > cut and recording.calls[place].kind not in ("sync", "said")]
        for lost in _losses(recording.calls, free, model, chance):
            files = _build(recording, cut, lost)
            key = len(said), frozenset(files.items())
            if key not in seen:
                seen.add(key)
                yield Disk(files, said, [recording.calls[place].text for place in sorted(lost)])


def _kept_from(calls: "list[Call]", model: str) -> "list[int]":
    """For each call, after how many of them it is certainly on the disk."""
    never = len(calls) + 1
    kept = [never] * len(calls)
    for place, call in enumerate(calls):
        if call.kind != "names":
            needed = [lambda sync, call=call: sync.inode in (0, call.inode)]
        elif model == "ext4":
            needed = [lambda sync: True]
        else:
            folders = {path.rpartition("/")[0] for path, _ in call.names}
            needed = [lambda sync, each=each: sync.inode == 0 or sync.directory == each for each in folders]
        kept[place] = max(next((at + 1 for at in range(place + 1, len(calls)) if calls[at].kind == "sync"
                                and place < calls[at].covers and test(calls[at])), never) for test in needed)
    return kept


def _losses(calls: "list[Call]", free: "list[int]", model: str,
            chance: random.Random) -> "typing.Iterator[frozenset[int]]":
    """Which of the `free` calls may be lost together."""
    ordered = [place for place in free if model == "ext4" and calls[place].kind == "names"]
    loose = [place for place in free if place not in ordered]
    tails = [ordered[place:] for place in range(len(ordered) + 1)]
    if len(tails) << len(loose) <= SUBSETS:
        subsets = [set(each) for size in range(len(loose) + 1) for each in itertools.combinations(loose, size)]
    else:
        subsets = [set(), set(loose), *({each} for each in loose), *(set(loose) - {each} for each in loose),
                   *(set(loose[place:]) for place in range(len(loose))),
                   *({each for each in loose if chance.random() < odds}
                     for odds in (0.2, 0.5, 0.8) for _ in range(SUBSETS // 3))]
        if len(tails) * len(subsets) > 8 * SUBSETS:
            for each in subsets:
                yield frozenset(each).union(chance.choice(tails))
            subsets = [set(), set(loose)]
    for each, tail in itertools.product(subsets, tails):
        yield frozenset(each).union(tail)


def _build(recording: Recording, cut: int, lost: "frozenset[int]") -> "dict[str, bytes]":
    names = dict(recording.names)
    contents: dict[int, bytearray] = {}
    for place, call in enumerate(recording.calls[:cut]):
        if place in lost or call.kind in ("sync", "said"):
            continue
        if call.kind == "names":
            for path, inode in call.names:
                if inode is None:
                    names.pop(path, None)
                else:
                    names[path] = inode
            continue
        content = contents.setdefault(call.inode, bytearray(recording.files[call.inode]))
        if call.kind == "cut":
            del content[call.at:]
        content.extend(bytes(max(call.at - len(content), 0)))
        if call.kind == "data":
            content[call.at:call.at + len(call.data)] = call.data
    return {path: bytes(contents.get(inode, recording.files[inode])) for path, inode in names.items()
            if inode in recording.files and _reachable(path, names)}


def _reachable(path: str, names: "dict[str, int]") -> bool:
    while path:
        path = path.rpartition("/")[0]
        if path not in names:
            return False
    return True
