"""The virtual users of a domain (DESIGN D7).

    /virtual/DOMAIN/etc/passwd      what people edit: passwd(5) lines, homes relative to /virtual/DOMAIN
    /virtual/DOMAIN/etc/users.cdb   compiled by vq-newu: name -> uid NUL gid NUL home; everybody may read it
    /virtual/DOMAIN/etc/passwd.cdb  compiled by vq-newu: name -> hash; only root, or the passwd file's owner

Under the empty key a compiled file says which text it was made of.  When the text is another one by now the
compiled file is not believed: the text itself is read, by whoever may.
"""

import errno

from vqmail import codes
from vqmail.formats import passwd
from vqmail.record import Record
from vqmail.store import cdb, control, rewrite, roles, users
from vqmail.unix import calls, fd

TYPE_CHECKING = False
TEXT = b"/etc/passwd"
USERS = b"/etc/users.cdb"
HASHES = b"/etc/passwd.cdb"
LIMIT = 256 << 20


class User(Record):
    """A virtual user.  `home` is relative to the domain's directory."""

    __slots__ = ("name", "uid", "gid", "home")
    name: bytes
    uid: int
    gid: int
    home: bytes


class Stale(codes.TryLater):
    """The compiled file is older than the text, and the text is not for us to read."""


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
        uid, gid, home = data.split(b"\0", 2)
        return User(name, int(uid), int(gid), home)
    for entry in _text(directory):
        if entry.name == name:
            return User(entry.name, entry.uid, entry.gid, entry.home)
    return None


def password_hash(domain: bytes, name: bytes) -> "bytes | None":
    """The hash of `name`'s password, or None if there is no such user.  TryLater on trouble."""
    name = name.lower()
    if not passwd.usable(name):
        return None
    directory = domain_directory(domain)
    data, current = _compiled(directory, HASHES, name)
    if current:
        return data
    for entry in _text(directory):
        if entry.name == name:
            return entry.password
    return None


def owner(domain: bytes, rules: rewrite.Rules) -> "users.Owner | None":
    """Who owns `domain`: whoever controls the prefix that virtualdomains gives it.  None if it has none."""
    prefix = rules.prefix(b"@" + domain, domain)
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
    number = calls.open(directory, calls.O_RDONLY | calls.O_DIRECTORY | calls.O_CLOEXEC)
    try:
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
        calls.close(number)
    if (found.st_uid, found.st_gid) != (user.uid, user.gid):
        raise codes.TryLater("%s: the home %s belongs to %d:%d, not to %d:%d: chown it" % (
            where, _shown(user.home), found.st_uid, found.st_gid, user.uid, user.gid))
    return directory + b"/" + user.home.strip(b"/")


def compile_domain(domain: bytes) -> bool:
    """Compile the users of `domain` if their text changed; whether it did.

    ValueError, with line number and remedy, if a line is broken; the compiled files stay what they were.
    """
    directory = domain_directory(domain)
    number = calls.open(directory + TEXT, calls.O_RDONLY | calls.O_CLOEXEC | calls.O_NONBLOCK)
    try:
        identity = _identity(number)
        if all(_made_of(directory + each) == identity for each in (USERS, HASHES)):
            return False
        owned = calls.fstat(number)
        entries = passwd.entries(fd.read_all(number, LIMIT))
    finally:
        calls.close(number)
    mark = (b"", identity)
    cdb.make(directory + HASHES, [mark, *((each.name, each.password) for each in entries)], 0o600,
             (owned.st_uid, owned.st_gid))
    cdb.make(directory + USERS, [mark, *((each.name, b"%d\0%d\0%s" % (each.uid, each.gid, each.home))
                                         for each in entries)], 0o644, (owned.st_uid, owned.st_gid))
    return True


def _compiled(directory: bytes, kind: bytes, name: bytes) -> "tuple[bytes | None, bool]":
    """(data of `name`, whether the compiled file is of the text that is there now)."""
    try:
        text = _identity(directory + TEXT)
    except OSError as error:
        raise codes.TryLater("cannot look at %s: %s" % (_shown(directory + TEXT), error.strerror)) from None
    try:
        with cdb.Reader(directory + kind) as reader:
            if reader.get(b"") != text:
                return None, False
            return reader.get(name), True
    except FileNotFoundError:
        return None, False
    except OSError as error:
        raise codes.TryLater("cannot read %s: %s" % (_shown(directory + kind), error.strerror)) from None
    except ValueError as error:
        raise codes.TryLater("%s; run vq-newu" % error) from None


def _text(directory: bytes) -> "list[passwd.Entry]":
    path = directory + TEXT
    try:
        return passwd.entries(fd.read_file(path, LIMIT))
    except PermissionError:
        raise Stale("%s changed since vq-newu compiled it: run vq-newu" % _shown(path)) from None
    except OSError as error:
        raise codes.TryLater("cannot read %s: %s" % (_shown(path), error.strerror)) from None
    except ValueError as error:
        raise codes.TryLater("%s: %s" % (_shown(path), error)) from None


def _made_of(path: bytes) -> "bytes | None":
    try:
        return cdb.find(path, b"")
    except (OSError, ValueError):
        return None


def _identity(file: "int | bytes") -> bytes:
    found = calls.stat(file)
    return b"%d %d %d %d" % (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _shown(text: bytes) -> str:
    return "".join(chr(each) if 32 <= each < 127 else "?" for each in text[:200])
