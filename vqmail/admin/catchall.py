"""Who gets mail for nobody in a domain: the option catchall, which .qmail-default must ask (virtmailfilter)."""

from vqmail import codes
from vqmail.admin import aliasplace, aliastargets, domains, transaction
from vqmail.admin.aliasplace import DEFAULT, PREFIX, Place
from vqmail.admin.transaction import Already
from vqmail.formats import dotqmail
from vqmail.store import resolver
from vqmail.unix import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.transaction import Transaction

FILTER = b"| virtmailfilter\n"
DELETE, BOUNCE = b"delete", b"bounce"


def set_to(t: "Transaction", domain: bytes, what: bytes) -> None:
    """Say who gets mail for nobody in the domain: a user, an address, delete, or bounce.  Already if that is so."""
    where = aliasplace.look(t, domain)
    value: bytes | None
    if what in (b"", BOUNCE, DELETE):
        value = DELETE if what == DELETE else None
    else:
        line = aliastargets.named(where, b"", what)
        local, _, host = line.what.rpartition(b"@")
        if host == domain and local in where.users:
            value = local
        else:
            aliastargets.must_go(t, where, line)
            value = line.what
        if aliastargets.is_outside(where, line):
            aliastargets.must_forward(where, line)
    rewritten = _hand_over(t, where)
    if where.settings.catchall != (value or b""):
        domains.set_options(t, domain, {b"catchall": value})
    elif not rewritten:
        raise Already("that is the catch-all of %s already; nothing was changed" % domain.decode())


def of(domain: bytes) -> bytes:
    """Who gets mail for nobody: a user, an address, delete, or bounce."""
    t = transaction.Transaction()               # only to look: it takes no lock
    where = aliasplace.look(t, domain)
    words = _handed_over(t.read(where.directory + PREFIX + DEFAULT) or b"")
    if words is None:
        return b"what .qmail-default says"
    return (words[-1] if len(words) > 1 else where.settings.catchall) or BOUNCE


def _handed_over(text: bytes) -> "list[bytes] | None":
    """The words of a .qmail-default that does nothing but hand mail to virtmailfilter; None of any other."""
    try:
        found = dotqmail.parse(text)
    except ValueError:
        return None
    words = dotqmail.plain_words(found[0].what) if len(found) == 1 and found[0].kind == dotqmail.PROGRAM else None
    if not words or words[0].rpartition(b"/")[2] not in resolver.FILTERS:
        return None
    return words[:1] + words[-1:] if len(words) > 1 else words


def _hand_over(t: "Transaction", where: Place) -> bool:
    """See that .qmail-default asks the option catchall; whether it had to be written for that."""
    path = where.directory + PREFIX + DEFAULT
    text = t.read(path)
    words = None if text is None else _handed_over(text)
    if text is not None and words is None:
        raise codes.GiveUp("%s does not just hand mail to virtmailfilter: whoever wrote it decides" %
                           log.shown(path))
    if words is not None and len(words) == 1:
        return False
    if text is None:
        t.write(path, FILTER, 0o644, where.owner)
    else:
        t.write(path, FILTER)
    return True
