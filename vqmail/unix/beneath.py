"""Ways into a tree that others may write to, for somebody who has more rights than they: no link is followed in it.

A place is given as (root, path below it).  The root is ours, links to it and all; what lies below may be anything at
any moment.  Descriptors hold what was looked at, and the last name is never followed.
"""

import errno
import stat

from vqmail.unix import calls, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from posix import stat_result

FOLDER = calls.O_PATH | calls.O_DIRECTORY | calls.O_CLOEXEC
DEEPEST = 200                   # directories in one another; nobody's mail needs more
# errors that whoever owns a tree can bring about in it at will
THEIRS = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EEXIST, errno.EISDIR, errno.ENOTEMPTY, errno.EXDEV,
          errno.EBUSY, errno.EINVAL, errno.ENAMETOOLONG, errno.EACCES, errno.EPERM)     # the last two: FUSE


class Place:
    """The directory that `path` lies in, held open; `path` is then a name that leads there whatever others do.

    With `root` b"" nothing on the way is suspected.  OSError if it is not there, or a link is on the way.  `elsewhere`
    is for a root that is a link to a directory whose owner may have put another one in its place.
    """

    def __init__(self, root: bytes, path: bytes, elsewhere: bool = False) -> None:
        above, _, last = path.rpartition(b"/")
        if last in (b"", b".", b".."):
            raise OSError(errno.EINVAL, "not the name of a file")
        self.fd = walk(root, above, elsewhere)
        self.name = last
        self.directory = b"/proc/self/fd/%d" % self.fd
        self.path = self.directory + b"/" + last

    def __enter__(self) -> "Place":
        return self

    def __exit__(self, *_: object) -> None:
        calls.close(self.fd)


def walk(root: bytes, path: bytes, elsewhere: bool = False) -> int:
    """A descriptor, good for nothing but going on from there, of the directory `path` below `root` (see Place)."""
    if not root:
        return calls.open(path or b"/", FOLDER)
    number = _elsewhere(root) if elsewhere else calls.open(root, FOLDER)
    return _down(number, path)


def _elsewhere(link: bytes) -> int:
    """The directory that `link` leads to.  OSError unless all above it is root's or its own owner's, and no link: who
    else has a hand in it could exchange it for a directory that is none of his.
    """
    target = calls.readlink(link)
    if b"/" not in target:                      # another name of a domain, whose directory is beside it
        beside = link.rpartition(b"/")[0] + b"/" + target
        try:
            return calls.open(beside, FOLDER | calls.O_NOFOLLOW)
        except NotADirectoryError:
            target = calls.readlink(beside)     # and that one is elsewhere
    if not target.startswith(b"/"):
        raise OSError(errno.EINVAL, "the link must say where, from the root on")
    owners = set()
    number = calls.open(b"/", FOLDER)
    for part in target.split(b"/"):
        if not part:
            continue
        found = calls.fstat(number)
        owners.add(found.st_uid)
        if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
            owners.add(-1)                      # anybody's
        number = _down(number, part)
    if not owners <= {0, calls.fstat(number).st_uid}:
        calls.close(number)
        raise OSError(errno.EPERM, "the way to it is in other hands than its own")
    return number


def _down(number: int, path: bytes) -> int:
    """The directory `path` below the one open as `number`, which is closed."""
    try:
        for part in path.split(b"/"):
            if part in (b"", b"."):
                continue
            if part == b"..":
                raise OSError(errno.EINVAL, "the path leads up")
            following = calls.open(part, FOLDER | calls.O_NOFOLLOW, dir_fd=number)
            calls.close(number)
            number = following
    except BaseException:
        calls.close(number)
        raise
    return number


def read(place: Place, limit: int) -> "tuple[bytes, stat_result]":
    """(content, what fstat says) of a plain file that has no other name.  OSError; ValueError if it is too long."""
    number = calls.open(place.name, calls.O_RDONLY | calls.O_NOFOLLOW | calls.O_NONBLOCK | calls.O_NOCTTY
                        | calls.O_CLOEXEC, dir_fd=place.fd)
    try:
        found = calls.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a plain file")
        return fd.read_all(number, limit), found
    finally:
        calls.close(number)


def remove_tree(place: Place) -> None:
    """Remove a directory and all that is in it, or the file or link of that name.  Absent is fine."""
    _remove(place.fd, place.name, 0)


def _remove(number: int, name: bytes, depth: int) -> None:
    try:
        inner = calls.open(name, calls.O_RDONLY | calls.O_DIRECTORY | calls.O_NOFOLLOW | calls.O_CLOEXEC, dir_fd=number)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        _quietly(calls.unlink, name, number)
        return
    try:
        if depth > DEEPEST:
            raise OSError(errno.ELOOP, "more than %d directories in one another" % DEEPEST)
        for each in calls.listdir(b"/proc/self/fd/%d" % inner):
            _remove(inner, each, depth + 1)
    finally:
        calls.close(inner)
    _quietly(calls.rmdir, name, number)


def _quietly(remove: "Callable[..., None]", name: bytes, number: int) -> None:
    try:
        remove(name, dir_fd=number)
    except FileNotFoundError:
        pass
