"""The two texts of a domain that name its users, as they will be in a transaction, and changes to a line of theirs."""

from vqmail import codes
from vqmail.admin import disk, quotas, transaction
from vqmail.formats import lines, options, passwd
from vqmail.record import Record
from vqmail.store import control, virtual
from vqmail.unix import calls, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Domain(Record):
    """The texts of a domain as they will be: its directory, both texts, its users, their options."""

    __slots__ = ("name", "directory", "text", "options_text", "users", "options")
    name: bytes
    directory: bytes
    text: bytes
    options_text: bytes
    users: "dict[bytes, passwd.Entry]"
    options: "dict[bytes, dict[bytes, bytes]]"


def look(domain: bytes, read: "Callable[[bytes], bytes | None]") -> Domain:
    """The texts of a domain.  GiveUp if it is none, or one is broken: nothing is changed that is not understood."""
    directory = virtual.domain_directory(domain)
    path = directory + virtual.TEXT
    text = read(path)
    if text is None:
        kind = disk.kind(directory)
        if kind == "link":
            raise codes.GiveUp("%s is another name of a domain: give that domain" % domain.decode())
        raise codes.GiveUp("there is no domain %s; vq-domain add makes it" % domain.decode() if kind is None else
                           "%s has no users' file %s; write one, with a line that is just a #" % (
                               domain.decode(), log.shown(path)))
    chosen = read(directory + virtual.OPTIONS)
    try:
        _check_whole(text)
        users = {each.name: each for each in passwd.entries(text.split(b"\n"), max(control.number(b"minuid"), 1))}
        path = directory + virtual.OPTIONS
        if chosen is not None:
            _check_whole(chosen)
        return Domain(domain, directory, text, chosen or b"", users, options.parse((chosen or b"").split(b"\n")))
    except ValueError as error:
        raise codes.GiveUp("%s: %s" % (log.shown(path), error)) from None


def of(t: transaction.Transaction, domain: bytes) -> Domain:
    """The texts of a domain as `t` will leave them; read anew only if somebody else wrote them: a change may be of
    thousands of users.  GiveUp as look()."""
    known = t.memory.get(domain)
    directory = virtual.domain_directory(domain)
    if (not isinstance(known, Domain) or known.text != t.read(directory + virtual.TEXT)
            or known.options_text != (t.read(directory + virtual.OPTIONS) or b"")):
        known = t.memory[domain] = look(domain, t.read)
    return known


def _check_whole(text: bytes) -> None:
    if not text.endswith(b"\n"):
        raise ValueError("its last line has no end; is somebody writing it? add a newline")


def entry(where: Domain, name: bytes) -> passwd.Entry:
    """The user `name`.  GiveUp if there is none."""
    if name not in where.users:
        raise codes.GiveUp("there is no %s" % log.shown(name + b"@" + where.name))
    return where.users[name]


def change(t: transaction.Transaction, where: Domain, name: bytes, line: "bytes | None",
           values: "dict[bytes, bytes] | None") -> None:
    """Put a line into the passwd file, or take it away, and the options with it; None leaves those alone."""
    after = where
    if values is not None and (values or name in where.options):
        after = write_options(t, where, name, values)
    names = {*where.users, name} if line is not None else {*where.users} - {name}
    chosen = where.options if values is None else where.options | {name: values}
    quotas.keep(where.name, name, (where.users, where.options), (names, chosen))
    text = lines.replace(where.text, name, line)
    t.write(where.directory + virtual.TEXT, text)
    t.compile(where.name)
    users = {each: found for each, found in after.users.items() if each != name}
    try:
        users |= {each.name: each for each in passwd.entries([line or b""])}
    except ValueError:                          # who looks next is told with file and line
        return
    t.memory[where.name] = Domain(where.name, where.directory, text, after.options_text, users, after.options)


def write_options(t: transaction.Transaction, where: Domain, name: bytes, values: "dict[bytes, bytes]") -> Domain:
    """Give `name` these options, and no others; the domain as it is then.  GiveUp if one cannot be."""
    try:
        line = options.line(name, values) if values else None
        chosen = {each: found for each, found in where.options.items() if each != name} | options.parse([line or b""])
    except ValueError as error:
        raise codes.GiveUp(str(error)) from None
    if name in where.users or name == options.EVERYBODY:
        quotas.keep(where.name, name, (where.users, where.options), (where.users, where.options | {name: values}))
    path = where.directory + virtual.OPTIONS
    text = lines.replace(where.options_text, name, line)
    if t.kind(path) is None:
        t.write(path, text, 0o644, ours())
    else:
        t.write(path, text)
    after = Domain(where.name, where.directory, where.text, text, where.users, chosen)
    t.memory[where.name] = after
    return after


def ours() -> "tuple[int, int]":
    """Uid and gid of whoever keeps these texts: root, or the user of a single-user installation."""
    return calls.geteuid(), calls.getegid()
