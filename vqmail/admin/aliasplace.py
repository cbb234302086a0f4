"""Where the dot-qmail files of a domain are, and what is in them, as they will be after a transaction."""

import stat

from vqmail import codes
from vqmail.admin import domains, tables
from vqmail.formats import aliasfile, options, passwd
from vqmail.formats.aliasfile import Line
from vqmail.record import Record
from vqmail.store import domainsettings, home, journal, rewrite, virtual
from vqmail.unix import calls, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.transaction import Transaction

PREFIX = b"/.qmail-"
DEFAULT = b"default"


class Place(Record):
    """A domain as it will be: its directory, mailboxes and settings, and who owns its dot-qmail files."""

    __slots__ = ("domain", "directory", "users", "settings", "owner")
    domain: bytes
    directory: bytes
    users: "frozenset[bytes]"
    settings: domainsettings.Settings
    owner: "tuple[int, int]"


def look(t: "Transaction", domain: bytes, owner: "tuple[int, int] | None" = None) -> Place:
    """What is known of a domain.  GiveUp if there is none, or its files are none of ours to write."""
    domains.require(t, domain)
    directory = virtual.domain_directory(domain)
    path = directory + virtual.TEXT
    try:
        users = frozenset(each.name for each in passwd.entries((t.read(path) or b"").split(b"\n")))
        path = directory + virtual.OPTIONS
        chosen = options.parse((t.read(path) or b"").split(b"\n"))
    except ValueError as error:
        raise codes.GiveUp("%s: %s" % (log.shown(path), error)) from None
    settings = domainsettings.of_domain(chosen.get(options.DOMAIN, {}))
    return Place(domain, directory, users, settings, owner or _owner(t, domain, directory))


def lines(t: "Transaction", where: Place, name: bytes) -> "list[Line] | None":
    """The lines of an alias; None if there is none.  GiveUp if the file is not understood."""
    file = path(where, name)
    kind = t.kind(file)
    if kind is None:
        return None
    if kind != "file":
        raise codes.GiveUp("%s is no plain file; look at it" % log.shown(file))
    try:
        return aliasfile.parse(t.read(file) or b"", bool((mode(file) or 0) & home.FORWARD_ONLY))
    except ValueError as error:
        raise codes.GiveUp("%s: %s; mend it first" % (log.shown(file), error)) from None


def put(t: "Transaction", where: Place, name: bytes, after: "list[Line]") -> None:
    """Make the file of an alias say that.  GiveUp if it then would not be understood."""
    file = path(where, name)
    text = aliasfile.text(after)
    now = mode(file)
    try:
        aliasfile.parse(text, bool((now or 0) & home.FORWARD_ONLY))
    except ValueError as error:
        raise codes.GiveUp("%s: %s" % (log.shown(file), error)) from None
    if now is not None:
        t.write(file, text)
        return
    like = mode(where.directory + PREFIX + DEFAULT)
    t.write(file, text, 0o600 if like is not None and not like & 0o044 else 0o644, where.owner)


def names(t: "Transaction", directory: bytes) -> "list[bytes]":
    """The names of all aliases in a domain's directory, in order, with dots."""
    start = PREFIX[1:]
    found = (each.removeprefix(start).replace(b":", b".") for each in t.names(directory)
             if each.startswith(start) and not each.endswith(journal.TEMPORARY))
    return [each for each in found
            if each not in (b"", DEFAULT) and t.kind(directory + PREFIX + home.safe(each)) == "file"]


def path(where: Place, name: bytes) -> bytes:
    """The file of an alias."""
    return where.directory + PREFIX + home.safe(name)


def mode(path: bytes) -> "int | None":
    """The mode of a plain file; None if there is none."""
    try:
        with journal.place(path) as at:
            mode = calls.lstat(at.path).st_mode
    except OSError:                             # absent, or nothing that can be written: the journal will say so
        return None
    return mode if stat.S_ISREG(mode) else None


def address(name: bytes, domain: bytes) -> str:
    """An address, as it is shown."""
    return log.shown(name + b"@" + domain)


def _owner(t: "Transaction", domain: bytes, directory: bytes) -> "tuple[int, int]":
    """Whoever owns the dot-qmail files, which must lie in the domain's directory."""
    line = tables.assigned(t, tables.prefix(t, domain) or domain)
    if line is not None:
        fields = line.split(b":")
        found, lies = (int(fields[2]), int(fields[3])), fields[4]
    else:
        owner = virtual.owner(domain, rewrite.Rules())
        if owner is None:
            raise codes.GiveUp("nobody owns %s; see control/virtualdomains and users/assign" % domain.decode())
        found, lies = (owner.uid, owner.gid), owner.home
    if lies.rstrip(b"/") != directory:
        raise codes.GiveUp("the dot-qmail files of %s lie in %s, its owner's home; only he may change them" % (
            domain.decode(), log.shown(lies)))
    return found
