"""The virtual users of a domain (DESIGN D7).

    /virtual/DOMAIN/etc/passwd      what people edit: passwd(5) lines, homes relative to /virtual/DOMAIN
    /virtual/DOMAIN/etc/users.cdb   compiled by vq-newu: name -> uid NUL gid NUL home; everybody may read it
    /virtual/DOMAIN/etc/passwd.cdb  compiled by vq-newu: name -> hash; only root, or the passwd file's owner

Under the empty key a compiled file says which text it was made of: inode, size, time.  When the text is another one by
now the compiled file is not believed: the text itself is read, by whoever may.
"""

import errno
import stat
import time

from vqmail import codes
from vqmail.formats import assign, passwd
from vqmail.record import Record
from vqmail.store import cdb, control, rewrite, roles, users
from vqmail.unix import calls, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from posix import stat_result

ETC = b"/etc"
TEXT = b"/etc/passwd"
USERS = b"/etc/users.cdb"
HASHES = b"/etc/passwd.cdb"
LIMIT = 256 << 20
READING = calls.O_RDONLY | calls.O_CLOEXEC | calls.O_NONBLOCK        # a FIFO must not hold us
TICK = 20_000_000               # nanoseconds; two changes of a file within that may bear the same time


class User(Record):
    """A virtual user.  `home` is relative to the domain's directory."""

    __slots__ = ("name", "uid", "gid", "home")
    name: bytes
    uid: int
    gid: int
    home: bytes


class Stale(codes.TryLater):
    """The compiled file is older than the text, or out of our reach, and the text is not for us to read."""


def root() -> bytes:
    """The directory of all domains."""
    return control.line(b"virtualroot").rstrip(b"/")


def domain_directory(domain: bytes) -> bytes:
    """The directory of `domain`, which must be a plain name.  TryLater if it is not one."""
    if not usable_domain(domain):
        raise codes.TryLater("domain failed: %s cannot be a domain's name" % _shown(domain))
    return root() + b"/" + domain


def usable_domain(domain: bytes) -> bool:
    """Whether a domain may be called so."""
    return (0 < len(domain) <= 255 and domain == domain.lower() and domain[:1] not in (b".", b"-")
            and domain[-1:] != b"." and b".." not in domain and b"/" not in domain
            and all(32 < each < 127 for each in domain))


def find(domain: bytes, name: bytes) -> "User | None":
    """The user `name` of `domain`, or None.  Stale, or TryLater on trouble."""
    name = name.lower()
    if not passwd.usable(name):
        return None
    directory = domain_directory(domain)
    data, current = _compiled(directory, USERS, name)
    if current:
        if data is None:
            return None
        fields = data.split(b"\0", 2)
        if len(fields) != 3 or not assign.is_id(fields[0]) or not assign.is_id(fields[1]):
            raise codes.TryLater("%s has a broken record; remove it and run vq-newu" % _shown(directory + USERS))
        return User(name, int(fields[0]), int(fields[1]), fields[2])
    entry = _in_text(directory, name)
    return None if entry is None else User(name, entry.uid, entry.gid, entry.home)


def password_hash(domain: bytes, name: bytes) -> "bytes | None":
    """The hash of `name`'s password, or None if there is no such user.  TryLater on trouble."""
    name = name.lower()
    if not passwd.usable(name):
        return None
    directory = domain_directory(domain)
    data, current = _compiled(directory, HASHES, name)
    if current:
        return data
    entry = _in_text(directory, name)
    return None if entry is None else entry.password


def owner(domain: bytes, rules: rewrite.Rules) -> "users.Owner | None":
    """Who owns `domain`: whoever controls the prefix that virtualdomains gives it.  None if it has none."""
    prefix = rules.owned_by(domain)
    if not prefix:
        return None
    lookup = users.Lookup()
    try:
        return lookup.owner(prefix + b"-postmaster")
    finally:
        lookup.close()


def home_directory(domain: bytes, user: User) -> bytes:
    """The path of the user's home, when it may be trusted: below the domain's directory without a link on the way,
    and owned by the uid and gid that the passwd file names.  TryLater says what to mend otherwise.
    """
    directory = domain_directory(domain)
    where = "%s/etc/passwd, %s" % (_shown(directory), _shown(user.name))
    least = control.number(b"minuid")
    if user.uid < max(least, 1) or user.gid < max(least, 1):
        raise codes.TryLater("%s: uid %d or gid %d is below %d (control/minuid): not allowed" % (
            where, user.uid, user.gid, least))
    if roles.single_user() and user.uid != calls.geteuid():
        raise codes.TryLater("%s: this installation is under uid %d, it cannot become %d" % (
            where, calls.geteuid(), user.uid))
    number = -1
    try:
        number = calls.open(directory, calls.O_PATH | calls.O_DIRECTORY | calls.O_CLOEXEC)
        for part in user.home.split(b"/"):
            if part in (b"", b"."):
                continue
            if part == b"..":
                raise codes.TryLater("%s: the home leads out of the domain" % where)
            following = calls.open(part, calls.O_PATH | calls.O_DIRECTORY | calls.O_NOFOLLOW | calls.O_CLOEXEC,
                                   dir_fd=number)
            calls.close(number)
            number = following
        found = calls.fstat(number)
    except OSError as error:
        what = "is missing; make it and chown it" if error.errno == errno.ENOENT else (
            "is a link or no directory" if error.errno in (errno.ELOOP, errno.ENOTDIR) else str(error.strerror))
        raise codes.TryLater("%s: the home %s %s" % (where, _shown(user.home), what)) from None
    finally:
        if number >= 0:
            calls.close(number)
    if (found.st_uid, found.st_gid) != (user.uid, user.gid):
        raise codes.TryLater("%s: the home %s belongs to %d:%d, not to %d:%d: chown it" % (
            where, _shown(user.home), found.st_uid, found.st_gid, user.uid, user.gid))
    return directory + b"/" + user.home.strip(b"/")


def compile_domain(domain: bytes) -> bool:
    """Compile the users of `domain` if their text changed; whether it did.

    ValueError, with line number and remedy, if a line is broken; the compiled files stay what they were.

    The directory may belong to the domain's owner, and we may be root: no link is followed in it.
    """
    directory = domain_directory(domain)
    etc = calls.open(directory + ETC, calls.O_RDONLY | calls.O_DIRECTORY | calls.O_NOFOLLOW | calls.O_CLOEXEC)
    number = -1
    try:
        number = calls.open(TEXT.removeprefix(ETC + b"/"), READING | calls.O_NOFOLLOW, dir_fd=etc)
        text = _at_rest(number)
        if not stat.S_ISREG(text.st_mode):
            raise ValueError("it is not a file")
        inside = b"/proc/self/fd/%d" % etc
        users_cdb, hashes_cdb = (inside + each.removeprefix(ETC) for each in (USERS, HASHES))
        identity = _mark(text)
        if _made_of(users_cdb) == identity == _made_of(hashes_cdb):
            return False
        least = max(control.number(b"minuid"), 1)
        for path, records, mode in (hashes_cdb, _hashes, 0o600), (users_cdb, _homes, 0o644):
            entries = passwd.entries(_lines(number), least)
            cdb.make(path, records(identity, entries), mode, (text.st_uid, text.st_gid))
    finally:
        calls.close(etc)
        if number >= 0:
            calls.close(number)
    return True


def _hashes(identity: bytes, entries: "Iterable[passwd.Entry]") -> "Iterator[tuple[bytes, bytes]]":
    yield b"", identity
    for each in entries:
        yield each.name, each.password


def _homes(identity: bytes, entries: "Iterable[passwd.Entry]") -> "Iterator[tuple[bytes, bytes]]":
    yield b"", identity
    for each in entries:
        yield each.name, b"%d\0%d\0%s" % (each.uid, each.gid, each.home)


def _lines(number: int) -> "Iterator[bytes]":
    """The lines of a text.  ValueError if it cannot be whole: somebody is writing it just now."""
    size = calls.fstat(number).st_size
    if size == 0:
        raise ValueError("it is empty; is somebody writing it? a domain without users has a line with just a # there")
    if size > LIMIT:
        raise ValueError("it has more than %d bytes" % LIMIT)
    if calls.pread(number, 1, size - 1) != b"\n":
        raise ValueError("its last line has no end; is somebody writing it? add a newline")
    return fd.lines(number)


def _at_rest(number: int) -> "stat_result":
    """What fstat says, once the next change of the file is sure to bear another time."""
    while True:
        found = calls.fstat(number)
        age = time.time_ns() - found.st_mtime_ns
        if not 0 <= age < TICK:
            return found
        time.sleep((TICK - age) / 1e9)


def _compiled(directory: bytes, kind: bytes, name: bytes) -> "tuple[bytes | None, bool]":
    """(data of `name`, whether the compiled file is of the text that is there now)."""
    try:
        text = _mark(calls.stat(directory + TEXT))
    except OSError as error:
        kind_of = Stale if error.errno == errno.EACCES else codes.TryLater
        raise kind_of("cannot look at %s: %s" % (_shown(directory + TEXT), error.strerror)) from None
    try:
        with cdb.Reader(directory + kind) as reader:
            if reader.get(b"") != text:
                return None, False
            return reader.get(name), True
    except (FileNotFoundError, PermissionError):
        return None, False
    except OSError as error:
        raise codes.TryLater("cannot read %s: %s" % (_shown(directory + kind), error.strerror)) from None
    except ValueError as error:
        raise codes.TryLater("%s: remove it and run vq-newu" % error) from None


def _in_text(directory: bytes, name: bytes) -> "passwd.Entry | None":
    path = directory + TEXT
    number = -1
    try:
        number = calls.open(path, READING)
        found = None
        for entry in passwd.entries(_lines(number)):
            if entry.name == name:
                found = entry
        return found
    except PermissionError:
        raise Stale("%s changed since vq-newu compiled it: run vq-newu" % _shown(path)) from None
    except OSError as error:
        raise codes.TryLater("cannot read %s: %s" % (_shown(path), error.strerror)) from None
    except ValueError as error:
        raise codes.TryLater("%s: %s" % (_shown(path), error)) from None
    finally:
        if number >= 0:
            calls.close(number)


def _made_of(path: bytes) -> "bytes | None":
    try:
        return cdb.find(path, b"")
    except (OSError, ValueError):
        return None


def _mark(found: "stat_result") -> bytes:
    # no device number: after a restart that is another one on many a file system
    return b"%d %d %d" % (found.st_ino, found.st_size, found.st_mtime_ns)


def _shown(text: bytes) -> str:
    return "".join(chr(each) if 32 <= each < 127 else "?" for each in text[:200])
