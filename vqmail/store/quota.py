"""How much mail is in a Maildir: the file maildirsize in it, which we share with Dovecot, Courier and maildrop.

    reserve     read it, and append what comes in      before the message is in new/: who dies in between
    give back   append what did not come in after all      leaves a number that is too high, never too low
    recount     look at every name in cur/ and new/ of the INBOX and of each .Folder but .Trash, and replace the file

It is counted anew when the file is missing, of another quota, 5120 bytes long or broken, and when somebody is over his
quota and the file has more than its first sum, or that is 15 minutes old: a wrong number mends itself before mail
is refused for it.  So nothing of it has to be on the disk for good, and nothing here is synced.

The lock on the Maildir keeps our own programs apart.  Others do not know of it, and the owner may hold it as long as
he likes: after a short while we go on without, and at worst the number is wrong until it is counted again.
"""

import errno
import stat
import time

from vqmail import codes
from vqmail.formats import quota
from vqmail.store import maildir
from vqmail.unix import calls, lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vqmail.formats.quota import Limits, Use

NAME = b"/maildirsize"
LONGEST = 5120                  # bytes of it; then it is counted anew
STALE = 900                     # seconds
PATIENCE = 2.0                  # seconds to wait for the lock
ATTEMPTS = 3                    # to count while nothing changes
OPEN = calls.O_RDWR | calls.O_APPEND | calls.O_CLOEXEC | calls.O_NOFOLLOW | calls.O_NONBLOCK
ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class Full(Exception):
    """It does not fit.  `use` is what is there."""

    def __init__(self, use: "Use") -> None:
        Exception.__init__(self, "over quota")
        self.use = use


class Quota:
    """The quota `limits` on the Maildir `path`.  With None there is none of ours: what comes and goes is noted for
    those who keep a maildirsize there, and never refused.  OSError on trouble.
    """

    def __init__(self, path: bytes, limits: "Limits | None") -> None:
        self._path = path.rstrip(b"/")
        self._limits = limits
        self._noted: tuple[int, int, int] | None = None         # bytes, messages, the inode they were noted in

    def use(self) -> "Use":
        """What is there."""
        return self._locked(lambda: self._look(0, 0))

    def recount(self) -> "Use":
        """What is there, counted anew."""
        return self._locked(self._recount)

    def fits(self, size: int, count: int = 1) -> bool:
        """Whether so much more may come in."""
        if self._limits is None or not self._limits_anything():
            return True
        return not quota.is_over(self._limits, self._locked(lambda: self._look(size, count)), size, count)

    def reserve(self, size: int, *, whatever: bool = False) -> "Use":
        """Note that a message of `size` bytes comes in; what there is with it.  Full if it does not fit, unless it is
        to come in `whatever` there is.
        """
        if not self._limits_anything() and not self._is_there():
            return quota.Use(0, 0)              # nobody wants to know
        return self._locked(lambda: self._reserve(size, whatever))

    def give_back(self) -> None:
        """What was reserved did not come in."""
        if self._noted is not None:
            size, count, _ = self._noted
            self._noted = None
            self._locked(lambda: self._append(-size, -count))

    def confirm(self) -> None:
        """What was reserved came in.  If somebody counted meanwhile he may have missed it: say it again, for too much
        is found out when it matters, too little is not.
        """
        if self._noted is None:
            return
        size, count, inode = self._noted
        self._noted = None
        try:
            changed = calls.stat(self._path + NAME).st_ino != inode
        except FileNotFoundError:
            return                              # whoever comes next counts
        if changed:
            self._locked(lambda: self._append(size, count))

    def remove(self, size: int, count: int) -> None:
        """Note that messages are gone."""
        if count:
            self._locked(lambda: self._append(-size, -count))

    def per_cent(self, use: "Use") -> int:
        """How full it is."""
        return quota.per_cent(self._limits, use) if self._limits is not None else 0

    def _limits_anything(self) -> bool:
        return self._limits is not None and self._limits != quota.NONE

    # ---- with the lock ----

    def _locked(self, do: "Callable[[], Use]") -> "Use":
        number = calls.open(self._path, calls.O_RDONLY | calls.O_DIRECTORY | calls.O_CLOEXEC)
        try:
            try:
                lock.take_within(number, PATIENCE)
            except TimeoutError:
                pass
            return do()
        finally:
            calls.close(number)

    def _reserve(self, size: int, whatever: bool) -> "Use":  # noqa: FBT001
        if self._limits is None:
            return self._append(size, 1)
        use = self._look(size, 1)
        if not whatever and quota.is_over(self._limits, use, size, 1):
            raise Full(use)
        self._append(size, 1)
        return quota.Use(use.size + size, use.count + 1)

    def _look(self, size: int, count: int) -> "Use":
        """What is there, when `size` and `count` more are wanted: counted anew if the file cannot be believed."""
        number = self._open()
        if number < 0:
            return self._recount()
        try:
            status = calls.fstat(number)
            text = calls.pread(number, LONGEST, 0) if stat.S_ISREG(status.st_mode) else b""
        finally:
            calls.close(number)
        try:
            if len(text) >= LONGEST:
                raise ValueError("it is long")
            there = quota.parse_file(text)
        except ValueError:
            return self._recount()
        limits = there.limits if self._limits is None else self._limits
        if not there.whole or there.limits != limits:
            return self._recount()
        if quota.is_over(limits, there.use, size, count) and (
                there.lines > 1 or not 0 <= time.time() - status.st_mtime < STALE):
            return self._recount()
        return there.use

    def _append(self, size: int, count: int) -> "Use":
        """Note a change, where there is a file to note it in."""
        number = self._open()
        if number >= 0:
            try:
                calls.write(number, quota.line(size, count))    # one write: nobody's comes in between
                if count > 0:
                    self._noted = size, count, calls.fstat(number).st_ino
            finally:
                calls.close(number)
        return quota.Use(0, 0)

    def _open(self) -> int:
        """The file, -1 if there is none that we could use."""
        try:
            return calls.open(self._path + NAME, OPEN)
        except OSError as error:
            # root's, perhaps, of a command run in haste: we shall replace it, the directory is ours
            if error.errno in (*ABSENT, errno.EACCES, errno.EISDIR, errno.ENXIO):
                return -1
            raise

    def _is_there(self) -> bool:
        try:
            calls.lstat(self._path + NAME)
        except FileNotFoundError:
            return False
        return True

    def _recount(self) -> "Use":
        for _ in range(ATTEMPTS):
            use, stamps = self._count()
            if all(_stamp(each) == stamp for each, stamp in stamps):
                break                           # nothing came or went while we counted
        limits = self._limits
        if limits is None:
            limits = self._limits_there()
        if limits is not None and (limits != quota.NONE or self._is_there()):
            maildir.replace(self._path, NAME[1:], quota.definition(limits) + b"\n" + quota.line(use.size, use.count))
        return use

    def _limits_there(self) -> "Limits | None":
        """The quota that somebody else set; None if there is none."""
        number = self._open()
        if number < 0:
            return None
        try:
            return quota.parse(calls.pread(number, LONGEST, 0).partition(b"\n")[0].strip())
        except ValueError:
            return None
        finally:
            calls.close(number)

    def _count(self) -> "tuple[Use, list[tuple[bytes, int]]]":
        """(what is there, when each directory had changed last)."""
        size = count = 0
        stamps = []
        for folder in self._folders():
            stamps.append((folder, _stamp(folder)))
            for name in _names(folder):
                if name.startswith(b".") or not quota.counts(name):
                    continue
                told = quota.size_in_name(name)
                if told is None:
                    try:
                        told = calls.lstat(folder + b"/" + name).st_size
                    except FileNotFoundError:
                        continue                # its reader renamed or removed it just now
                size += told
                count += 1
        return quota.Use(size, count), stamps

    def _folders(self) -> "Iterator[bytes]":
        """Each directory with messages that count."""
        for folder in (b"", *sorted(each for each in _names(self._path) if each.startswith(b".")
                                    and each not in (b".", b"..", quota.TRASH))):
            for each in b"new", b"cur":
                yield self._path + b"/" + folder + (b"/" if folder else b"") + each


def note_removed(path: bytes, messages: "list[tuple[bytes, int]]") -> None:
    """Messages of these names and sizes were removed from the Maildir `path`."""
    gone = [size for name, size in messages if quota.counts(name)]
    Quota(path, None).remove(sum(gone), len(gone))


def trouble(path: bytes, error: OSError) -> codes.TryLater:
    """What to raise when counting failed."""
    return codes.TryLater("cannot count the mail in %s: %s (#4.3.0)" % (
        path.decode("utf-8", "replace"), error.strerror))


def _names(directory: bytes) -> "list[bytes]":
    try:
        return calls.listdir(directory)
    except OSError as error:
        if error.errno in ABSENT:
            return []                           # a folder without it, or a file that looks like a folder
        raise


def _stamp(directory: bytes) -> int:
    try:
        return calls.stat(directory).st_mtime_ns
    except OSError as error:
        if error.errno in ABSENT:
            return 0
        raise
