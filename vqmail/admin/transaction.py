"""A change to settings: many files, done entirely or not at all, by one administrator at a time.

    with transaction.Transaction() as t:
        text = t.read(path)
        t.write(path, changed(text))
        t.compile(b"example.com")
        t.commit()

Nothing is changed before commit(), which writes the journal (store/journal) and carries it out.  A step is refused
where it is asked for, not when half of the others are done.
"""

import errno
import os
import stat

from vqmail import codes
from vqmail.admin import disk, patience, room
from vqmail.formats import assign, journal
from vqmail.store import compiled
from vqmail.store import journal as changes
from vqmail.unix import calls, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from vqmail.formats.journal import Step

MODE = 0o644


class Already(codes.GiveUp):
    """What was asked for is so already; nothing was changed."""


class Transaction:
    """The changes to be made; holds the lock from its beginning to its end."""

    def __init__(self) -> None:
        self.recovered = False                  # whether there was something left to be done
        self.memory: dict[bytes, object] = {}   # what others made of texts that this change has read or written
        self._lock = -1
        self._steps: list[Step] = []
        self._compile: list[bytes] = []
        self._hosts = False
        self._reload = False

    def __enter__(self) -> "Transaction":
        self._lock = changes.take_lock()
        try:
            self.recovered = changes.recover()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, kind: "type[BaseException] | None", error: "BaseException | None",
                 trace: "TracebackType | None") -> None:
        self._close()

    # looking

    def read(self, path: bytes) -> "bytes | None":
        """The content of the file as it will be; None if it is, or will be, absent.  TryLater on trouble."""
        path = disk.real(path)
        step, path = self._last(path)
        if step is not None:
            if step[0] == journal.WRITE:
                return step[5]
            if step[0] in (journal.REMOVE, journal.TREE, journal.MOVE):
                return None
            raise codes.TryLater("%s is not a file" % log.shown(path))
        return disk.read(path)

    def kind(self, path: bytes) -> "str | None":
        """What will be there: file, directory, link, other; None if nothing."""
        path = disk.real(path)
        step, path = self._last(path)
        if step is not None:
            return {journal.WRITE: "file", journal.DIRECTORY: "directory", journal.LINK: "link"}.get(step[0])
        return disk.kind(path)

    def names(self, path: bytes) -> "list[bytes]":
        """The names in the directory `path` as it is on the disk, before this change; none if it is absent."""
        return disk.names(path)

    # changing

    def write(self, path: bytes, text: bytes, mode: "int | None" = None,
              owner: "tuple[int, int] | None" = None) -> None:
        """Make `path` a file with `text`.  Without mode and owner it keeps those it has; a new one is 0644 and ours."""
        path = disk.real(path)
        if mode is None or owner is None:
            before = self._like(path)
            mode, owner = before[0] if mode is None else mode, owner or before[1]
        self._add(journal.WRITE, path, b"%o" % mode, *_owner(owner), text)

    def remove(self, path: bytes) -> None:
        """Take away a file, a link, or a directory that is empty by then; absent is fine."""
        self._add(journal.REMOVE, disk.real(path))

    def make_directory(self, path: bytes, mode: int, owner: "tuple[int, int]") -> None:
        """Make a directory, which must not be there; what it lies in must be there, or be made by this change."""
        self._free(disk.real(path))
        self._add(journal.DIRECTORY, disk.real(path), b"%o" % mode, *_owner(owner))

    def link(self, target: bytes, path: bytes) -> None:
        """Make the symbolic link `path`, which takes the place of another link, to `target`."""
        path = disk.real(path)
        if self.kind(path) not in (None, "link"):
            raise codes.GiveUp("%s is there already, and no link" % log.shown(path))
        self._add(journal.LINK, path, target)

    def move(self, old: bytes, new: bytes) -> None:
        """Give the file or directory `old`, which this change has not touched, the free name `new`."""
        old, new = disk.real(old), disk.real(new)
        self._free(new)
        if any(each.startswith(old + b"/") or each == old for step in self._steps for each in step[1:2]):
            raise ValueError("%s was changed already and cannot be moved in the same change" % log.shown(old))
        try:
            with changes.place(old) as at:
                inode, device = changes.inode(at), calls.lstat(at.path).st_dev
            if device != os.stat(room.nearest(os.path.dirname(new))).st_dev:
                raise OSError(errno.EXDEV, "it is on a file system of its own; move it by hand")
        except OSError as error:
            raise codes.GiveUp("cannot move %s: %s" % (log.shown(old), error.strerror)) from None
        self._add(journal.MOVE, old, new, b"%d" % inode)

    def remove_tree(self, path: bytes) -> None:
        """Remove a directory, which must be in a trash, and all that is in it."""
        if b"/.trash/" not in path:
            raise ValueError("%s is in no trash" % log.shown(path))
        self._add(journal.TREE, path)

    def compile(self, domain: "bytes | None" = None) -> None:
        """Afterwards compile the users of `domain`, or users/assign."""
        if (domain or b"") not in self._compile:
            self._compile.append(domain or b"")

    def compile_hosts(self) -> None:
        """Afterwards compile control/morercpthosts."""
        self._hosts = True

    def reload(self) -> None:
        """Afterwards have vq-send read its control files again, if it runs."""
        self._reload = True

    def commit(self) -> None:
        """Do it all.  TryLater says what was not done; if it says nothing else, nothing was changed."""
        if not self._steps and not self._compile:
            return
        if b"" in self._compile:
            self._check_assign()
        steps = self._steps + [(journal.COMPILE, each) for each in self._compile]
        if self._hosts:
            steps.append((journal.HOSTS,))
        if self._reload:
            steps.append((journal.RELOAD,))
        room.check(steps, self._compile)
        self._steps, self._compile = [], []
        with patience.undisturbed():
            passed = changes.commit(steps)
        if passed:
            raise codes.TryLater("; ".join(passed))

    def _add(self, kind: bytes, path: bytes, *words: bytes) -> None:
        if kind == journal.WRITE:               # of two texts of one file the last counts, at the first one's place
            for number, step in enumerate(self._steps):
                if step[:2] == (kind, path) and not any(each[1] == path or each[0] == journal.MOVE
                                                        for each in self._steps[number + 1:]):
                    self._steps[number] = (kind, path, *words)
                    return
        self._steps.append((kind, path, *words))

    def _last(self, path: bytes) -> "tuple[Step | None, bytes]":
        """(the step that decides what `path` will be, its path on the disk until then)."""
        for step in reversed(self._steps):
            if step[1] == path or (path.startswith(step[1] + b"/")
                                   and step[0] in (journal.MOVE, journal.TREE)):
                return step, path
            if step[0] == journal.MOVE and (path == step[2] or path.startswith(step[2] + b"/")):
                path = step[1] + path[len(step[2]):]
        return None, path

    def _like(self, path: bytes) -> "tuple[int, tuple[int, int] | None]":
        """(mode, owner) of the file that will be there; of a new one if there will be none."""
        step, path = self._last(path)
        if step is not None:
            kept = step[0] == journal.WRITE and step[3] != b"-"
            return int(step[2], 8) if step[0] == journal.WRITE else MODE, (int(step[3]), int(step[4])) if kept else None
        try:
            with changes.place(path) as at:
                found = calls.lstat(at.path)
        except FileNotFoundError:
            return MODE, None
        except OSError as error:
            raise codes.TryLater("cannot look at %s: %s" % (log.shown(path), error.strerror)) from None
        if not stat.S_ISREG(found.st_mode):
            return MODE, None
        # no set-uid bit: in a domain the old file may be of its owner's making
        return found.st_mode & 0o777, (found.st_uid, found.st_gid)

    def _free(self, path: bytes) -> None:
        if self.kind(path) is not None:
            raise Already("%s is there already" % log.shown(path))

    def _check_assign(self) -> None:
        """A users/assign that cannot be compiled must not become one that is half changed."""
        text = self.read(compiled.ASSIGN)
        try:
            for _ in assign.records((text or b"").split(b"\n")):
                pass
        except ValueError as error:
            raise codes.GiveUp("nothing was changed: users/assign: %s" % error) from None

    def _close(self) -> None:
        number, self._lock = self._lock, -1
        if number >= 0:
            calls.close(number)


def do_all(steps: "Iterable[Callable[[], None]]") -> None:
    """Do each of these, which may be done already.  Already, in the words of the last, if all of them are."""
    already = Already("there is nothing to be changed")
    changed = False
    for step in steps:
        try:
            step()
            changed = True
        except Already as error:
            already = error
    if not changed:
        raise already


def recover() -> bool:
    """Complete what was left by a command that was killed, if anything was."""
    with Transaction() as t:
        return t.recovered


def _owner(owner: "tuple[int, int] | None") -> "tuple[bytes, bytes]":
    return (b"-", b"-") if owner is None else (b"%d" % owner[0], b"%d" % owner[1])
