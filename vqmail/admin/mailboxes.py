"""The users of a domain: added, changed, renamed, suspended, by whoever may.

    D/etc/passwd    a line for each, D/etc/options another one for who has options
    D/home/USER     his home, 0700, his own, with a Maildir

Those that were deleted are in admin/usertrash.

Every function that changes something is given the transaction, and does not commit it.
"""

from vqmail import codes
from vqmail.admin import aliases, disk, domains, oldlogins, transaction, uids, usertexts
from vqmail.formats import lines, options, passwd
from vqmail.store import aliasdomain, control, domainsettings, lastlogin, rewrite, virtual
from vqmail.unix import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LONGEST = 64                    # bytes of a name, and of a real name
ALLOWED = b"abcdefghijklmnopqrstuvwxyz0123456789!#$&'*+-.=?^_`{|}~"
HOME = b"/home"
MAILDIR = (b"", b"/tmp", b"/new", b"/cur")
SHELL = b"/bin/false"
SCHEMES = {b"y": "yescrypt", b"gy": "gost-yescrypt", b"7": "scrypt", b"6": "sha512", b"5": "sha256", b"1": "md5",
           b"2a": "bcrypt", b"2b": "bcrypt", b"2x": "bcrypt", b"2y": "bcrypt",
           b"argon2id": "argon2id", b"argon2i": "argon2i", b"argon2d": "argon2d"}
IN_THE_WAY = "%s is there already, but no user has it: move it away"
KEPT = (b"etc", b"home", b".trash")             # what is no home, though a line may say so


def name_of(user: bytes) -> bytes:
    """The name in lower case.  GiveUp unless somebody may be called so."""
    name = user.lower()
    shown = log.shown(user)
    if not name or len(name) > LONGEST:
        raise codes.GiveUp("%s: a user's name has 1 to %d characters" % (shown, LONGEST))
    if name.translate(None, ALLOWED):
        raise codes.GiveUp("%s: a user's name has letters, digits and %s only" % (shown, ALLOWED[36:].decode()))
    if name[:1] in (b".", b"-", b"#") or name == options.EVERYBODY:
        raise codes.GiveUp("%s: a user's name does not begin with a dot, a dash or #, and is not *" % shown)
    return name


def real_domain(domain: bytes) -> bytes:
    """The domain whose users the domain has, which may be another name of it."""
    if not virtual.usable_domain(domain):
        raise codes.GiveUp("%s cannot be a domain's name" % log.shown(domain))
    return aliasdomain.real(domain)


def add(t: transaction.Transaction, domain: bytes, user: bytes, password_hash: bytes, *, real_name: bytes = b"",
        quota: bytes = b"", uid: "int | None" = None) -> "list[str]":
    """Add a user, with a home and a Maildir; what is odd about it, in words.  Already if there is one of that name."""
    name = name_of(user)
    where = usertexts.of(t, domain)
    if name in where.users:
        raise transaction.Already("%s is there already; nothing was changed" % address(name, domain))
    check_room(where)
    _check_real_name(real_name)
    owner = _owner(t, domain)
    who = _ids(t, where, owner, uid)
    home = HOME + b"/" + name
    if t.kind(where.directory + home) is not None:
        raise codes.GiveUp(IN_THE_WAY % log.shown(where.directory + home))
    above = t.kind(where.directory + HOME)
    if above not in (None, "directory"):
        raise codes.GiveUp("%s is a %s: make it a directory" % (log.shown(where.directory + HOME), above))
    if above is None:
        t.make_directory(where.directory + HOME, 0o755, owner)
    t.make_directory(where.directory + home, 0o700, who)
    for part in MAILDIR:
        t.make_directory(where.directory + home + b"/Maildir" + part, 0o700, who)
    line = b":".join((name, password_hash, b"%d" % who[0], b"%d" % who[1], real_name, home, SHELL))
    usertexts.change(t, where, name, line, {b"quota": quota} if quota else None)
    lastlogin.forget(where.name, name)          # of another who bore the name
    return shadowed(t, where, name)


def rename(t: transaction.Transaction, domain: bytes, old: bytes, new: bytes) -> "list[str]":
    """Give a user another name, and his home with it if it bears his name; what is odd about it, in words."""
    old, name = old.lower(), name_of(new)
    where = usertexts.of(t, domain)
    if old not in where.users and name in where.users:
        raise transaction.Already("there is no %s, but there is %s; nothing was changed" % (
            address(old, domain), address(name, domain)))
    entry = usertexts.entry(where, old)
    if name in where.users:
        raise codes.GiveUp("%s is there already" % address(name, domain))
    last = lastlogin.of(where.name, old)
    lastlogin.forget(where.name, name)          # of another who bore it
    if last is not None:
        lastlogin.keep(where.name, name, last)
    line = lines.find(where.text, old) or b""
    rest = line.split(b":")[1:]
    home = HOME + b"/" + name
    if entry.home.strip(b"/") == (HOME + b"/" + old).strip(b"/") and is_own(where, entry):
        if t.kind(where.directory + home) is not None:
            raise codes.GiveUp(IN_THE_WAY % log.shown(where.directory + home))
        t.move(where.directory + HOME + b"/" + old, where.directory + home)
        rest[4] = home
    t.write(where.directory + virtual.TEXT, lines.replace(where.text, old, b":".join([name, *rest])))
    changed = where.options_text
    if old in where.options:
        line = lines.find(changed, old) or b""
        changed = lines.replace(changed, old, name + line[len(old):])
    of_domain = dict(where.options.get(options.DOMAIN, {}))
    if of_domain.get(b"catchall", b"").lower() == old:
        of_domain[b"catchall"] = name
        changed = lines.replace(changed, options.DOMAIN, options.line(options.DOMAIN, of_domain))
    if changed != where.options_text:
        t.write(where.directory + virtual.OPTIONS, changed)
    oldlogins.user_renamed(t, where.name, old, name)
    t.compile(where.name)
    return shadowed(t, where, name) + aliases.without_mailbox(t, where.name, old)


def suspend(t: transaction.Transaction, domain: bytes, user: bytes, what: "frozenset[bytes]") -> None:
    """What the user may not do from now on, of login, receive, send.  Already if that is so."""
    _suspend(t, domain, user, lambda before: before | what)


def resume(t: transaction.Transaction, domain: bytes, user: bytes, what: "frozenset[bytes]") -> None:
    """What the user may do again, of login, receive, send.  Already if that is so."""
    _suspend(t, domain, user, lambda before: before - what)


def set_option(t: transaction.Transaction, domain: bytes, user: bytes, key: bytes, value: bytes) -> None:
    """Give an option of a user, or of * for all of them, a value; b"" takes it away.  Already if it has that."""
    name = user.lower()
    where = usertexts.of(t, domain)
    if name != options.EVERYBODY:
        usertexts.entry(where, name)
    _set(t, where, name, key, value)


def set_real_name(t: transaction.Transaction, domain: bytes, user: bytes, real_name: bytes) -> None:
    """Give a user another real name."""
    _check_real_name(real_name)
    _set_field(t, domain, user, 4, real_name)


def set_password(t: transaction.Transaction, domain: bytes, user: bytes, password_hash: bytes) -> None:
    """Give a user another password, of which this is the hash."""
    _set_field(t, domain, user, 1, password_hash)


def names(domain: bytes) -> "list[bytes]":
    """All users, in the order of the passwd file."""
    return list(usertexts.look(domain, disk.read).users)


def info(domain: bytes, user: bytes) -> "dict[str, object]":
    """What there is to know of a user but his password."""
    return next(infos(domain, [user]))


def infos(domain: bytes, users: "Iterable[bytes]") -> "Iterator[dict[str, object]]":
    """The same of some users, one after the other, from texts that are read once."""
    where = usertexts.look(domain, disk.read)
    return (_info(where, each.lower()) for each in users)


def _info(where: usertexts.Domain, name: bytes) -> "dict[str, object]":
    entry = usertexts.entry(where, name)
    line = lines.find(where.text, name) or b""
    allowed, suspended, dotqmail = domainsettings.of_user(where.options, name)
    home = where.directory + b"/" + entry.home.strip(b"/")
    last = lastlogin.of(where.name, name)
    return {"name": name, "domain": where.name, "uid": entry.uid, "gid": entry.gid, "real_name": line.split(b":")[4],
            "home": home, "password": _kind(entry.password), "quota": allowed,
            "suspended": suspended, "suspended_by_domain": options.words(
                where.options.get(options.DOMAIN, {}).get(b"suspended", b"")), "dotqmail": dotqmail,
            "options": where.options.get(name, {}),
            "last_login": last.time if last else None, "last_ip": last.ip if last else None}


def _set(t: transaction.Transaction, where: usertexts.Domain, name: bytes, key: bytes, value: bytes) -> None:
    values = dict(where.options.get(name, {}))
    if values.get(key, b"") == value:
        raise transaction.Already("%s has that already; nothing was changed" % address(name, where.name))
    values[key] = value
    if not value:
        del values[key]
    usertexts.write_options(t, where, name, values)
    t.compile(where.name)


def _suspend(t: transaction.Transaction, domain: bytes, user: bytes,
             changed: "Callable[[frozenset[bytes]], frozenset[bytes]]") -> None:
    name = user.lower()
    where = usertexts.of(t, domain)
    usertexts.entry(where, name)
    everybody = where.options.get(options.EVERYBODY, {}).get(b"suspended", b"")
    before = options.words(where.options.get(name, {}).get(b"suspended", everybody))
    after = changed(before)
    if after == before:
        raise transaction.Already("%s %s; nothing was changed" % (address(name, domain), (
            "is suspended (%s) already" % b", ".join(sorted(before)).decode() if before else "is not suspended")))
    values = dict(where.options.get(name, {}))
    if after == options.words(everybody):
        values.pop(b"suspended", None)
    else:
        values[b"suspended"] = b",".join(each for each in options.SUSPENSIONS if each in after)
    usertexts.write_options(t, where, name, values)
    t.compile(domain)


def _set_field(t: transaction.Transaction, domain: bytes, user: bytes, number: int, value: bytes) -> None:
    name = user.lower()
    where = usertexts.of(t, domain)
    usertexts.entry(where, name)
    fields = (lines.find(where.text, name) or b"").split(b":")
    if fields[number] == value:
        raise transaction.Already("%s has that already; nothing was changed" % address(name, domain))
    fields[number] = value
    usertexts.change(t, where, name, b":".join(fields), None)


def check_room(where: usertexts.Domain) -> None:
    """GiveUp if the domain may have no more mailboxes."""
    most = domainsettings.of_domain(where.options.get(options.DOMAIN, {})).limits.get(b"mailboxes")
    if most is not None and len(where.users) >= most:
        raise codes.GiveUp("%s has %d mailboxes and may have %d; the postmaster can allow more" % (
            where.name.decode(), len(where.users), most))


def _check_real_name(real_name: bytes) -> None:
    if len(real_name) > LONGEST or any(each < 32 or each in (58, 127) for each in real_name):
        raise codes.GiveUp("a real name has %d bytes at most, and no colon" % LONGEST)


def _owner(t: transaction.Transaction, domain: bytes) -> "tuple[int, int]":
    """Uid and gid of the domain's owner."""
    try:
        return domains.owner(t, domain)         # as it is going to be
    except codes.GiveUp:                        # no line of its own: a UNIX user's
        found = virtual.owner(domain, rewrite.Rules())
        if found is None:
            raise
        return found.uid, found.gid


def _ids(t: transaction.Transaction, where: usertexts.Domain, owner: "tuple[int, int]",
         uid: "int | None") -> "tuple[int, int]":
    """Uid and gid of a new user."""
    single = uids.installation()
    if single is not None:
        return single
    least = max(control.number(b"minuid"), 1)
    if uid is not None:
        if uid < least:
            raise codes.GiveUp("uid %d is below %d (control/minuid): not allowed" % (uid, least))
        return owner if uid == owner[0] else (uid, uid)
    settings = domainsettings.of_domain(where.options.get(options.DOMAIN, {}))
    own = {(each.uid, each.gid) for each in where.users.values()}
    if settings.uids == b"owner" or own == {owner}:
        return owner
    number = uids.free(t, {each for pair in own for each in pair})
    return number, number


def is_own(where: usertexts.Domain, entry: passwd.Entry) -> bool:
    """Whether nothing but this user lives in his home."""
    home = b"/".join(each for each in entry.home.split(b"/") if each not in (b"", b"."))
    if home.partition(b"/")[0] in KEPT and (b"/" not in home or not home.startswith(b"home/")):
        return False
    others = (b"/".join(part for part in each.home.split(b"/") if part not in (b"", b"."))
              for each in where.users.values() if each.name != entry.name)
    return not any(each == home or each.startswith(home + b"/") for each in others)


def shadowed(t: transaction.Transaction, where: usertexts.Domain, name: bytes) -> "list[str]":
    """A word about an alias of the same name, which gets the mail instead."""
    alias = b".qmail-" + name.replace(b".", b":")
    if name == b"default" or t.kind(where.directory + b"/" + alias) is None:
        return []
    return ["there is an alias of that name (%s): mail goes there, not into the mailbox" % log.shown(alias)]


def _kind(stored: bytes) -> str:
    """What a stored password is, without any of it."""
    if stored in (b"", b"x") or stored[:1] in (b"*", b"!"):
        return "none"
    if stored[:1] == b"{":
        return stored[1:].partition(b"}")[0].decode("ascii", "replace").lower()
    if stored.count(b"$") > 1:
        return SCHEMES.get(stored.split(b"$")[1], "unknown")
    return "des" if len(stored) < 24 else "md5"             # without a salt, as tpop3d had it


def address(name: bytes, domain: bytes) -> str:
    """An address for people."""
    return log.shown(name + b"@" + domain)

