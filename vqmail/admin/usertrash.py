"""The users of a domain that were deleted: put into the trash, brought back, removed for good.

    D/.trash/TIME.USER/     of a deleted one: home, passwd and options, his lines; only for root

Every function that changes something is given the transaction, and does not commit it.
"""

import time

from vqmail import codes
from vqmail.admin import aliases, disk, mailboxes, transaction, usertexts
from vqmail.formats import lines, options, passwd
from vqmail.store import control
from vqmail.unix import log

TRASH = b"/.trash"


def delete(t: transaction.Transaction, domain: bytes, user: bytes) -> "list[str]":
    """Take a user away, into the trash; what is odd about it, in words."""
    name = user.lower()
    where = usertexts.look(domain, t.read)
    entry = usertexts.entry(where, name)
    place = _new_trash(t, where, name)
    odd = []
    t.write(place + b"/passwd", (lines.find(where.text, name) or b"") + b"\n", 0o600, usertexts.ours())
    if name in where.options:
        t.write(place + b"/options", (lines.find(where.options_text, name) or b"") + b"\n", 0o600, usertexts.ours())
    home = b"/" + entry.home.strip(b"/")
    if not mailboxes.is_own(where, entry):
        odd.append("the home %s is not only this user's: it stays where it is" % log.shown(home))
    elif t.kind(where.directory + home) == "directory":
        t.move(where.directory + home, place + b"/home")
    usertexts.change(t, where, name, None, {})
    if where.options.get(options.DOMAIN, {}).get(b"catchall", b"").lower() == name:
        odd.append("this user was the catch-all of %s; mail for nobody waits now: name another" % domain.decode())
    return odd + aliases.without_mailbox(t, where.name, name)


def restore(t: transaction.Transaction, domain: bytes, user: bytes) -> "list[str]":
    """Bring a deleted user back, as he was when he was last deleted; what is odd about it, in words."""
    name = mailboxes.name_of(user)
    where = usertexts.look(domain, t.read)
    if name in where.users:
        raise transaction.Already("%s is there already; nothing was changed" % mailboxes.address(name, domain))
    found = [each for each in _trash(where) if each.partition(b".")[2] == name]
    if not found:
        raise codes.GiveUp("there is no %s in the trash" % mailboxes.address(name, domain))
    place = where.directory + TRASH + b"/" + found[-1]
    text = t.read(place + b"/passwd") or b""
    chosen = t.read(place + b"/options")
    try:
        entries = list(passwd.entries(text.split(b"\n"), max(control.number(b"minuid"), 1)))
        values = options.parse((chosen or b"").split(b"\n")).get(name, {})
    except ValueError as error:
        raise codes.GiveUp("%s: %s" % (log.shown(place), error)) from None
    if len(entries) != 1 or entries[0].name != name:
        raise codes.GiveUp("%s/passwd is not the line of %s" % (log.shown(place), log.shown(name)))
    mailboxes.check_room(where)
    home = where.directory + b"/" + entries[0].home.strip(b"/")
    odd: list[str] = []
    if t.kind(place + b"/home") is None:
        if t.kind(home) is None:
            raise codes.GiveUp("there is no home of %s in the trash, nor %s" % (
                mailboxes.address(name, domain), log.shown(home)))
    elif t.kind(home) is not None:
        raise codes.GiveUp("%s is there: move it away" % log.shown(home))
    else:
        t.move(place + b"/home", home)
    usertexts.change(t, where, name, lines.find(text, name), values or None)
    t.remove_tree(place)
    return odd + mailboxes.shadowed(t, where, name)


def purge(t: transaction.Transaction, domain: bytes, user: bytes = b"", before: "int | None" = None) -> int:
    """Empty the trash of a domain's users: of one, or of all, deleted before that time; how many there were."""
    where = usertexts.look(domain, t.read)
    count = 0
    for each in _trash(where):
        when, _, name = each.partition(b".")
        if (not user or name == user.lower()) and (before is None or int(when) < before):
            t.remove_tree(where.directory + TRASH + b"/" + each)
            count += 1
    if not count:
        raise transaction.Already("there is nothing to be removed in the trash of %s" % domain.decode())
    return count


def deleted(domain: bytes) -> "list[tuple[bytes, int]]":
    """(user, time) of all in the trash, the oldest first."""
    found = _trash(usertexts.look(domain, disk.read))
    return [(each.partition(b".")[2], int(each.partition(b".")[0])) for each in found]


def _trash(where: usertexts.Domain) -> "list[bytes]":
    """The names in the trash, the oldest first."""
    found = [each for each in disk.names(where.directory + TRASH) if each.partition(b".")[0].isdigit()]
    return sorted(found, key=lambda each: int(each.partition(b".")[0]))


def _new_trash(t: transaction.Transaction, where: usertexts.Domain, name: bytes) -> bytes:
    """A fresh directory in the trash."""
    trash = where.directory + TRASH
    if t.kind(trash) is None:
        t.make_directory(trash, 0o700, usertexts.ours())
    now = int(time.time())
    while t.kind(trash + b"/%d." % now + name) is not None:
        now += 1
    place = trash + b"/%d." % now + name
    t.make_directory(place, 0o700, usertexts.ours())
    return place
