"""Who gets mail for a name in a domain whose owner hands it to virtmailfilter: the one answer, for the service that
delivers, for SMTP, and for whoever explains it (DESIGN D11).

    mailbox     the user of just that name
    extension   bob of bob-lists and bob+lists: the longest user for whom a character of `extensions` comes next
    catch-all   what the owner's dot-qmail file gives virtmailfilter as an argument, else the option catchall:
                a user, an address, delete
    nobody

The owner's own .qmail-NAME files have come before all of that: store/home.  An option is data: it names a user or an
address, nothing in it is ever a program or a path.
"""

from vqmail import codes
from vqmail.formats import envelope, passwd
from vqmail.record import Record
from vqmail.store import aliasdomain, domainsettings, rewrite, virtual

TYPE_CHECKING = False
if TYPE_CHECKING:
    Steps = list[tuple[bytes, bytes]]           # (file or rule, what it decided)

MAILBOX = b"mailbox"            # a virtual user's
FORWARD = b"forward"            # goes on to the address `target`
DELETE = b"delete"              # accepted, and dropped
MAILDIR = b"maildir"            # into the owner's own maildir `target`: only by an argument that he wrote
MOVED = b"moved"                # is at the address `target` now, and the sender is told
SUSPENDED = b"suspended"        # there is such a mailbox, but it receives nothing for now
NOBODY = b"nobody"

BOUNCE = (b"", b"bounce-no-mailbox")            # a catch-all that is none
ATTEMPTS = 20                   # separators in a name that are tried, the first ones
UNSAFE = b'|&<>"\\/'           # what an address that mail goes on to need not have, and a program line might


class Verdict(Record):
    """What was decided.  `domain` is whose users were asked, `ext` is what follows the user's name and a separator,
    None if nothing does; `target` the address or the path; `reason` says why it is NOBODY or SUSPENDED, or by which
    catch-all it is what it is.
    """

    __slots__ = ("kind", "domain", "user", "ext", "target", "reason", "settings")
    kind: bytes
    domain: bytes
    user: "virtual.User | None"
    ext: "bytes | None"
    target: bytes
    reason: str
    settings: "domainsettings.Settings | None"


def decide(domain: bytes, name: bytes, rules: rewrite.Rules, argument: "bytes | None" = None,
           steps: "Steps | None" = None, *, as_compiled: bool = False, above: "bytes | None" = None) -> Verdict:
    """What happens to mail for `name` at `domain`; `argument` is what virtmailfilter was told to do for nobody.

    `steps` are told what was decided where; `as_compiled` and `above` are virtual.Table's.

    Stale, or TryLater on trouble.
    """
    name, asked = name.lower(), domain.lower()
    if not virtual.usable_domain(asked):
        return Verdict(NOBODY, asked, None, None, b"", "no domain can be called so", None)
    if not _usable(name):
        return Verdict(NOBODY, asked, None, None, b"", "nobody can be called so", None)
    above = virtual.root() if above is None else above
    real = aliasdomain.real(asked, above)
    if steps is not None and real != asked:
        steps.append((virtual.domain_directory(asked), b"is a link: the users are those of %s" % real))
    with virtual.Table(real, as_compiled=as_compiled, above=above) as table:
        settings = table.settings()
        found = _mailbox(table, name, settings, real, steps)
        if found is None:
            found = _catchall(table, settings, real, rules, argument, steps)
    if found.user is not None:
        suspended = b"receive" in found.user.suspended
    else:
        suspended = found.kind != NOBODY and b"receive" in settings.suspended
    if suspended:
        if steps is not None:
            steps.append((_file(real, virtual.OPTIONS), b"receiving is suspended"))
        found.kind, found.reason = SUSPENDED, "it is suspended in %s" % _text(_file(real, virtual.OPTIONS))
    elif found.user is not None and found.user.moved:
        where = _file(real, virtual.OPTIONS)
        if steps is not None:
            steps.append((where, b"%s has moved to %s" % (found.user.name, found.user.moved)))
        found.kind, found.target, found.reason = MOVED, found.user.moved, "%s says so" % _text(where)
    return found


def _mailbox(table: virtual.Table, name: bytes, settings: domainsettings.Settings, domain: bytes,
             steps: "Steps | None") -> "Verdict | None":
    """The verdict of `name` itself, or of the longest user whom it extends."""
    places = [at for at in range(1, len(name)) if name[at] in settings.extensions][:ATTEMPTS]
    table.expect([name, *(name[:at] for at in places)])
    for at in (len(name), *reversed(places)):
        user = table.user(name[:at])
        ext = name[at + 1:] if at < len(name) else None
        if steps is not None:
            steps.append((_file(domain, virtual.TEXT), b"has %s user %s%s" % (
                b"no" if user is None else b"the", name[:at],
                b"" if user is None or ext is None else b"; %s is an extension" % ext)))
        if user is not None:
            return Verdict(MAILBOX, domain, user, ext, b"", "", settings)
    return None


def _catchall(table: virtual.Table, settings: domainsettings.Settings, domain: bytes, rules: rewrite.Rules,
              argument: "bytes | None", steps: "Steps | None") -> Verdict:
    what = settings.catchall if argument is None else argument
    where = _file(domain, virtual.OPTIONS) if argument is None else b"argument of virtmailfilter"
    shown = _text(where)
    if steps is not None:
        steps.append((where, b"has no catch-all" if what in BOUNCE else b"catch-all %s" % what))
    if what in BOUNCE:
        return Verdict(NOBODY, domain, None, None, b"", "no such user in %s, and no catch-all in %s" % (
            _text(_file(domain, virtual.TEXT)), shown), settings)
    reason = "catch-all of %s" % shown
    if what == DELETE:
        return Verdict(DELETE, domain, None, None, b"", reason, settings)
    if what[:1] == b"/" and argument is not None and b"\0" not in what and b"\n" not in what:
        return Verdict(MAILDIR, domain, None, None, what, reason, settings)
    if b"@" in what:
        if not _is_address(what):
            raise codes.TryLater("%s: catch-all %s is no address that mail can go to" % (shown, _text(what)))
        if not settings.forwarding and rules.rewrite(what)[0] == rewrite.REMOTE:
            raise codes.TryLater("%s: catch-all %s is elsewhere, but %s has forwarding=no" % (
                shown, _text(what), _text(_file(domain, virtual.OPTIONS))))
        return Verdict(FORWARD, domain, None, None, what, reason, settings)
    user = table.user(what)
    if user is None:                            # a mistake of whoever wrote it: nothing is bounced for that
        raise codes.TryLater("%s: catch-all %s is no user of %s" % (shown, _text(what), _text(domain)))
    return Verdict(MAILBOX, domain, user, None, b"", reason, settings)


def _usable(name: bytes) -> bool:
    """Whether a name may reach anybody, a catch-all included."""
    return (0 < len(name) <= passwd.LONGEST and name not in (b".", b"..") and b"/" not in name
            and all(each > 32 and each != 127 for each in name))


def _is_address(what: bytes) -> bool:
    local, _, host = what.rpartition(b"@")
    return (bool(local and host) and len(what) <= envelope.ADDRESS_LIMIT and not any(each in UNSAFE for each in what)
            and all(each > 32 and each != 127 for each in what))


def _file(domain: bytes, name: bytes) -> bytes:
    return virtual.domain_directory(domain) + name


def _text(text: bytes) -> str:
    return "".join(chr(each) if 32 <= each < 127 else "?" for each in text[:300])
