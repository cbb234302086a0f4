"""Append to an mbox under a lock (flock; no dot-lock): all of the message, or not a byte."""

import stat

from vqmail import codes
from vqmail.formats import mboxrd
from vqmail.unix import calls, durable, fd, lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PATIENCE = 30                   # seconds


def append(path: bytes, head: bytes, message: "Iterable[bytes]", patience: float = PATIENCE) -> None:
    """Append `head` (From_ line, Return-Path, Delivered-To) and `message`, quoted; return when they are on the disk.

    TryLater if not; the mbox is as long as before then.
    """
    shown = path.decode("utf-8", "replace")
    try:
        number, created = _open(path)
    except OSError as error:
        raise codes.TryLater("Unable to open %s: %s. (#4.2.1)" % (shown, error.strerror)) from None
    try:
        if not stat.S_ISREG(calls.fstat(number).st_mode):
            raise codes.TryLater("%s is not a regular file: no mbox can be kept there. (#4.2.1)" % shown)
        lock.take_within(number, patience)
        if created:                             # first its name: after the message there is nothing left to fail
            durable.sync_dir(path.rpartition(b"/")[0] or (b"/" if path[:1] == b"/" else b"."))
        _append(number, _gap(number) + head, message)
    except TimeoutError:
        raise codes.TryLater("%s has been locked for 30 seconds. (#4.3.0)" % shown) from None
    except OSError as error:
        raise codes.TryLater("Unable to write %s: %s. (#4.3.0)" % (shown, error.strerror)) from None
    finally:
        calls.close(number)


def _open(path: bytes) -> "tuple[int, bool]":
    """A descriptor that appends, and whether the file was made just now."""
    flags = calls.O_RDWR | calls.O_APPEND | calls.O_NONBLOCK | calls.O_CLOEXEC
    try:
        return calls.open(path, flags), False
    except FileNotFoundError:
        return calls.open(path, flags | calls.O_CREAT, 0o600), True


def _gap(number: int) -> bytes:
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
