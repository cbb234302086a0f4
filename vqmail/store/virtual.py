"""The virtual users of a domain (DESIGN D7).

    /virtual/DOMAIN/etc/passwd      what people edit: passwd(5) lines, homes relative to /virtual/DOMAIN
    /virtual/DOMAIN/etc/options     what they edit, too, if they want: quotas, limits, suspensions (formats/options)
    /virtual/DOMAIN/etc/users.cdb   compiled by vq-newu of both; everybody may read it
        name                        uid NUL gid NUL home NUL quota NUL suspended NUL dotqmail NUL moved
        @                           the domain's options
    /virtual/DOMAIN/etc/passwd.cdb  compiled by vq-newu: name -> hash; only root, or the passwd file's owner

Under the empty key a compiled file says which texts it was made of: inode, size, time.  When a text is another one by
now the compiled file is not believed: the texts themselves are read, by whoever may.
"""

import errno

from vqmail import codes
from vqmail.formats import assign, options, passwd
from vqmail.record import Record
from vqmail.store import cdb, control, domainsettings, domaintext, rewrite, roles, users
from vqmail.unix import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

ETC = b"/etc"
TEXT = b"/etc/passwd"
OPTIONS = b"/etc/options"
USERS = b"/etc/users.cdb"
HASHES = b"/etc/passwd.cdb"
VISIBLE = bytes(range(33, 127))
REMEDY = "%s has a broken record; remove it and run vq-newu"


class User(Record):
    """A virtual user.  `home` is relative to the domain's directory; `quota` is b"" if there is none; `suspended` says
    what he may not do, of login, receive, send; `dotqmail` what a .qmail in his home may do: no, forwards, programs;
    `moved` is his new address, b"" if he is here.
    """

    __slots__ = ("name", "uid", "gid", "home", "quota", "suspended", "dotqmail", "moved")
    name: bytes
    uid: int
    gid: int
    home: bytes
    quota: bytes
    suspended: "frozenset[bytes]"
    dotqmail: bytes
    moved: bytes

    def __init__(self, name: bytes, uid: int, gid: int, home: bytes, quota: bytes = b"",
                 suspended: "frozenset[bytes]" = frozenset(), dotqmail: bytes = b"no",
                 moved: bytes = b"") -> None:
        Record.__init__(self, name, uid, gid, home, quota, suspended, dotqmail, moved)


class Stale(codes.TryLater):
    """The compiled file is older than the text, or out of our reach, and the text is not for us to read."""


def root() -> bytes:
    """The directory of all domains."""
    return control.line(b"virtualroot").rstrip(b"/")


def domain_directory(domain: bytes, above: "bytes | None" = None) -> bytes:
    """The directory of `domain`, which must be a plain name.  TryLater if it is not one.

    `above` is root(), of those who know it: here and wherever a name may be asked about several times.
    """
    if not usable_domain(domain):
        raise codes.TryLater("domain failed: %s cannot be a domain's name" % _shown(domain))
    return (root() if above is None else above) + b"/" + domain


def usable_domain(domain: bytes) -> bool:
    """Whether a domain may be called so."""
    return (0 < len(domain) <= 255 and domain == domain.lower() and domain[:1] not in (b".", b"-")
            and domain[-1:] != b"." and b".." not in domain and b"/" not in domain
            and not domain.translate(None, VISIBLE))


class Table:
    """The users and the settings of one domain: one look at the disk for as many questions as you like.

    Every call raises Stale, or TryLater on trouble.  `as_compiled` asks what was compiled last, however old that is:
    for a question that a change of a moment ago must not keep from an answer.
    """

    def __init__(self, domain: bytes, *, as_compiled: bool = False, above: "bytes | None" = None) -> None:
        self._directory = domain_directory(domain, above)
        self._options: dict[bytes, dict[bytes, bytes]] | None = None
        self._entries: dict[bytes, passwd.Entry | None] = {}
        self._reader = _compiled(self._directory, USERS, (TEXT, OPTIONS), any_age=as_compiled)

    def __enter__(self) -> "Table":
        return self

    def __exit__(self, kind: "type[BaseException] | None", error: "BaseException | None",
                 trace: "TracebackType | None") -> None:
        self.close()

    def user(self, name: bytes) -> "User | None":
        """The user `name`, in any case of letters; None if there is none."""
        name = name.lower()
        if not passwd.usable(name) or name in (options.DOMAIN, options.EVERYBODY):
            return None
        if self._reader is None:
            if name not in self._entries:
                self.expect([name])
            entry = self._entries[name]
            return None if entry is None else User(name, entry.uid, entry.gid, entry.home,
                                                   *domainsettings.of_user(self._texts(), name),
                                                   domainsettings.moved(self._texts(), name))
        data = _get(self._reader, name)
        if data is None:
            return None
        uid, gid, home, quota, suspended, dotqmail, moved = [*data.split(b"\0"), *[b""] * 7][:7]
        if not assign.is_id(uid) or not assign.is_id(gid) or not home:
            raise codes.TryLater(REMEDY % _shown(self._directory + USERS))
        return User(name, int(uid), int(gid), home, quota, options.words(suspended), dotqmail or b"no", moved)

    def expect(self, names: "list[bytes]") -> None:
        """Whom user() is going to be asked for, in lower case: one reading of the text is enough for all of them."""
        if self._reader is None:
            self._entries = _in_text(self._directory, names)

    def settings(self) -> domainsettings.Settings:
        """What holds for the whole domain."""
        if self._reader is None:
            return domainsettings.of_domain(self._texts().get(options.DOMAIN, {}))
        data = _get(self._reader, options.DOMAIN)
        try:
            values = options.parse([options.DOMAIN + b":" + data])[options.DOMAIN] if data else {}
        except ValueError:
            raise codes.TryLater(REMEDY % _shown(self._directory + USERS)) from None
        return domainsettings.of_domain(values)

    def close(self) -> None:
        """Let go of the compiled file."""
        if self._reader is not None:
            self._reader.close()

    def _texts(self) -> "dict[bytes, dict[bytes, bytes]]":
        if self._options is None:
            path = self._directory + OPTIONS
            try:
                self._options = domaintext.read_options(path)
            except PermissionError:
                raise _stale(path) from None
            except OSError as error:
                raise codes.TryLater("cannot read %s: %s" % (_shown(path), error.strerror)) from None
            except ValueError as error:
                raise codes.TryLater("%s: %s" % (_shown(path), error)) from None
        return self._options


def find(domain: bytes, name: bytes, above: "bytes | None" = None, *, as_compiled: bool = False) -> "User | None":
    """The user `name` of `domain`, or None.  `as_compiled` is of what was compiled last, however old; cheap, whatever
    its owner makes of the text.  Stale, or TryLater on trouble."""
    directory = domain_directory(domain, above)
    if not passwd.usable(name):
        return None
    with Table(domain, as_compiled=as_compiled, above=directory[:-len(domain) - 1]) as table:
        return table.user(name) if table._reader is not None or not as_compiled else None  # noqa: SLF001


def settings(domain: bytes) -> domainsettings.Settings:
    """What holds for the whole of `domain`.  Stale, or TryLater on trouble."""
    with Table(domain) as table:
        return table.settings()


def password_hash(domain: bytes, name: bytes) -> "bytes | None":
    """The hash of `name`'s password, or None if there is no such user.  TryLater on trouble."""
    name = name.lower()
    directory = domain_directory(domain)
    if not passwd.usable(name):
        return None
    reader = _compiled(directory, HASHES, (TEXT,))
    if reader is None:
        entry = _in_text(directory, [name])[name]
        return None if entry is None else entry.password
    try:
        return _get(reader, name)
    finally:
        reader.close()


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


def home_directory(domain: bytes, user: User, above: "bytes | None" = None) -> bytes:
    """The path of the user's home, when it may be trusted: below the domain's directory without a link on the way,
    and owned by the uid and gid that the passwd file names.  TryLater says what to mend otherwise.
    """
    directory = domain_directory(domain, above)
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


def _compiled(directory: bytes, kind: bytes, texts: "tuple[bytes, ...]", *,
              any_age: bool = False) -> "cdb.Reader | None":
    """The compiled file, open, if it is of the texts that are there now; or be it of `any_age`."""
    try:
        now = domaintext.mark(calls.stat(directory + TEXT), *(
            domaintext.stat_options(directory + each) for each in texts[1:]))
    except OSError as error:
        kind_of = Stale if error.errno == errno.EACCES else codes.TryLater
        raise kind_of("cannot look at %s: %s" % (_shown(directory + TEXT), error.strerror)) from None
    reader = None
    try:
        reader = cdb.Reader(directory + kind)
        if any_age or reader.get(b"") == now:
            found, reader = reader, None
            return found
    except (FileNotFoundError, PermissionError):
        pass
    except OSError as error:
        raise codes.TryLater("cannot read %s: %s" % (_shown(directory + kind), error.strerror)) from None
    except ValueError as error:
        raise codes.TryLater("%s: remove it and run vq-newu" % error) from None
    finally:
        if reader is not None:
            reader.close()
    return None


def _get(reader: cdb.Reader, key: bytes) -> "bytes | None":
    try:
        return reader.get(key)
    except OSError as error:
        raise codes.TryLater("cannot read a compiled file: %s" % error.strerror) from None
    except ValueError as error:
        raise codes.TryLater("%s: remove it and run vq-newu" % error) from None


def _in_text(directory: bytes, names: "list[bytes]") -> "dict[bytes, passwd.Entry | None]":
    path = directory + TEXT
    number = -1
    try:
        number = calls.open(path, domaintext.READING)
        found: dict[bytes, passwd.Entry | None] = dict.fromkeys(names)
        for entry in passwd.entries(domaintext.lines(number)):
            if entry.name in found:
                found[entry.name] = entry
        return found
    except PermissionError:
        raise _stale(path) from None
    except OSError as error:
        raise codes.TryLater("cannot read %s: %s" % (_shown(path), error.strerror)) from None
    except ValueError as error:
        raise codes.TryLater("%s: %s" % (_shown(path), error)) from None
    finally:
        if number >= 0:
            calls.close(number)


def _stale(path: bytes) -> Stale:
    return Stale("%s changed since vq-newu compiled it: run vq-newu" % _shown(path))


def _shown(text: bytes) -> str:
    return "".join(chr(each) if 32 <= each < 127 else "?" for each in text[:200])
