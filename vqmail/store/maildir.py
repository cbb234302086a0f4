"""Deliver into a maildir: nothing is in new/ before all of it is on the disk, and nothing in new/ is ever replaced."""

import errno
import time

from vqmail import codes
from vqmail.formats import maildirname, wire
from vqmail.unix import calls, durable, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ATTEMPTS = 10                   # names tried
FOLDERS = (b"tmp", b"new", b"cur")
NO_MAILDIR = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP)


class Undelivered(codes.TryLater):
    """A delivery failed and left nothing behind.  `step` is open, write, fsync or link; `number` the errno."""

    def __init__(self, text: str, step: str, number: "int | None") -> None:
        super().__init__(text)
        self.step = step
        self.number = number


def replace(directory: bytes, name: bytes, text: bytes) -> None:
    """Put `text` into a file beside the folders; whoever reads it meanwhile has the old one.  OSError.

    It is not synced: for what is not missed if it is lost."""
    directory = directory.rstrip(b"/")
    temporary = directory + b"/tmp/%d.P%dR%s.%s" % (time.time(), calls.getpid(), _random(), name)
    number = calls.open(temporary, calls.O_WRONLY | calls.O_CREAT | calls.O_EXCL | calls.O_CLOEXEC, 0o600)
    try:
        try:
            fd.write_all(number, text)
        finally:
            calls.close(number)
        durable.rename(temporary, directory + b"/" + name)
    except BaseException:
        calls.unlink(temporary)
        raise


def deliver(directory: bytes, parts: "Iterable[bytes]", ask: "Callable[[int], object] | None" = None) -> None:
    """Make one message of `parts` and return when it is in `directory`/new for good.  Undelivered otherwise.

    `ask`, if given, is told its size before it gets there, and may raise what it likes to prevent that.
    """
    directory = directory.rstrip(b"/") or b"/"
    new = directory + b"/new"
    now = time.time_ns()
    pid = calls.getpid()
    step = "open"
    try:
        with durable.Draft(directory + b"/tmp", b"%d.P%dR%s" % (now // 1000, pid, _random()), 0o600) as draft:
            step = "write"
            count = wire.Octets()
            for part in parts:
                draft.write(part)
                count.add(part)
            if ask is not None:
                ask(count.size)
            step = "fsync"
            draft.seal()
            step = "link"
            _name(draft, new, now, pid, maildirname.sizes(count.size, count.octets))
            durable.sync_dir(new)
    except OSError as error:
        shown = directory.decode("utf-8", "replace")
        if step == "open" and error.errno in NO_MAILDIR:
            text = "Unable to chdir to maildir. (#4.2.1) %s: %s" % (shown, error.strerror)
        else:
            text = "Temporary trouble with maildir %s: %s failed: %s (#4.3.0)" % (shown, step, error.strerror)
        raise Undelivered(text, step, error.errno) from None


def make(directory: bytes) -> None:
    """Make the maildir `directory`, or what is missing of it, for good; OSError if that cannot be done."""
    _directory(directory)
    for each in FOLDERS:
        _directory(directory + b"/" + each)
    durable.sync_dir(directory)
    durable.sync_dir(directory.rpartition(b"/")[0] or (b"/" if directory[:1] == b"/" else b"."))


def _name(draft: durable.Draft, new: bytes, now: int, pid: int, sizes: bytes) -> None:
    """Link `draft` into `new` under a name that nothing has."""
    status = calls.fstat(draft.fd)
    host = calls.uname().nodename.encode("utf-8", "surrogateescape")
    again = b""
    for attempt in range(ATTEMPTS):
        path = new + b"/" + maildirname.new(now, pid, status.st_dev, status.st_ino, host, again) + sizes
        try:
            draft.link(path)
        except FileExistsError:
            there = calls.lstat(path)
            if (there.st_dev, there.st_ino) == (status.st_dev, status.st_ino):
                return                          # over NFS: it was done, only the answer was lost
            if attempt == ATTEMPTS - 1:
                raise
            again = _random()
        else:
            return


def _random() -> bytes:
    return calls.urandom(4).hex().encode()


def _directory(path: bytes) -> None:
    try:
        calls.mkdir(path, 0o700)
    except FileExistsError:
        return
