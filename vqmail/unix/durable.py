"""Files that are there after a power cut.  The only file with fsync, link and rename.

    step      call                                          after it, a crash leaves
    Draft     an anonymous file, or a private name           nothing anybody looks at
    write     until every byte is gone                       the same
    seal      fsync the file                                 the bytes, under no public name
    link      a public name                                  the name may or may not be there
    sync_dir  fsync the directory                            the file, under its name
    replace   rename over the old, fsync the directory       the new file; before that the old one

Losing an unlink costs a duplicate, losing a link costs a message: we pay for links.  An fsync that
failed is never tried again, for the second one may say 0 although the data is gone: the draft is
thrown away and the caller says "later".
"""

import errno
import time

from vqmail.unix import calls, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

SLOW = 0.1                      # seconds; a sync that takes longer waits for what others wrote
WHILE = 10.0                    # seconds for which that is expected to go on
# What open says where O_TMPFILE is unknown: the file system, an old kernel.
NO_ANONYMOUS = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)


class Draft:
    """A file being written.  Until link() it has no public name; without link() it vanishes.

    `directory` is where it is born, on the file system where it is going to live.  `name` is what it is called
    there if this file system has no files without a name; it must be unused.
    """

    def __init__(self, directory: bytes, name: bytes, mode: int) -> None:
        self._private: bytes | None = None
        try:
            self.fd = calls.open(directory, calls.O_TMPFILE | calls.O_RDWR | calls.O_CLOEXEC, mode)
        except OSError as error:
            if error.errno not in NO_ANONYMOUS:
                raise
            self._private = directory + b"/" + name
            self.fd = calls.open(self._private, calls.O_CREAT | calls.O_EXCL | calls.O_RDWR | calls.O_CLOEXEC, mode)

    def __enter__(self) -> "Draft":
        return self

    def __exit__(self, kind: "type[BaseException] | None", error: "BaseException | None",
                 trace: "TracebackType | None") -> None:
        self.close()

    def inode(self) -> int:
        """The inode number, which is a message's number in the queue."""
        return calls.fstat(self.fd).st_ino

    def write(self, data: bytes) -> None:
        """Append all of `data`."""
        fd.write_all(self.fd, data)

    def seal(self) -> None:
        """Return when the bytes are on the disk."""
        calls.fsync(self.fd)

    def link(self, path: bytes) -> None:
        """Give it the name `path`; FileExistsError if that is taken.  Durable only after sync_dir of its directory."""
        if self._private is not None:
            calls.link(self._private, path)
            return
        # src_dir_fd makes it linkat(2) with AT_SYMLINK_FOLLOW; without it Python calls link(2): EXDEV
        calls.link(b"/proc/self/fd/%d" % self.fd, path, src_dir_fd=self.fd, follow_symlinks=True)

    def publish(self, path: bytes, directory: bytes) -> None:
        """Seal it, name it `path`, and return when the name, in `directory`, is on the disk."""
        self.seal()
        self.link(path)
        sync_dir(directory)

    def close(self) -> None:
        """Let go of it; a private name goes, public ones stay."""
        if self.fd < 0:
            return
        private, self._private = self._private, None
        number, self.fd = self.fd, -1
        try:
            calls.close(number)
        finally:
            if private is not None:
                calls.unlink(private)


def sync_dir(directory: bytes) -> None:
    """Return when every name in `directory` is on the disk."""
    number = calls.open(directory, calls.O_RDONLY | calls.O_DIRECTORY | calls.O_CLOEXEC)
    try:
        calls.fsync(number)
    finally:
        calls.close(number)


class FileSystem:
    """A whole file system, to be synced at once: many files and names for the price of one flush.

    syncfs(2) reports write errors since Linux 5.8; then everything written since the last sync has failed.  It waits
    for what everybody has written: `busy` is whether that was much lately, so that a file is sooner synced alone.
    """

    def __init__(self, directory: bytes) -> None:
        from ctypes import CDLL, get_errno  # costs 10 ms: for long-lived services only

        self.directory = calls.open(directory, calls.O_RDONLY | calls.O_DIRECTORY | calls.O_CLOEXEC)
        self._syncfs = CDLL(None, use_errno=True).syncfs
        self._errno = get_errno
        self._busy_until = 0.0

    @property
    def busy(self) -> bool:
        """Whether the last syncs took too long to be about our files only."""
        return time.monotonic() < self._busy_until

    def sync(self) -> None:
        """Return when all that was written to the file system before is on the disk; OSError if it is not."""
        began = time.monotonic()
        if self._syncfs(self.directory) != 0:
            raise OSError(self._errno(), "syncfs")
        ended = time.monotonic()
        if ended - began > SLOW:
            self._busy_until = ended + WHILE


def sync_fd(number: int) -> None:
    """Return when the file, or the directory, open as `number` is on the disk."""
    calls.fsync(number)


def link(old: bytes, new: bytes) -> None:
    """Give the file `old` a second name; durable after sync_dir."""
    calls.link(old, new)


def rename(old: bytes, new: bytes) -> None:
    """Move a file within its file system; durable after sync_dir of both directories."""
    calls.rename(old, new)


def remove(path: bytes) -> None:
    """Take the name `path` away; absent is fine.  Returns when it is gone for good."""
    try:
        calls.unlink(path)
    except FileNotFoundError:
        return
    sync_dir(path.rpartition(b"/")[0] or b"/")


def replace(path: bytes, data: bytes, mode: int) -> None:
    """Put a file with `data` in the place of `path`: readers see the old file or the new one, never a mixture.

    Returns when the new one is there for good.  OSError leaves the old one untouched.
    """
    replace_with(path, lambda number: fd.write_all(number, data), mode)


def replace_with(path: bytes, write: "Callable[[int], None]", mode: int,
                 owner: "tuple[int, int] | None" = None, temporary: bytes = b"") -> None:
    """As replace(), with what `write` writes to the descriptor it is given; `owner` is the new file's uid and gid,
    `temporary` its name until then, which need not be free."""
    temporary = temporary or path + b".tmp"
    try:
        calls.unlink(temporary)                 # of a crash, or a trap: the directory may be somebody else's
    except FileNotFoundError:
        pass
    number = calls.open(temporary, calls.O_CREAT | calls.O_EXCL | calls.O_RDWR | calls.O_CLOEXEC, 0o600)
    try:
        try:
            if owner is not None:
                calls.fchown(number, *owner)
            calls.fchmod(number, mode)          # whatever the umask says
            write(number)
            calls.fsync(number)
        finally:
            calls.close(number)
        calls.rename(temporary, path)
    except BaseException:
        try:
            calls.unlink(temporary)
        except FileNotFoundError:               # renamed already
            pass
        raise
    sync_dir(path.rpartition(b"/")[0] or (b"/" if path.startswith(b"/") else b"."))
