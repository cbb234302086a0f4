"""Mail copied out of another system's maildirs and mboxes, into a place that only we can enter.

The source is read, never changed, and may belong to anybody: below its root no link is followed, and a file that
belongs to somebody else than its maildir is left out, for it may be another name of any file.

    /virtual/.import/DOMAIN/USER,part   is being copied; of one that was killed it is thrown away
    /virtual/.import/DOMAIN/USER        is whole, and on the disk

One import at a time brings users to a domain: it holds a lock on that directory.
"""

import fcntl
import os
import shutil
import stat

from vqmail import codes
from vqmail.admin import transaction
from vqmail.admin.imports.found import Mail
from vqmail.formats import fromline, maildirname, uidl
from vqmail.store import uidl as uidlstore
from vqmail.store import virtual
from vqmail.unix import beneath, durable, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PART = b",part"                 # no user's name has a comma
LEFT_OUT = (b"maildirsize", b"tmp")             # counted anew; nobody's mail yet
FOLDERS = (b"tmp", b"new", b"cur")
DEEPEST = 50
CHUNK = 1 << 20


class Refused(Exception):
    """This mail is not copied; why."""


class Staging:
    """Where the mail of a domain's users waits until they are users here."""

    def __init__(self, domain: bytes) -> None:
        self.left: list[str] = []               # files that were not copied, of the last maildir
        self.above = virtual.root() + b"/.import"
        self.path = self.above + b"/" + domain
        for each in (self.above, self.path):
            try:
                os.mkdir(each, 0o700)
            except FileExistsError:
                found = os.lstat(each)
                if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                    raise codes.GiveUp("%s is no directory of ours; look at it, remove it" % log.shown(each)) from None
        self._fresh: list[bytes] = []
        self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(self._lock).st_ino != os.stat(self.path).st_ino:
                raise FileNotFoundError         # the other one just went, and took it away
        except OSError:
            os.close(self._lock)
            raise codes.GiveUp("another vq-import brings users to %s just now" % log.shown(domain)) from None
        transaction.recover()                   # a killed import may have decided on what lies there; the rest is waste
        for each in os.listdir(self.path):
            shutil.rmtree(self.path + b"/" + each)

    def bring(self, name: bytes, mail: "Mail | None", dotqmail: bytes = b"",
              uidl_style: bytes = b"") -> "tuple[int, int]":
        """Have a home of `name` here with that mail and .qmail; how many messages and bytes.  Refused.

        `uidl_style` is what the file uidlstyle of a maildir is to say, whoever served it.
        """
        part = self.path + b"/" + name + PART
        self.left = []
        os.mkdir(part, 0o700)
        box = part + b"/Maildir"
        try:
            if mail is not None and mail.kind == "maildir":
                count = _maildir(mail, box, self.left)
                _note_style(box, uidl_style or mail.uidl)
            else:
                for each in (b"", *(b"/" + each for each in FOLDERS)):
                    os.mkdir(box + each, 0o700)
                count = _mbox(mail, box) if mail is not None else (0, 0)
        except OSError as error:
            raise codes.TryLater("cannot copy %s: %s" % (
                log.shown(mail.root + mail.path) if mail else log.shown(part), error.strerror)) from None
        if dotqmail:
            with open(part + b"/.qmail", "wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(dotqmail)
        self._fresh.append(name)
        return count

    def place(self, name: bytes) -> bytes:
        """Where the home of `name` is, after finish()."""
        return self.path + b"/" + name

    def finish(self) -> None:
        """Return when all that was brought is on the disk, under its name."""
        if self._fresh:
            disk = durable.FileSystem(self.path)
            try:
                disk.sync()
                for each in self._fresh:
                    durable.rename(self.place(each) + PART, self.place(each))
                disk.sync()
            finally:
                os.close(disk.directory)
        self._fresh = []

    def close(self) -> None:
        """Take the places away, as far as they are empty, and let others import."""
        try:
            for each in (self.path, self.above):
                os.rmdir(each)
        except OSError:                         # another domain's; or mail of who was not taken: the next one clears it
            pass
        finally:
            os.close(self._lock)


def give(path: bytes, uid: int, gid: int) -> None:
    """Make a home that only we can enter somebody else's."""
    for folder, _, files in os.walk(path):
        for each in files:
            os.chown(folder + b"/" + each, uid, gid, follow_symlinks=False)
        os.chown(folder, uid, gid)


def look(mail: "Mail | None") -> "tuple[int, int]":
    """How many messages and bytes there would be to copy; an mbox counts as one."""
    if mail is None:
        return 0, 0
    if mail.kind == "mbox":
        try:
            return 1, os.lstat(mail.root + mail.path).st_size
        except OSError:
            return 0, 0
    try:
        number = beneath.walk(mail.root, mail.path)
        try:
            sizes = [size for _, size in _messages(number, os.fstat(number).st_uid, 0)]
        finally:
            os.close(number)
    except (OSError, Refused):
        return 0, 0
    return len(sizes), sum(sizes)


def _maildir(mail: Mail, into: bytes, left: "list[str]") -> "tuple[int, int]":
    number = beneath.walk(mail.root, mail.path)
    try:
        owner = os.fstat(number).st_uid
        _copy(number, into, owner, 0, left)
        for each in FOLDERS:
            if not os.path.lexists(into + b"/" + each):
                os.mkdir(into + b"/" + each, 0o700)
        there = sorted(_messages(number, owner, 0))
    finally:
        os.close(number)
    copied = os.open(into, os.O_RDONLY | os.O_DIRECTORY)
    try:
        here = sorted(_messages(copied, os.geteuid(), 0))
    finally:
        os.close(copied)
    if here != there:
        raise Refused("%s changed while it was copied (%d messages there, %d here): stop what delivers there" % (
            log.shown(mail.root + mail.path), len(there), len(here)))
    return len(here), sum(size for _, size in here)


def _note_style(maildir: bytes, wanted: bytes) -> None:
    """Let POP3 clients find the unique-ids that they know; what the maildir itself says goes first."""
    if not wanted and os.path.lexists(maildir + b"/" + uidlstore.DOVECOTS):
        wanted = uidl.DOVECOT
    if wanted and not os.path.lexists(maildir + b"/" + uidlstore.STYLE):
        with open(maildir + b"/" + uidlstore.STYLE, "xb") as file:
            file.write(wanted + b"\n")


def _copy(number: int, into: bytes, owner: int, depth: int, left: "list[str]") -> None:
    """Copy the directory `number` to `into`, which is not there yet; `left` is told what is not copied."""
    if depth > DEEPEST:
        raise Refused("there are more than %d directories in one another" % DEEPEST)
    os.mkdir(into, 0o700)
    for name in os.listdir(b"/proc/self/fd/%d" % number):
        if name in LEFT_OUT:
            continue
        try:
            inner = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=number)
        except OSError as error:                # a link, a socket; or a client renamed it just now: the count will tell
            left.append("%s (%s)" % (log.shown(name), error.strerror))
            continue
        try:
            found = os.fstat(inner)
            if found.st_uid != owner:
                left.append("%s (it belongs to uid %d)" % (log.shown(name), found.st_uid))
            elif stat.S_ISDIR(found.st_mode):
                _copy(inner, into + b"/" + name, owner, depth + 1, left)
            elif stat.S_ISREG(found.st_mode):
                _copy_file(inner, into + b"/" + name, found)
        finally:
            os.close(inner)


def _copy_file(number: int, into: bytes, found: os.stat_result) -> None:
    out = os.open(into, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        while os.sendfile(out, number, None, CHUNK):
            pass
    finally:
        os.close(out)
    os.utime(into, ns=(found.st_atime_ns, found.st_mtime_ns))


def _messages(number: int, owner: int, depth: int) -> "Iterator[tuple[bytes, int]]":
    """(name, size) of all messages in a maildir and its folders."""
    for name in os.listdir(b"/proc/self/fd/%d" % number):
        if name not in (b"new", b"cur") and not (name.startswith(b".") and depth < DEEPEST):
            continue
        try:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=number)
        except OSError:
            continue
        try:
            if os.fstat(inner).st_uid != owner:
                continue
            if name.startswith(b"."):
                yield from ((name + b"/" + each, size) for each, size in _messages(inner, owner, depth + 1))
                continue
            for each in os.listdir(b"/proc/self/fd/%d" % inner):
                found = os.stat(each, dir_fd=inner, follow_symlinks=False)
                if stat.S_ISREG(found.st_mode) and found.st_uid == owner:
                    yield name + b"/" + each, found.st_size
        finally:
            os.close(inner)


def _mbox(mail: Mail, into: bytes) -> "tuple[int, int]":
    """The messages of an mbox as those of a maildir; who has read one finds it read."""
    with beneath.Place(mail.root, mail.path) as at:
        number = os.open(at.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at.fd)
    with open(number, "rb") as file:
        before = os.fstat(number)
        if not stat.S_ISREG(before.st_mode) or before.st_nlink > 1:
            raise Refused("%s is no plain file, or has another name" % log.shown(mail.root + mail.path))
        count = total = 0
        for lines in fromline.messages(file):
            count += 1
            total += _write(into, lines, before.st_mtime_ns + count, count)
        after = os.fstat(number)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise Refused("%s changed while it was read: stop what delivers there" % log.shown(mail.root + mail.path))
        if before.st_size and not count:
            raise Refused("%s is no mbox: it does not begin with `From `" % log.shown(mail.root + mail.path))
    return count, total


def _write(into: bytes, lines: "list[bytes]", when: int, number: int) -> int:
    status = b""
    for line in lines:
        if line in (b"\n", b"\r\n"):
            break
        if line[:7].lower() == b"status:":
            status = line[7:].strip()
    data = b"".join(lines)
    folder, flags = (b"/cur/", b":2,S" if b"R" in status else b":2,") if status else (b"/new/", b"")
    name = maildirname.new(when, os.getpid(), 0, number, os.uname().nodename.encode()) + b",S=%d" % len(data) + flags
    out = os.open(into + folder + name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(out, "wb") as file:
        file.write(data)
    return len(data)
