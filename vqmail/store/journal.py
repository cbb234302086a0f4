"""Changes to many files that are done entirely or not at all, whatever is killed meanwhile (formats/journal).

    users/lock      whoever changes settings holds it (flock)
    users/journal   what is to be done; from the moment it is there the change is made, and only has to be carried out

Whoever takes the lock next carries out what he finds: an administrator's command, vq-newu, the check.

Below control/virtualroot a domain's owner may do to his tree what he likes, at any moment; so no link is followed
there, and a step that he made impossible is passed over, with a word in the log: nobody can stop everybody's changes.
"""

import errno
import stat

from vqmail import codes, vqhome
from vqmail.formats import journal
from vqmail.store import compiled, domaintext, loginaliases, sender, virtual, virtualcompile
from vqmail.unix import beneath, calls, durable, fd, lock, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.formats.journal import Step

LOCK = vqhome.path(b"users/lock")
PATH = vqhome.path(b"users/journal")
LIMIT = 1 << 30
PATIENCE = 60                   # seconds that somebody else's change may take
SOON = 1                        # ... and after so many whoever waits is told
TEMPORARY = b".vq-new"


class _ChangedError(Exception):
    """Somebody else has written the file."""


def take_lock() -> int:
    """The lock, held while the returned descriptor is open.  TryLater if it cannot be had."""
    number = lock_within(SOON)
    if number < 0:
        log.line(b"vqmail", "somebody else is changing settings; waiting, %d seconds at most" % PATIENCE)
        number = lock_within(PATIENCE - SOON)
    if number < 0:
        raise codes.TryLater("somebody else has held %s for %d seconds; see who: fuser -v %s" % (
            LOCK.decode(), PATIENCE, LOCK.decode()))
    return number


def lock_within(seconds: float) -> int:
    """The same; -1 if somebody else has it for so long."""
    number = _open_lock()
    try:
        lock.take_within(number, seconds)
    except BaseException as error:
        calls.close(number)
        if isinstance(error, TimeoutError):
            return -1
        raise
    return number


def _open_lock() -> int:
    try:
        return calls.open(LOCK, calls.O_WRONLY | calls.O_CREAT | calls.O_CLOEXEC | calls.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise codes.TryLater("cannot open %s: %s; is this for root to do?" % (LOCK.decode(), error.strerror)) from None


def recover() -> bool:
    """Carry out what a command that was killed had begun; whether there was anything.  The lock must be held.

    TryLater if it cannot be done now; then it is still to be done.
    """
    try:
        steps = journal.decode(fd.read_file(PATH, LIMIT))
    except FileNotFoundError:
        durable.remove(PATH + TEMPORARY)        # of one that was killed before it had said what it was going to do
        return False
    except OSError as error:
        raise codes.TryLater("cannot read %s: %s" % (PATH.decode(), error.strerror)) from None
    except ValueError as error:
        raise codes.TryLater("%s: %s; it holds the rest of a change; look at what it names, then remove it" % (
            PATH.decode(), error)) from None
    for each in carry_out(steps):
        log.line(b"vqmail", each)
    return True


def commit(steps: "list[Step]") -> "list[str]":
    """Do all of `steps`; what of it could not be done, in words.  The lock must be held.

    TryLater: nothing was changed, or, if it says so, the rest is done by whoever comes next.
    """
    try:
        text = journal.encode(steps)
        durable.replace_with(PATH, lambda number: fd.write_all(number, text), 0o600, temporary=PATH + TEMPORARY)
    except OSError as error:
        # it may be there under its name although its directory could not be synced: then it must go, or count
        try:
            durable.remove(PATH)
        except OSError:
            raise codes.TryLater("cannot write %s: %s; the next command decides whether anything changes" % (
                PATH.decode(), error.strerror)) from None
        raise codes.TryLater("nothing was changed: cannot write %s: %s" % (PATH.decode(), error.strerror)) from None
    return carry_out(steps)


def carry_out(steps: "list[Step]") -> "list[str]":
    """Do the steps, then remove the journal; what of it was passed over, in words."""
    passed = []
    for step in steps:
        try:
            passed += _do(step)
        except OSError as error:
            path = step[1] if len(step) > 1 else b""
            if error.errno in beneath.THEIRS and virtual_root(path):
                passed.append("%s: not done (%s): %s" % (log.shown(path), step[0].decode(), error.strerror))
                continue
            raise codes.TryLater("%s: %s; the change is made only in part. %s holds the rest: mend this, then run any "
                                 "of these commands, or vq-newu" % (log.shown(path or step[0]), error.strerror,
                                                                    PATH.decode())) from None
    try:
        durable.remove(PATH)
    except OSError as error:
        raise codes.TryLater("cannot remove %s: %s; all that it says is done" % (
            PATH.decode(), error.strerror)) from None
    return passed


def virtual_root(path: bytes) -> bytes:
    """The root below which nothing on the way to `path` is to be trusted; b"" if all of it is."""
    root = virtual.root()
    return root if path.startswith(root + b"/") else b""


def trusted(path: bytes) -> "tuple[bytes, bytes, bool]":
    """`path` in two: what may be followed, links and all, and below it what an owner may do with as he likes; and
    whether even the first is a link to a place that may be in others' hands.

    Only root makes names in control/virtualroot, and where he made a link the domain lies elsewhere.  What is there
    may be somebody else's by now.
    """
    root = virtual_root(path)
    first, slash, rest = path[len(root) + 1:].partition(b"/")
    if not root or not slash or first in (b"", b".", b".."):
        return root, path[len(root):], False
    try:
        found = calls.lstat(root + b"/" + first)
    except FileNotFoundError:
        return root, path[len(root):], False
    if stat.S_ISLNK(found.st_mode) and found.st_uid in (0, calls.geteuid()):
        return root + b"/" + first, b"/" + rest, True
    return root, path[len(root):], False


def place(path: bytes) -> beneath.Place:
    """A way to `path` that nobody can lead astray."""
    return beneath.Place(*trusted(path))


def _do(step: "Step") -> "list[str]":
    kind, *words = step
    if kind in (journal.COMPILE, journal.HOSTS):
        return _compile(words[0] if words else None)
    if kind == journal.RELOAD:
        sender.reload()
        return []
    with place(words[0]) as at:
        if kind == journal.WRITE:
            _write(at, int(words[1], 8), _owner(words[2:4]), words[4])
        elif kind == journal.REWRITE:
            _rewrite(at, int(words[1], 8), _owner(words[2:4]), words[4], words[5])
        elif kind == journal.REMOVE:
            _remove(at)
        elif kind == journal.DIRECTORY:
            _make_directory(at, int(words[1], 8), _owner(words[2:4]))
        elif kind == journal.LINK:
            _link(at, words[1])
        elif kind == journal.TREE:
            beneath.remove_tree(at)
            durable.sync_dir(at.directory)
        elif kind == journal.MOVE:
            with place(words[1]) as to:
                _move(at, to, int(words[2]))
    return []


def _owner(words: "list[bytes]") -> "tuple[int, int] | None":
    return None if words[0] == b"-" else (int(words[0]), int(words[1]))


def _write(at: beneath.Place, mode: int, owner: "tuple[int, int] | None", text: bytes) -> None:
    durable.replace_with(at.path, lambda number: fd.write_all(number, text), mode, owner, at.path + TEMPORARY)


def _rewrite(at: beneath.Place, mode: int, owner: "tuple[int, int] | None", text: bytes, mark: bytes) -> None:
    """Write, unless somebody else did since it was read, or we have been here before."""
    def write(number: int) -> None:
        fd.write_all(number, text)
        durable.sync_fd(number)                 # what takes its time; then the look, and at once the rename
        if domaintext.mark(calls.lstat(at.path)) != mark:
            raise _ChangedError

    try:
        durable.replace_with(at.path, write, mode, owner, at.path + TEMPORARY)
    except _ChangedError:
        return


def _remove(at: beneath.Place) -> None:
    try:
        durable.remove(at.path)
    except IsADirectoryError:
        calls.rmdir(at.path)
        durable.sync_dir(at.directory)


def _make_directory(at: beneath.Place, mode: int, owner: "tuple[int, int] | None") -> None:
    try:
        if stat.S_ISDIR(calls.lstat(at.path).st_mode):
            return                              # we have been here before
        raise OSError(errno.EEXIST, "something else has its name")
    except FileNotFoundError:
        pass
    fresh = at.path + TEMPORARY
    try:
        calls.rmdir(fresh)
    except FileNotFoundError:
        pass
    calls.mkdir(fresh, 0o700)
    number = calls.open(fresh, calls.O_RDONLY | calls.O_DIRECTORY | calls.O_NOFOLLOW | calls.O_CLOEXEC)
    try:
        if calls.fstat(number).st_uid != calls.geteuid() or calls.listdir(b"/proc/self/fd/%d" % number):
            raise OSError(errno.EEXIST, "somebody put another directory in its place")
        if owner is not None:
            calls.fchown(number, *owner)
        calls.fchmod(number, mode)
        durable.sync_fd(number)
    finally:
        calls.close(number)
    durable.rename(fresh, at.path)
    durable.sync_dir(at.directory)


def _link(at: beneath.Place, target: bytes) -> None:
    try:
        if calls.readlink(at.path) == target:
            return
    except FileNotFoundError:
        pass
    fresh = at.path + TEMPORARY
    durable.remove(fresh)
    calls.symlink(target, fresh)
    durable.rename(fresh, at.path)
    durable.sync_dir(at.directory)


def _move(old: beneath.Place, new: beneath.Place, identity: int) -> None:
    """Move what has that inode, if it was not moved already."""
    try:
        if inode(new) != identity:
            raise OSError(errno.EEXIST, "something has taken the name it was to have")
    except FileNotFoundError:
        if inode(old) != identity:
            raise OSError(errno.ENOENT, "something else is there now") from None
        durable.rename(old.path, new.path)
    durable.sync_dir(new.directory)
    durable.sync_dir(old.directory)


def inode(at: beneath.Place) -> int:
    """What tells a file from any other that takes its name.  The device's number may be another one after a restart."""
    return calls.lstat(at.path).st_ino


def _compile(domain: "bytes | None") -> "list[str]":
    """Compile; a text that cannot be compiled is its author's affair, and vq-newu's to complain of."""
    try:
        if domain is None:
            compiled.compile_more_hosts()
        elif domain:
            virtualcompile.compile_domain(domain)
            loginaliases.compile_domain(domain)
            loginaliases.compile_all()
        else:
            compiled.compile_assign()
    except virtualcompile.Broken as broken:
        return ["%s is written but not compiled: %s: %s" % (log.shown(domain or b""), log.shown(broken.path), broken)]
    except (ValueError, codes.Failure) as error:
        return ["%s is written but not compiled: %s" % (log.shown(domain or b"users/assign"), error)]
    except OSError as error:
        if not domain or error.errno not in beneath.THEIRS:
            raise
        return ["%s is not compiled: %s" % (log.shown(domain), error.strerror)]
    return []
