"""What an alias may go to: addresses, and which of them; and how many aliases a domain may have."""

from vqmail import codes
from vqmail.admin import aliasplace, domains
from vqmail.formats import aliasfile, envelope
from vqmail.formats.aliasfile import COPY, FORWARD, RESPONDER, Line
from vqmail.store import home, virtual
from vqmail.unix import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from vqmail.admin.aliasplace import Place
    from vqmail.admin.transaction import Transaction

ROLES = (b"postmaster", b"abuse", b"hostmaster", b"webmaster", b"noc", b"security", b"mailer-daemon", b"root")
FIRST = (b"|", b"/", b".", b"&")    # what no target begins with: it would be a program or a file
UNUSED = b'\\"<>(),;:'            # what no address here needs
FILES = 1000                    # that are looked through for a circle


def lines_of(t: "Transaction", where: "Place", name: bytes, given: "Iterable[bytes]") -> "list[Line]":
    """The lines for targets that people gave, each once.  GiveUp if one cannot be a target, or goes nowhere."""
    found: list[Line] = []
    for each in given:
        line = named(where, name, each)
        if line.kind == COPY and name not in where.users:
            raise codes.GiveUp("%s is no mailbox, so it can keep no copy" % aliasplace.address(name, where.domain))
        if line.kind == FORWARD:
            must_go(t, where, line)
            must_end(t, where, name, line)
        if not aliasfile.has(found, line):
            found.append(line)
    return found


def named(where: "Place", name: bytes, given: bytes) -> Line:
    """The line for a target of the alias `name`: an address, or a bare name of the domain."""
    what = given.removeprefix(b"&")
    if b"@" not in what:
        what += b"@" + where.domain
    local, _, host = what.rpartition(b"@")
    if (not local or not virtual.usable_domain(host.lower()) or len(what) > envelope.ADDRESS_LIMIT
            or any(not 32 < each < 127 for each in what) or what[:1] in FIRST
            or any(each in UNUSED for each in what)):
        raise codes.GiveUp("%s is no address that mail can go to; programs and files are for the owner to write" % (
            log.shown(given)))
    host = domains.real(host.lower())
    if host == where.domain:
        local = local.lower()
        if local == name:
            return aliasfile.copy()
    return aliasfile.forward(local + b"@" + host)


def must_go(t: "Transaction", where: "Place", line: Line) -> None:
    """GiveUp if an address of this very domain is nobody's."""
    local, _, host = line.what.rpartition(b"@")
    if host != where.domain or local in where.users:
        return
    for name, _ in home.candidates(b"-", local):
        if name != aliasplace.PREFIX[1:] + aliasplace.DEFAULT and t.kind(where.directory + b"/" + name) is not None:
            return
    if not any(local[at] in where.settings.extensions and local[:at] in where.users for at in range(1, len(local))):
        raise codes.GiveUp("%s is neither a mailbox nor an alias; add it first (vq-user add)" % log.shown(line.what))


def must_end(t: "Transaction", where: "Place", start: bytes, line: Line) -> None:
    """GiveUp if mail for `line` would come back to `start`: it would be refused as looping."""
    ahead = [line.what]
    seen: set[bytes] = set()
    while ahead and len(seen) < FILES:
        local, _, host = ahead.pop().lower().rpartition(b"@")
        if host != where.domain or local in seen:
            continue
        if local == start:
            raise codes.GiveUp("%s goes on to %s already: mail would go round in a circle" % (
                log.shown(line.what), aliasplace.address(start, where.domain)))
        seen.add(local)
        try:
            ahead += [each.what for each in aliasfile.of(aliasplace.lines(t, where, local) or [], FORWARD)]
        except codes.GiveUp:                    # not understood, and not what is to be changed
            continue


def is_outside(where: "Place", line: Line) -> bool:
    """Whether a line forwards to an address of another domain."""
    host = line.what.rpartition(b"@")[2].lower()
    return line.kind == FORWARD and bool(host) and host != where.domain and (
        not virtual.usable_domain(host) or domains.real(host) != where.domain)


def must_forward(where: "Place", line: Line) -> None:
    """GiveUp if the domain may not send mail on to `line`, which is elsewhere."""
    if not where.settings.forwarding:
        raise codes.GiveUp("%s may not forward mail, and %s is elsewhere; the postmaster can allow it" % (
            where.domain.decode(), log.shown(line.what)))


def counted(where: "Place", name: bytes, lines: "list[Line]") -> "set[bytes]":
    """Which limits an alias counts for."""
    found = set()
    if name not in ROLES and aliasfile.of(lines, FORWARD):
        found.add(b"forwards" if any(is_outside(where, each) for each in lines) else b"aliases")
    if aliasfile.of(lines, RESPONDER):
        found.add(b"autoresponders")
    return found


def count(t: "Transaction", where: "Place", kind: bytes) -> int:
    """How many aliases count for a limit."""
    count = 0
    for each in aliasplace.names(t, where.directory):
        try:
            count += kind in counted(where, each, aliasplace.lines(t, where, each) or [])
        except codes.GiveUp:                    # somebody's own file, and not in order: no alias of ours
            continue
    return count
