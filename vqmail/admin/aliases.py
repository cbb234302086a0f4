"""Aliases of a domain: dot-qmail files D/.qmail-NAME, the owner's, written for him (formats/aliasfile).

A target is an address, or a bare name of the domain; an address that is its own target keeps a copy in the mailbox of
that name.  A target is never a program nor a file, whatever it says.  The lines of a person stay what they are.

Every function that changes something is given the transaction, and does not commit it.  `domain` is a domain's own
name, not another name of it.
"""

from vqmail import codes
from vqmail.admin import aliasplace, aliastargets, transaction
from vqmail.admin.aliasplace import DEFAULT, Place
from vqmail.admin.aliastargets import ROLES
from vqmail.admin.transaction import Already
from vqmail.formats import aliasfile, quoting
from vqmail.formats.aliasfile import COPY, FOREIGN, FORWARD, RESPONDER, Line
from vqmail.store import domainsettings, virtual
from vqmail.unix import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from vqmail.admin.transaction import Transaction

LONGEST = 200                   # bytes of a name; a file's may have 255
ALLOWED = quoting.PLAIN.replace(b"/", b"")


def name_of(given: bytes, *, wildcard: bool = False) -> bytes:
    """The name of an alias, as its file has it but for the colons.  GiveUp unless an address may be called so."""
    name = given.lower()
    shown = log.shown(given)
    if not name or len(name) > LONGEST or name.translate(None, ALLOWED):
        raise codes.GiveUp("%s: an alias has letters, digits, dots and %s, and no more than %d of them" % (
            shown, ALLOWED[62:-1].decode(), LONGEST))
    if name[:1] == b"." or name[-1:] == b"." or b".." in name:
        raise codes.GiveUp("%s: an alias has no dot at its beginning or end, nor two in a row" % shown)
    if wildcard:
        name = name if name.endswith(b"-" + DEFAULT) else name.rstrip(b"-") + b"-" + DEFAULT
    if name == DEFAULT:
        raise codes.GiveUp("%s is what decides on all mail of the domain; for mail to nobody see vq-alias catchall" %
                           shown)
    if name.endswith(b"-" + DEFAULT) and not wildcard:
        raise codes.GiveUp("%s stands for all names that begin with %s; if that is meant, say --wildcard" % (
            shown, log.shown(name[:-len(DEFAULT)])))
    return name


def add(t: "Transaction", domain: bytes, name: bytes, targets: "Iterable[bytes]") -> "list[str]":
    """Add targets to an alias, which is made if it is not there; what is odd about it, in words.  Already if it has all
    of them.
    """
    where = aliasplace.look(t, domain)
    before = aliasplace.lines(t, where, name) or []
    fresh = [each for each in aliastargets.lines_of(t, where, name, targets) if not aliasfile.has(before, each)]
    if not fresh:
        raise Already("%s goes there already; nothing was changed" % aliasplace.address(name, domain))
    after = _with(before, fresh)
    _write(t, where, name, before, after)
    return _hidden(where, name, after)


def replace(t: "Transaction", domain: bytes, name: bytes, targets: "Iterable[bytes]") -> "list[str]":
    """Give an alias these targets and no others; what is odd about it, in words.  Already if that is so."""
    where = aliasplace.look(t, domain)
    before = aliasplace.lines(t, where, name) or []
    wanted = aliastargets.lines_of(t, where, name, targets)
    kept = [each for each in before if each.kind not in (FORWARD, COPY) or aliasfile.has(wanted, each)]
    after = _with(kept, [each for each in wanted if not aliasfile.has(kept, each)])
    if not wanted or (before and aliasfile.text(after) == aliasfile.text(before)):
        raise Already("%s goes there already; nothing was changed" % aliasplace.address(name, domain))
    _write(t, where, name, before, after)
    return _hidden(where, name, after)


def remove(t: "Transaction", domain: bytes, name: bytes, targets: "Iterable[bytes]" = ()) -> "list[str]":
    """Remove targets of an alias, all of them and its automatic answer if none is named; what is odd then, in words.

    An alias without targets goes, and a file that only keeps a copy; programs and files that somebody wrote stay.
    Already if there is nothing to be removed.
    """
    where = aliasplace.look(t, domain)
    before = aliasplace.lines(t, where, name)
    if before is None:
        raise Already("there is no alias %s; nothing was changed" % aliasplace.address(name, domain))
    unwanted = [aliastargets.named(where, name, each) for each in targets]
    kinds = (FORWARD, COPY) if unwanted else (FORWARD, COPY, RESPONDER)
    after = [each for each in before if each.kind not in kinds
             or (unwanted and not aliasfile.has(unwanted, each))]
    if len(after) == len(before):
        raise Already("%s does not go there; nothing was changed" % aliasplace.address(name, domain))
    if not unwanted:
        _forget_answers(t, where, name)
    _write(t, where, name, before, after)
    left = aliasfile.of(after, FOREIGN)
    if not aliasfile.of(after, FORWARD, RESPONDER, FOREIGN) and name not in where.users:
        return _left_behind(t, where, name)
    return ["lines that somebody wrote stay in %s: %s" % (log.shown(aliasplace.path(where, name)), "; ".join(
        log.shown(each.text) for each in left))] if left else []


def without_mailbox(t: "Transaction", domain: bytes, name: bytes) -> "list[str]":
    """The mailbox `name` was taken away in this transaction: take away the copy that an alias keeps in it; what is odd
    then, in words."""
    try:
        where = aliasplace.look(t, domain)
        before = aliasplace.lines(t, where, name)
    except codes.GiveUp:                        # not ours to write, or not in order: the mailbox goes all the same
        return []
    if before is None:
        return _left_behind(t, where, name)
    if aliasfile.of(before, COPY):
        _write(t, where, name, before, [each for each in before if each.kind != COPY])
    return ["mail for %s goes on to where the alias of that name says" % aliasplace.address(name, domain)]


def add_roles(t: "Transaction", domain: bytes, to: bytes, owner: "tuple[int, int] | None" = None) -> "list[bytes]":
    """Make the role addresses that are not there, as aliases to `to`; which ones.  No limit counts them."""
    where = aliasplace.look(t, domain, owner)
    made = []
    for name in ROLES:
        line = aliastargets.named(where, name, to)
        if line.kind == COPY or name in where.users or t.kind(aliasplace.path(where, name)) is not None:
            continue                            # it is somebody's, or would go round in a circle
        aliasplace.put(t, where, name, [line])
        made.append(name)
    return made


def names(domain: bytes) -> "list[bytes]":
    """The names of all aliases, in order; one that ends in -default stands for all that begin so."""
    return aliasplace.names(transaction.Transaction(), virtual.domain_directory(domain))


def targets(domain: bytes, name: bytes) -> "list[bytes]":
    """Where an alias goes: addresses, its own one for a copy in the mailbox.  GiveUp if there is no such alias."""
    found = info(domain, name)["targets"]
    assert isinstance(found, list)
    return found


def info(domain: bytes, name: bytes) -> "dict[str, object]":
    """What there is to know of an alias.  GiveUp if there is none."""
    t = transaction.Transaction()               # only to look: it takes no lock
    directory = virtual.domain_directory(domain)
    where = Place(domain, directory, frozenset(), domainsettings.of_domain({}), (0, 0))
    found = aliasplace.lines(t, where, name)
    if found is None:
        raise codes.GiveUp("there is no alias %s" % aliasplace.address(name, domain))
    own = name + b"@" + domain
    return {"name": name, "address": own, "wildcard": name.endswith(b"-" + DEFAULT), "role": name in ROLES,
            "targets": [own if each.kind == COPY else each.what for each in aliasfile.of(found, FORWARD, COPY)],
            "copy": bool(aliasfile.of(found, COPY)), "autoresponder": bool(aliasfile.of(found, RESPONDER)),
            "other": [each.text for each in aliasfile.of(found, FOREIGN)]}


def set_autoresponder(t: "Transaction", domain: bytes, name: bytes, message: bytes, seconds: int = 0) -> None:
    """Have an address answer automatically with `message`, each sender once in `seconds`, or as long as
    vq-autorespond thinks fit.  A mailbox of that name gets its mail as before.
    """
    where = aliasplace.look(t, domain)
    before = aliasplace.lines(t, where, name) or []
    place = _answers(name)
    if not message.strip() or b"\0" in message:
        raise codes.GiveUp("there is no text in the message")
    arguments = b"-t %d " % seconds if seconds else b""
    line = aliasfile.responder(arguments + place[1:] + b"/message " + place[1:])
    # the answer comes first: should delivery fail after it and be done again, nobody is answered twice
    after = [line, *(each for each in before if each.kind != RESPONDER)]
    if not before and name in where.users:
        after.append(aliasfile.copy())
    path = where.directory + place + b"/message"
    if aliasfile.text(after) == aliasfile.text(before) and t.read(path) == message:
        raise Already("%s answers so already; nothing was changed" % aliasplace.address(name, domain))
    for each in (where.directory + place.rpartition(b"/")[0], where.directory + place):
        if t.kind(each) is None:
            t.make_directory(each, 0o700, where.owner)
    t.write(path, message, 0o600, where.owner)
    if aliasfile.text(after) != aliasfile.text(before):
        _write(t, where, name, before, after)


def remove_autoresponder(t: "Transaction", domain: bytes, name: bytes) -> None:
    """Have an address answer no more.  Already if it does not."""
    where = aliasplace.look(t, domain)
    before = aliasplace.lines(t, where, name) or []
    if not aliasfile.of(before, RESPONDER):
        raise Already("%s does not answer; nothing was changed" % aliasplace.address(name, domain))
    _forget_answers(t, where, name)
    _write(t, where, name, before, [each for each in before if each.kind != RESPONDER])


def _hidden(where: Place, name: bytes, lines: "list[Line]") -> "list[str]":
    """A word about a mailbox of the same name that gets nothing any more."""
    if name not in where.users or aliasfile.of(lines, COPY, FOREIGN):
        return []
    return ["%s is a mailbox, too, and gets no mail while there is this alias; vq-alias add --copy keeps it there" %
            aliasplace.address(name, where.domain)]


def _left_behind(t: "Transaction", where: Place, name: bytes) -> "list[str]":
    """A word about each alias that goes to one that is no more."""
    own = aliasfile.forward(name + b"@" + where.domain)
    found = []
    for each in aliasplace.names(t, where.directory):
        try:
            if each != name and aliasfile.has(aliasplace.lines(t, where, each) or [], own):
                found.append("%s still goes there, where nobody is now" % (
                    aliasplace.address(each, where.domain)))
        except codes.GiveUp:                    # somebody's own file, and not in order
            continue
    if where.settings.catchall == own.what:
        found.append("it was the catch-all of %s; name another" % where.domain.decode())
    return found


def _write(t: "Transaction", where: Place, name: bytes, before: "list[Line]", after: "list[Line]") -> None:
    """Put an alias there as it is to be, if the domain may have it; one that does nothing of its own goes."""
    wanted = aliasfile.of(after, FORWARD, RESPONDER, FOREIGN)
    if not wanted:
        t.remove(aliasplace.path(where, name))
        return
    for each in aliasfile.of(after, FORWARD):
        if aliastargets.is_outside(where, each) and not aliasfile.has(before, each):
            aliastargets.must_forward(where, each)
    had = aliastargets.counted(where, name, before)
    for kind in aliastargets.counted(where, name, after):
        most = where.settings.limits.get(kind)
        if kind not in had and most is not None and aliastargets.count(t, where, kind) >= most:
            raise codes.GiveUp("%s may have %d %s and has as many; the postmaster can allow more" % (
                where.domain.decode(), most, kind.decode()))
    aliasplace.put(t, where, name, after)


def _with(lines: "list[Line]", fresh: "list[Line]") -> "list[Line]":
    """`lines` and fresh targets: a copy where it is done before anybody's programs end the file."""
    copies = aliasfile.of(fresh, COPY)
    at = 1 + max((number for number, each in enumerate(lines) if each.kind == RESPONDER), default=-1)
    return lines[:at] + copies + lines[at:] + aliasfile.of(fresh, FORWARD)


def _answers(name: bytes) -> bytes:
    """Where the message and the memory of an automatic answer are, below the domain's directory."""
    plain = b"abcdefghijklmnopqrstuvwxyz0123456789-_+."
    return b"/.autorespond/" + b"".join(b"%c" % each if each in plain else b"=%02X" % each for each in name)


def _forget_answers(t: "Transaction", where: Place, name: bytes) -> None:
    for each in (b"/message", b"/answered"):
        path = where.directory + _answers(name) + each
        if t.kind(path) is not None:
            t.remove(path)
