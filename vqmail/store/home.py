"""A user's dot-qmail files: which one is meant, and whether it may be trusted.

The candidates for dash and ext, in order (QMAIL interface 6.4), where safe is ext in lower case with `.` as `:`

    .qmail DASH SAFE                                the file of just this address
    .qmail DASH SAFE-UP-TO-A-DASH default           for each dash in it, from the right
    .qmail DASH default

so `..` cannot occur.  A candidate with a slash or a NUL out of ext is not looked at: ext comes from strangers, and
no stranger chooses a file below another directory.  The same mail still reaches a default file whose name is free
of it.  dash comes from users/assign and may hold a slash (`-/`: files in the directory .qmail-).
"""

import errno
import stat

from vqmail import codes
from vqmail.record import Record
from vqmail.unix import calls, fd

LIMIT = 256 << 10               # bytes of one dot-qmail file

FORWARD_ONLY = 0o100            # the owner's x bit
WRITABLE = 0o002
STICKY = 0o1000

UPPER = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SAFE_TABLE = bytes.maketrans(UPPER + b".", UPPER.lower() + b":")

# What says for certain that no regular file of that name is there; ENXIO is a socket.
ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ENXIO)


class Hidden(codes.TryLater, PermissionError):
    """The file, or the way to it, may not be read by this user; to its owner that is trouble, to others it says
    nothing."""


class Editing(codes.TryLater):
    """The home is sticky: its owner is at work on the dot-qmail files."""


class Found(Record):
    """The file that was chosen: its path and what is in it.

    `default` is the part of ext that the word default stands for, None if the file is for this address alone.
    `forward_only` says that its x bit is set.
    """

    __slots__ = ("path", "content", "default", "forward_only")
    path: bytes
    content: bytes
    default: "bytes | None"
    forward_only: bool


def find(directory: bytes, dash: bytes, ext: bytes) -> "Found | None":
    """The dot-qmail file for `dash` and `ext` in `directory`, or None.

    TryLater if it is world-writable, too long or cannot be read, Hidden if that is a matter of rights.
    """
    for name, default in candidates(dash, ext):
        opened = _open(directory + b"/" + name)
        if opened is None:
            continue
        number, mode = opened
        try:
            content = fd.read_all(number, LIMIT)
        except OSError as error:
            raise _trouble(directory + b"/" + name, error) from None
        except ValueError as error:
            raise codes.TryLater("%s is too long: %s (#4.3.0)" % (_shown(directory + b"/" + name), error)) from None
        finally:
            calls.close(number)
        return Found(directory + b"/" + name, content, default, bool(mode & FORWARD_ONLY))
    return None


def has(directory: bytes, dash: bytes, ext: bytes, suffix: bytes) -> bool:
    """Whether there is a file of just this address with `suffix` (b"-owner") at the end of its name."""
    if not _usable(ext):
        return False
    opened = _open(directory + b"/.qmail" + dash + safe(ext) + suffix)
    if opened is None:
        return False
    calls.close(opened[0])
    return True


def check(directory: bytes) -> None:
    """Return if the home `directory` may be trusted; TryLater if anybody may write there, Editing if its owner asks to
    wait."""
    try:
        mode = calls.stat(directory).st_mode
    except OSError as error:
        raise _trouble(directory, error) from None
    if mode & WRITABLE:
        raise codes.TryLater("Uh-oh: home directory is writable. (#4.7.0)")
    if mode & STICKY:
        raise Editing("Home directory is sticky: user is editing his .qmail file. (#4.2.1)")


def safe(ext: bytes) -> bytes:
    """`ext` as it stands in file names."""
    return ext.translate(SAFE_TABLE)


def candidates(dash: bytes, ext: bytes) -> "list[tuple[bytes, bytes | None]]":
    """The names to try, in order, each with the part of ext that `default` stands for in it."""
    name = safe(ext)
    start = b".qmail" + dash
    found: list[tuple[bytes, bytes | None]] = []
    if _usable(name):
        # a file for an address that happens to end in "default" counts as a default file
        found.append((start + name, ext[-7:] if name.endswith(b"default") else None))
    end = len(name)
    while True:
        if (end == 0 or name[end - 1:end] == b"-") and _usable(name[:end]):
            found.append((start + name[:end] + b"default", ext[end:]))
        if end == 0:
            return found
        end = name.rfind(b"-", 0, end - 1) + 1


def _usable(name: bytes) -> bool:
    return b"/" not in name and b"\0" not in name


def _open(path: bytes) -> "tuple[int, int] | None":
    """A descriptor and the mode of the regular file `path`, None if there is none."""
    try:
        # a FIFO must not make anybody wait; links are followed, with the rights of whoever asks
        number = calls.open(path, calls.O_RDONLY | calls.O_NONBLOCK | calls.O_CLOEXEC)
    except OSError as error:
        if error.errno in ABSENT:
            return None
        raise _trouble(path, error) from None
    try:
        mode = calls.fstat(number).st_mode
        if stat.S_ISREG(mode):
            if mode & WRITABLE:
                raise codes.TryLater("Uh-oh: .qmail file is writable. (#4.7.0)")
            result = number, mode
            number = -1
            return result
        return None
    except OSError as error:
        raise _trouble(path, error) from None
    finally:
        if number >= 0:
            calls.close(number)


def _trouble(path: bytes, error: OSError) -> codes.TryLater:
    kind = Hidden if error.errno in (errno.EACCES, errno.EPERM) else codes.TryLater
    return kind("cannot read %s: %s (#4.3.0)" % (_shown(path), error.strerror))


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "replace")
