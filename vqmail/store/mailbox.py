"""A maildir as a POP3 session sees it: messages in the order of their arrival, and what is done with them at the end.

No message is opened before it is asked for: vq-local, and others, write the sizes into the names.  Messages go by
their index; each is known by the part of its name that stays whatever other programs make of its flags.
"""

import errno
import stat

from vqmail.formats import maildirname, wire
from vqmail.formats import quota as quotas
from vqmail.store import quota
from vqmail.unix import calls, durable, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

OLD = 36 * 3600                 # a file in tmp/ that nobody touched for so long belongs to nobody
NEW, CUR = b"new/", b"cur/"
ATTEMPTS = 3                    # a reader may rename a message between our look and our hand
READING = calls.O_RDONLY | calls.O_CLOEXEC | calls.O_NONBLOCK       # a FIFO must not hold us


class Mailbox:
    """The maildir at `path`, as it is now.  OSError if it is none."""

    def __init__(self, path: bytes) -> None:
        self._path = path.rstrip(b"/") + b"/"
        self._files = self._list()
        self._names = sorted(self._files, key=maildirname.order)
        self._octets: dict[int, int] = {}
        self._gone: set[bytes] = set()
        self.count = len(self._names)

    def unique_id(self, index: int) -> bytes:
        """What UIDL says of the message."""
        return maildirname.unique_id(self._names[index])

    def octets(self, index: int) -> int:
        """How long the message is over the line; 0 if it cannot be read (any more)."""
        known = self._octets.get(index)
        if known is None:
            told = maildirname.octets(self._names[index])
            known = self._octets[index] = self._counted(index) if told is None else told
        return known

    def open(self, index: int) -> int:
        """A descriptor of the message.  FileNotFoundError if another session took it; OSError."""
        number = self._try(index, lambda path: calls.open(path, READING))
        if not stat.S_ISREG(calls.fstat(number).st_mode):
            calls.close(number)
            raise OSError(errno.EINVAL, "not a file")
        return number

    def finish(self, deleted: "Collection[int]") -> "list[OSError]":
        """Remove the messages `deleted` and note that the others were seen.  What could not be removed, and why.

        Returns when no power cut brings a removed message back.
        """
        failures = []
        changed = set()
        gone: list[tuple[bytes, int]] = []
        for index in sorted(deleted):
            try:
                size = self._size(index)
                self._try(index, calls.unlink)
            except FileNotFoundError:
                continue                        # somebody else did what we were asked to do
            except OSError as error:
                failures.append(error)
            else:
                path = self._files[self._names[index]]
                changed.add(path[:len(NEW)])
                gone.append((path[len(NEW):], size))
        try:
            quota.note_removed(self._path, gone)
        except OSError as error:
            failures.append(error)
        for folder in changed:
            try:
                durable.sync_dir(self._path + folder)
            except OSError as error:
                failures.append(error)
        for index, name in enumerate(self._names):
            if index not in deleted and self._files[name].startswith(NEW):
                self._see(self._files[name])
        return failures

    def clean(self, now: float) -> None:
        """Remove what crashes left in tmp/."""
        try:
            names = calls.listdir(self._path + b"tmp")
        except OSError:
            return                              # it is only about cleaning
        for name in names:
            path = self._path + b"tmp/" + name
            try:
                found = calls.lstat(path)
                if max(found.st_atime, found.st_mtime) < now - OLD:
                    calls.unlink(path)
            except OSError:
                continue

    def _list(self) -> "dict[bytes, bytes]":
        """Where each message is, by the part of its name that stays."""
        found = {}
        for folder in (NEW, CUR):               # in this order: what moves meanwhile is seen, and counted once
            for name in calls.listdir(self._path + folder):
                if not name.startswith(b"."):
                    found[maildirname.unique(name)] = folder + name
        return found

    def _try(self, index: int, call: "Callable[[bytes], int | None]") -> int:
        """Do `call` to the message's path, wherever it is by now.  FileNotFoundError if it is nowhere."""
        name = self._names[index]
        for _ in range(ATTEMPTS):
            if name in self._gone:
                break
            try:
                return call(self._path + self._files[name]) or 0
            except FileNotFoundError:
                self._look_again()
        self._gone.add(name)
        raise FileNotFoundError(errno.ENOENT, "another session took it")

    def _look_again(self) -> None:
        """Another program renamed a message, and perhaps many more: learn where all of them are."""
        there = self._list()
        for each in self._files:
            self._files[each] = there.get(each, self._files[each])

    def _counted(self, index: int) -> int:
        count = wire.Octets()
        try:
            number = self.open(index)
            try:
                for piece in fd.pieces(number):
                    count.add(piece)
            finally:
                calls.close(number)
        except OSError:
            return 0                            # whoever asks for it is told
        return count.octets

    def _size(self, index: int) -> int:
        """The size of the message's file."""
        told = quotas.size_in_name(self._names[index])
        if told is None:
            sizes = []
            self._try(index, lambda path: sizes.append(calls.lstat(path).st_size))
            told = sizes[0]
        return told

    def _see(self, path: bytes) -> None:
        name = path.removeprefix(NEW)
        try:
            durable.rename(self._path + path, self._path + CUR + (name if b":" in name else name + b":2,"))
        except OSError:
            return                              # it stays new: a nuisance, no loss
