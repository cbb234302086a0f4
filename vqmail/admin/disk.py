"""What is on the disk now.  Below control/virtualroot, where owners do as they like, no link is followed.

Absent is an answer; everything else that goes wrong is TryLater.
"""

import os
import stat

from vqmail import codes
from vqmail.store import journal
from vqmail.unix import beneath, calls, log

LIMIT = 256 << 20               # bytes of a file that is read


def read(path: bytes) -> "bytes | None":
    """The content of a file; None if it is absent."""
    path = real(path)
    try:
        with journal.place(path) as at:
            text, found = beneath.read(at, LIMIT)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise codes.TryLater("cannot read %s: %s" % (log.shown(path), error.strerror)) from None
    except ValueError as error:
        raise codes.TryLater("%s: %s" % (log.shown(path), error)) from None
    if journal.virtual_root(path) and found.st_nlink > 1:
        # its other name may be in somebody else's domain: what is read here may be shown
        raise codes.TryLater("%s has more than one name; copy it and put the copy in its place" % log.shown(path))
    return text


def kind(path: bytes) -> "str | None":
    """What is there: file, directory, link, other; None if nothing."""
    try:
        with journal.place(path) as at:
            mode = calls.lstat(at.path).st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise codes.TryLater("cannot look at %s: %s" % (log.shown(path), error.strerror)) from None
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
    return kinds.get(stat.S_IFMT(mode), "other")


def names(path: bytes) -> "list[bytes]":
    """The names in the directory `path`, in order; none if it is absent."""
    try:
        number = beneath.walk(*journal.trusted(path + b"/"))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise codes.TryLater("cannot look into %s: %s" % (log.shown(path), error.strerror)) from None
    try:
        return sorted(calls.listdir(b"/proc/self/fd/%d" % number))
    finally:
        calls.close(number)


def real(path: bytes) -> bytes:
    """Where a file of ours really is: a postmaster may have put a link in its place, and that must stay one."""
    if not path.startswith(b"/"):
        raise ValueError("%s is not a whole path" % log.shown(path))
    return path if journal.virtual_root(path) else os.path.realpath(path)
