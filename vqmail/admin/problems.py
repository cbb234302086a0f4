"""What is odd about a domain: whatever keeps mail from it, or lets somebody look who may not."""

from vqmail import codes
from vqmail.admin import tables, usertexts
from vqmail.formats import options
from vqmail.store import control, virtual
from vqmail.unix import calls, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.transaction import Transaction

ROLES = (b"postmaster", b"abuse")
NAMED = 10                      # homes; one who restored a tree under other uids has thousands


def of(t: "Transaction", domain: bytes, others: "list[bytes]") -> "list[str]":
    """What is odd about a domain and its other names, in words that say what mends it."""
    found = [*_of_names(domain, others), *_of_owner(t, domain)]
    try:
        where = usertexts.look(domain, t.read)
    except codes.GiveUp as broken:
        return [*found, str(broken)]
    return [*found, *_of_users(where), *_of_roles(t, where)]


def _of_names(domain: bytes, others: "list[bytes]") -> "list[str]":
    received = {each.lower() for path in (b"rcpthosts", b"morercpthosts") for each in control.entries(path) or ()}
    local = control.entries(b"locals") or []
    found = []
    for name in (domain, *others):
        if name not in received:
            found.append("%s is not in control/rcpthosts: strangers cannot send to it" % _text(name))
        if name in local:
            found.append("%s is in control/locals, which comes first: its users are this host's" % _text(name))
    return found


def _of_owner(t: "Transaction", domain: bytes) -> "list[str]":
    line = tables.assigned(t, tables.prefix(t, domain) or domain)
    if line is None:
        return ["users/assign has no line for it: it has no owner"]
    _, _, uid, gid, home = line.split(b":")[:5]
    try:
        there = calls.stat(home)
    except OSError as error:
        return ["%s: %s" % (_text(home), error.strerror)]
    found = []
    if (there.st_uid, there.st_gid) != (int(uid), int(gid)):
        found.append("%s belongs to %d:%d, and users/assign says %s:%s: chown it" % (
            _text(home), there.st_uid, there.st_gid, _text(uid), _text(gid)))
    if there.st_mode & 0o002:
        found.append("everybody may write %s, so its mail waits: chmod o-w it" % _text(home))
    if there.st_mode & 0o1000:
        found.append("%s is sticky, which its owner makes it to edit in peace, so its mail waits: chmod -t it" % (
            _text(home)))
    return found


def _of_users(where: usertexts.Domain) -> "list[str]":
    path = where.directory + virtual.TEXT
    found = ["%s has the hashes of passwords, and everybody may read it: chmod 640 it" % _text(path)
             ] if where.users and calls.stat(path).st_mode & 0o004 else []
    left = 0
    for each in where.users.values():
        try:
            virtual.home_directory(where.name, virtual.User(each.name, each.uid, each.gid, each.home))
        except codes.TryLater as trouble:
            left += 1
            if left <= NAMED:
                found.append(str(trouble))
    return [*found, "and %d homes more" % (left - NAMED)] if left > NAMED else found


def _of_roles(t: "Transaction", where: usertexts.Domain) -> "list[str]":
    if where.options.get(options.DOMAIN, {}).get(b"catchall"):
        return []
    return ["nobody gets mail for %s@%s; vq-alias roles makes such addresses" % (_text(role), _text(where.name))
            for role in ROLES
            if role not in where.users and t.kind(where.directory + b"/.qmail-" + role) is None]


def _text(name: bytes) -> str:
    return log.shown(name)
