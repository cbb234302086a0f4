"""Domains: added, deleted, put back, renamed, suspended, with all that belongs to them in one transaction.

    /virtual/DOMAIN             its directory, the owner's
    /virtual/DOMAIN/etc         its users and options, root's: what the owner may not do he cannot write there
    /virtual/ALIAS -> DOMAIN    a domain that is another name of one
    control/rcpthosts, virtualdomains, locals, users/assign     admin/tables
"""

from vqmail import codes
from vqmail.admin import disk, oldlogins, owners, problems, quotas, tables, transaction, trash, usertexts
from vqmail.admin.transaction import Already
from vqmail.formats import lines, options
from vqmail.store import aliasdomain, control, virtual

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vqmail.admin.transaction import Transaction

NEW = owners.NEW
PASSWD = b"# name:hash:uid:gid:gecos:home:shell\n"
OPTIONS = b"# name:option=value..., * for all users, @ for the domain\n"
FILTER = b"| virtmailfilter\n"


def directory(domain: bytes) -> bytes:
    """Where a domain lives."""
    return virtual.root() + b"/" + domain


def real(domain: bytes) -> bytes:
    """The domain that `domain` is another name of, or itself.  It need not be there."""
    return aliasdomain.real(domain) if virtual.usable_domain(domain) else domain


def require(t: "Transaction", domain: bytes) -> None:
    """GiveUp unless `domain` is there, under this name."""
    kind = t.kind(directory(domain)) if virtual.usable_domain(domain) else None
    if kind == "link" and real(domain) != domain:
        raise codes.GiveUp("%s is only another name of %s: if that is meant, say so; vq-domain unalias %s takes the "
                           "other name away, and no mail" % (_text(domain), _text(real(domain)), _text(domain)))
    if kind not in ("directory", "link") or tables.prefix(t, domain) is None:
        raise codes.GiveUp("there is no domain %s here; vq-domain list shows those that there are" % _text(domain))


def owner(t: "Transaction", domain: bytes) -> "tuple[int, int]":
    """Uid and gid of whoever owns `domain`, be it made in this very transaction.  GiveUp if users/assign is silent."""
    line = tables.assigned(t, tables.prefix(t, domain) or domain)
    if line is None:
        raise codes.GiveUp("users/assign has no line for %s" % _text(domain))
    fields = line.split(b":")
    return int(fields[2]), int(fields[3])


def add(t: "Transaction", domain: bytes, whose: bytes = NEW, values: "Mapping[bytes, bytes] | None" = None,
        ) -> "tuple[int, int]":
    """Add a domain without users or aliases; uid and gid of its owner.  Already if it is there.

    `whose` is the name of a UNIX user, UID:GID, or new: a uid of its own; `values` are its options.
    """
    path = directory(domain)
    _must_be_free(t, domain)
    if tables.assigned(t, domain) is not None:
        raise codes.GiveUp("users/assign has a line for %s- already; remove it first" % _text(domain))
    if t.kind(virtual.root()) is None:          # the very first domain
        t.make_directory(virtual.root(), 0o755, owners.ours())
    name, uid, gid = owners.find(t, domain, whose)
    who, ours = (uid, gid), owners.ours()
    tables.receive(t, domain)
    tables.make_virtual(t, domain, domain)
    tables.assign(t, b"+%s-:%s:%d:%d:%s:-::" % (domain, name, uid, gid, path))
    t.make_directory(path, 0o755, who)
    t.make_directory(path + b"/etc", 0o755, ours)
    t.make_directory(path + b"/home", 0o755, who)
    t.write(path + virtual.TEXT, PASSWD, 0o640, ours)
    t.write(path + b"/.qmail-default", FILTER, 0o644, who)
    if values:
        set_options(t, domain, values)
    t.compile(domain)
    return who


def delete(t: "Transaction", domain: bytes, when: int) -> bytes:
    """Take a domain and its other names away, into the trash; the directory it is in then."""
    require(t, domain)
    line = tables.assigned(t, tables.prefix(t, domain) or domain)
    record = [b"domain " + domain]
    if line is not None:
        record.append(b"assign " + line)
        tables.assign_no_more(t, tables.prefix(t, domain) or domain)
    for each in aliases_of(domain):
        record.append(b"alias " + each)
        _drop_alias(t, each)
    tables.receive_no_more(t, domain)
    tables.make_virtual_no_more(t, domain)
    return trash.put(t, domain, directory(domain), record, when)


def restore(t: "Transaction", domain: bytes, when: int = 0) -> bytes:
    """Put back the domain that was deleted last, or at `when`; its name.  Already, GiveUp."""
    _must_be_free(t, domain)
    found = trash.find(domain, when)
    record = trash.record(t, found)
    taken_out = record.get(b"assign", [])
    for line in taken_out:
        if tables.assigned(t, line[1:].partition(b"-:")[0]) is not None:
            raise codes.GiveUp("users/assign has a line for %s- again; remove it first" % _text(domain))
    trash.take(t, found, directory(domain))
    tables.receive(t, domain)
    tables.make_virtual(t, domain, taken_out[0][1:].partition(b"-:")[0] if taken_out else domain)
    for line in taken_out:
        tables.assign(t, line)
    for each in record.get(b"alias", []):
        if t.kind(directory(each)) is None and tables.prefix(t, each) is None:
            add_alias(t, each, domain)
    t.compile(domain)
    return domain


def rename(t: "Transaction", old: bytes, new: bytes, *, keep: bool = False) -> None:
    """Give a domain another name; with `keep` the old one goes on as another name of it."""
    require(t, old)
    _must_be_free(t, new)
    before = tables.prefix(t, old) or old
    line = tables.assigned(t, before)
    if line is None:
        raise codes.GiveUp("users/assign has no line for %s-; rename it by hand" % _text(before))
    fields = line.split(b":")
    fields[0] = b"+" + new + b"-"
    if fields[1] == old:
        fields[1] = new
    if fields[4] == directory(old):
        fields[4] = directory(new)
    others = aliases_of(old)
    tables.assign_no_more(t, before)
    tables.receive_no_more(t, old)
    tables.make_virtual_no_more(t, old)
    for each in others:
        tables.make_virtual_no_more(t, each)
    t.move(directory(old), directory(new))
    tables.assign(t, b":".join(fields))
    tables.receive(t, new)
    tables.make_virtual(t, new, new)
    for each in others:
        t.link(new, directory(each))
        tables.make_virtual(t, each, new)
    if keep:
        add_alias(t, old, new)
    oldlogins.domain_renamed(t, old, new)
    t.compile(new)


def add_alias(t: "Transaction", alias: bytes, domain: bytes) -> None:
    """Make `alias` another name of `domain`: every address of the one is an address of the other."""
    require(t, domain)
    if t.kind(directory(alias)) == "link" and real(alias) == domain:
        raise Already("%s is another name of %s already" % (_text(alias), _text(domain)))
    _must_be_free(t, alias)
    tables.receive(t, alias)
    tables.make_virtual(t, alias, tables.prefix(t, domain) or domain)
    t.link(domain, directory(alias))


def remove_alias(t: "Transaction", alias: bytes) -> None:
    """Let `alias` be no other name any more; the domain stays."""
    if not virtual.usable_domain(alias) or t.kind(directory(alias)) != "link" or real(alias) == alias:
        raise codes.GiveUp("%s is no other name of a domain; vq-domain list shows them" % _text(alias))
    _drop_alias(t, alias)


def suspend(t: "Transaction", domain: bytes, what: "Iterable[bytes]", *, end: bool = False) -> None:
    """Suspend login, receive, send for the whole domain; with `end` allow them again.  Already."""
    require(t, domain)
    before = options.words(_options(t, domain).get(options.DOMAIN, {}).get(b"suspended", b""))
    after = before - set(what) if end else before | set(what)
    if after == before:
        raise Already("%s: %s %s already" % (_text(domain), ", ".join(_text(each) for each in sorted(what)),
                                             "allowed" if end else "suspended"))
    set_options(t, domain, {b"suspended": b",".join(each for each in options.SUSPENSIONS if each in after) or None})


def set_options(t: "Transaction", domain: bytes, values: "Mapping[bytes, bytes | None]",
                name: bytes = options.DOMAIN) -> None:
    """Set options of `name`: of the domain, of all its users (*), of one.  None takes one away.  Already, GiveUp."""
    path = directory(domain) + virtual.OPTIONS
    text = t.read(path)
    before = _options(t, domain).get(name, {})
    now = dict(before)
    for key, value in values.items():
        if value is None:
            now.pop(key, None)
        else:
            now[key] = value
    try:
        fresh = options.line(name, now) if now else None
        for key in values:
            options.check(name, key, values[key] or b"")
    except ValueError as error:
        raise codes.GiveUp("nothing was changed: %s" % error) from None
    if now == before:
        raise Already("%s has that already; nothing was changed" % _text(domain))
    if name != options.DOMAIN:
        where = usertexts.look(domain, t.read)
        quotas.keep(domain, name, (where.users, where.options), (where.users, where.options | {name: now}))
    changed = lines.replace(text if text is not None else OPTIONS, name, fresh)
    if text is None:
        t.write(path, changed, 0o644, owners.ours())
    else:
        t.write(path, changed)
    t.compile(domain)


def names() -> "dict[bytes, bytes]":
    """All domains with virtual users, in order; the value is the one a name is another name of, b"" for a domain."""
    found = {}
    for each in sorted(control.mapping(b"virtualdomains")):
        kind = disk.kind(directory(each)) if virtual.usable_domain(each) else None
        if kind in ("directory", "link"):
            found[each] = aliasdomain.other(each)
    return found


def aliases_of(domain: bytes) -> "list[bytes]":
    """The other names of a domain, in order."""
    return [each for each in disk.names(virtual.root())
            if virtual.usable_domain(each) and aliasdomain.other(each) == domain]


def info(domain: bytes) -> "dict[str, object]":
    """What there is to know of a domain.  GiveUp if there is none."""
    t = transaction.Transaction()               # only to look: it takes no lock
    other = real(domain)
    require(t, other)
    set_to = _options(t, other)
    line = tables.assigned(t, tables.prefix(t, other) or other)
    fields = line.split(b":") if line is not None else [b""] * 5
    users = [each for each in (t.read(directory(other) + virtual.TEXT) or b"").split(b"\n")
             if each.strip() and not each.startswith(b"#")]
    found: dict[str, object] = {"domain": other, "directory": directory(other), "aliases": aliases_of(other),
                                "owner": fields[1], "uid": int(fields[2] or 0), "gid": int(fields[3] or 0),
                                "mailboxes": len(users), "options": set_to.get(options.DOMAIN, {}),
                                "defaults": set_to.get(options.EVERYBODY, {}),
                                "trash": [each.rpartition(b"/")[2] for each in trash.all_of(other)],
                                "problems": problems.of(t, other, aliases_of(other))}
    return found


def _must_be_free(t: "Transaction", domain: bytes) -> None:
    """Already, or GiveUp if anything is in the way of a new domain."""
    kind = t.kind(directory(domain))
    before = tables.prefix(t, domain)
    if kind == "link" and real(domain) != domain:
        raise Already("%s is another name of %s already" % (_text(domain), _text(real(domain))))
    if kind in ("directory", "link") and before is not None:
        raise Already("%s is there already" % _text(domain))
    if kind is not None:
        raise codes.GiveUp("%s is there, though %s is no domain of ours; move it away" % (
            _text(directory(domain)), _text(domain)))
    if before is not None:
        raise codes.GiveUp("control/virtualdomains has a line for %s already; remove it first" % _text(domain))


def _drop_alias(t: "Transaction", alias: bytes) -> None:
    tables.receive_no_more(t, alias)
    tables.make_virtual_no_more(t, alias)
    t.remove(directory(alias))


def _options(t: "Transaction", domain: bytes) -> "dict[bytes, dict[bytes, bytes]]":
    path = directory(domain) + virtual.OPTIONS
    try:
        return options.parse((t.read(path) or b"").split(b"\n"))
    except ValueError as error:
        raise codes.GiveUp("%s: %s" % (_text(path), error)) from None


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")
