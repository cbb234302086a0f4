"""A maildir as a POP3 session sees it: messages in the order of their arrival, and what is done with them at the end.

No message is opened before it is asked for where its name tells its octets (W=), as the names of vq-local and Dovecot
do.  What names do not tell is counted, and kept for the next session; where only the size of the file is told (S=, by
Courier and vpopmail) no more than COUNTED of them in a session: for the others that size, a little less than the
octets, does until it is their turn.

Messages go by their index; each is known by the part of its name that stays whatever other programs make of its flags.
A hundred thousand are a list of paths, and no more than that for long.
"""

import errno
import stat

from vqmail.formats import maildirname, wire
from vqmail.formats import quota as quotas
from vqmail.store import popfile, quota, uidl
from vqmail.unix import calls, durable, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

OLD = 36 * 3600                 # a file in tmp/ that nobody touched for so long belongs to nobody
NEW, CUR = b"new/", b"cur/"
COUNTED = 1000                  # files opened in a session although their names tell a size
WORTH = 50                      # files counted, then it is worth while to keep what was found
ATTEMPTS = 3                    # a reader may rename a message between our look and our hand
READING = calls.O_RDONLY | calls.O_CLOEXEC | calls.O_NONBLOCK       # a FIFO must not hold us


class Mailbox:
    """The maildir at `path`, as it is now.  OSError if it is none."""

    def __init__(self, path: bytes) -> None:
        self._path = path.rstrip(b"/") + b"/"
        self._files = self._list()              # paths, of which the last of equal names counts
        self._ids: list[bytes] | None = None
        self._octets: dict[int, int] = {}
        self._kept: dict[bytes, int] | None = None
        self._counts = 0
        self._gone: set[int] = set()
        self.count = len(self._files)

    def name(self, index: int) -> bytes:
        """The part of the message's file name that stays, for a log."""
        return _name(self._files[index])

    def unique_ids(self) -> "list[bytes]":
        """What UIDL says of each message.  codes.TryLater."""
        if self._ids is None:
            self._ids = uidl.of(self._path, list(map(_name, self._files)), uidl.style(self._path))
        return self._ids

    def octets(self, index: int) -> int:
        """How long the message is over the line; 0 if it cannot be read (any more)."""
        known = maildirname.octets(self._files[index])
        if known is None:
            known = self._octets.get(index)
        if known is None:
            known = self._octets[index] = self._found(index)
        return known

    def keep(self) -> None:
        """Write down for the next session what had to be counted in this one."""
        known = self._kept
        if known is not None and self._counts >= WORTH:
            there = (_name(path) for index, path in enumerate(self._files) if index not in self._gone)
            popfile.keep_sizes(self._path, ((name, known[name]) for name in there if name in known))

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
                path = self._files[index]
                self._gone.add(index)
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
        for index, path in enumerate(self._files):
            if index not in deleted and path.startswith(NEW):
                self._see(path)
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

    def _list(self) -> "list[bytes]":
        """Where each message is, in order."""
        found = []
        for folder in (NEW, CUR):               # in this order: what moves meanwhile is seen, and counted once
            found += [folder + each for each in calls.listdir(self._path + folder) if each[:1] != b"."]
        found.sort(key=_order)                  # new/ before cur/ among equals
        names = list(map(_name, found))
        return [path for at, path in enumerate(found) if names[at:at + 1] != names[at + 1:at + 2]]

    def _try(self, index: int, call: "Callable[[bytes], int | None]") -> int:
        """Do `call` to the message's path, wherever it is by now.  FileNotFoundError if it is nowhere."""
        for _ in range(ATTEMPTS):
            if index in self._gone:
                break
            try:
                return call(self._path + self._files[index]) or 0
            except FileNotFoundError:
                self._look_again()
        self._gone.add(index)
        raise FileNotFoundError(errno.ENOENT, "another session took it")

    def _look_again(self) -> None:
        """Another program renamed a message, and perhaps many more: learn where all of them are."""
        there = {_name(path): path for path in self._list()}
        self._files = [there.get(_name(path), path) for path in self._files]

    def _found(self, index: int) -> int:
        """The octets of a message whose name does not tell them."""
        if self._kept is None:
            self._kept = popfile.sizes(self._path)
        name = _name(self._files[index])
        known = self._kept.get(name)
        if known is None and self._counts >= COUNTED:
            known = self._told(index)
        if known is None:
            known = self._kept[name] = self._counted(index)
            self._counts += 1
        return known

    def _told(self, index: int) -> "int | None":
        """The size of its file that the message's name tells, or None."""
        return quotas.size_in_name(self._files[index])

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
        told = self._told(index)
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


def _name(path: bytes) -> bytes:
    """The part of the path that stays."""
    return maildirname.unique(path)[len(NEW):]


def _order(path: bytes) -> bytes:
    return maildirname.order(_name(path))
