"""Is there room for a change on every disk that it concerns?  A full one is met before anything is changed."""

import errno
import os

from vqmail import codes
from vqmail.formats import journal
from vqmail.store import compiled, virtual
from vqmail.unix import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.formats.journal import Step

BLOCK = 8192                    # a file, and its name


def check(steps: "list[Step]", domains: "list[bytes]") -> None:
    """TryLater unless the disks have room for `steps`, and for what is compiled of `domains` (b"": users/assign)."""
    sizes: dict[bytes, tuple[int, int]] = {}            # directory -> bytes, files
    for step in steps:
        if step[0] in (journal.WRITE, journal.DIRECTORY, journal.LINK):
            _count(sizes, os.path.dirname(step[1]), BLOCK + (2 * len(step[5]) if step[0] == journal.WRITE else 0), 1)
    for domain in domains:
        directory = virtual.root() + b"/" + domain + b"/etc" if domain else os.path.dirname(compiled.ASSIGN)
        _count(sizes, directory, BLOCK + _size_of_compiled(directory), 2)
    needed: dict[int, tuple[int, int, bytes]] = {}
    for each, (size, files) in sizes.items():
        place = nearest(each)
        device = os.stat(place).st_dev
        before = needed.get(device, (0, 0, b""))
        needed[device] = before[0] + size, before[1] + files, place
    for size, files, place in needed.values():
        found = os.statvfs(place)
        free = found.f_bfree if os.geteuid() == 0 else found.f_bavail
        if size > free * found.f_frsize or (found.f_files and files > found.f_ffree):
            raise codes.TryLater("nothing was changed: the disk of %s is full (%s): this needs %d bytes in %d files" % (
                log.shown(place), os.strerror(errno.ENOSPC), size, files))


def nearest(path: bytes) -> bytes:
    """The directory `path`, or the nearest one above it that is there already."""
    while path != b"/":
        try:
            os.stat(path + b"/.")
        except OSError:
            path = os.path.dirname(path)
        else:
            break
    return path


def _count(sizes: "dict[bytes, tuple[int, int]]", place: bytes, size: int, files: int) -> None:
    before = sizes.get(place, (0, 0))
    sizes[place] = before[0] + size, before[1] + files


def _size_of_compiled(directory: bytes) -> int:
    size = 0
    for name in (b"cdb", b"users.cdb", b"passwd.cdb"):
        try:
            size += os.stat(directory + b"/" + name).st_size + BLOCK
        except OSError:
            size += BLOCK
    return size
