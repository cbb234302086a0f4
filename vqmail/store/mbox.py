"""An mbox under a lock (flock; no dot-lock): append all of a message, or not a byte; or put a new one in its place."""

import errno
import stat

from vqmail import codes
from vqmail.formats import mboxrd
from vqmail.unix import calls, durable, fd, lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PATIENCE = 30                   # seconds
ATTEMPTS = 10                   # times that an mbox is opened again because another has taken its place


def append(path: bytes, head: bytes, message: "Iterable[bytes]", patience: float = PATIENCE) -> None:
    """Append `head` (From_ line, Return-Path, Delivered-To) and `message`, quoted; return when they are on the disk.

    TryLater if not; the mbox is as long as before then.
    """
    shown = path.decode("utf-8", "replace")
    number, created = hold(path, patience)
    try:
        if created:                             # first its name: after the message there is nothing left to fail
            durable.sync_dir(path.rpartition(b"/")[0] or (b"/" if path[:1] == b"/" else b"."))
        _append(number, gap(number) + head, message)
    except OSError as error:
        raise codes.TryLater("Unable to write %s: %s. (#4.3.0)" % (shown, error.strerror)) from None
    finally:
        calls.close(number)


def replace(path: bytes, temporary: bytes, number: int, write: "Callable[[int], None]") -> None:
    """Have `write` write a new mbox under the name `temporary`, and put it in the place of `path`, which is open as
    `number`, with its mode and owner.  OSError leaves the old one."""
    old = calls.fstat(number)
    try:
        there = calls.lstat(temporary)
    except FileNotFoundError:
        pass
    else:
        if (there.st_dev, there.st_ino) == (old.st_dev, old.st_ino):
            raise OSError(errno.EINVAL, "that is the same file")
    if stat.S_ISLNK(calls.lstat(path).st_mode):
        raise OSError(errno.ELOOP, "the mbox is a symbolic link, which would be replaced; name the file itself")
    durable.replace_with(path, write, stat.S_IMODE(old.st_mode), (old.st_uid, old.st_gid), temporary)


def hold(path: bytes, patience: float = PATIENCE) -> "tuple[int, bool]":
    """(descriptor, whether the file was made just now): the mbox `path`, locked, open for appending.  TryLater if not.

    Who held the lock before may have put another file in its place (maildir2mbox does): ours is the one that is there.
    """
    shown = path.decode("utf-8", "replace")
    for _ in range(ATTEMPTS):
        try:
            number, created = _open(path)
        except OSError as error:
            raise codes.TryLater("Unable to open %s: %s. (#4.2.1)" % (shown, error.strerror)) from None
        kept = False
        try:
            if not stat.S_ISREG(calls.fstat(number).st_mode):
                raise codes.TryLater("%s is not a regular file: no mbox can be kept there. (#4.2.1)" % shown)
            lock.take_within(number, patience)
            kept = _is_at(path, number)
            if kept:
                return number, created
        except TimeoutError:
            raise codes.TryLater("%s has been locked for 30 seconds. (#4.3.0)" % shown) from None
        except OSError as error:
            raise codes.TryLater("Unable to lock %s: %s. (#4.3.0)" % (shown, error.strerror)) from None
        finally:
            if not kept:
                calls.close(number)
    raise codes.TryLater("%s is replaced again and again. (#4.3.0)" % shown)


def _is_at(path: bytes, number: int) -> bool:
    """Whether the file open as `number` is what `path` names now."""
    ours = calls.fstat(number)
    try:
        there = calls.stat(path)
    except FileNotFoundError:
        return False
    return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)


def _open(path: bytes) -> "tuple[int, bool]":
    """A descriptor that appends, and whether the file was made just now."""
    flags = calls.O_RDWR | calls.O_APPEND | calls.O_NONBLOCK | calls.O_CLOEXEC
    try:
        return calls.open(path, flags), False
    except FileNotFoundError:
        return calls.open(path, flags | calls.O_CREAT, 0o600), True


def gap(number: int) -> bytes:
    """What ends a message that a crash has cut off, so that ours does not become a part of it."""
    size = calls.fstat(number).st_size
    end = calls.pread(number, 2, max(size - 2, 0))
    return b"" if end in (b"", b"\n\n") else b"\n" if end.endswith(b"\n") else b"\n\n"


def _append(number: int, head: bytes, message: "Iterable[bytes]") -> None:
    size = calls.fstat(number).st_size
    try:
        fd.write_all(number, head)
        for part in mboxrd.quoted(message):
            fd.write_all(number, part)
        durable.sync_fd(number)
    except BaseException:
        calls.ftruncate(number, size)
        raise
