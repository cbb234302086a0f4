"""The way of an address in words: what the resolver decided, by which file and which line of it, and what comes of it.

It asks nobody but the resolver; it only looks up where in a text the line stands that decided.
"""

from vqmail import codes, vqhome
from vqmail.formats import dotqmail
from vqmail.record import Record
from vqmail.store import control, domaintext, follow, home, homeorders, loginname, recipient, resolver, users, virtual
from vqmail.unix import calls, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ASSIGN = vqhome.path(b"users/assign")
NOT_HERE = (resolver.NOBODY, resolver.SUSPENDED, resolver.MOVED)


class Step(Record):
    """What the file `where` decided, in its line `line`, 0 if it is not a matter of lines."""

    __slots__ = ("where", "line", "says")
    where: bytes
    line: int
    says: bytes


class Explanation(Record):
    """All of it.  `code` is how a delivery ends: 0 it is delivered, 100 it is not, 111 not now; `end` says so."""

    __slots__ = ("address", "kind", "stored", "fate", "steps", "code", "end", "maildir")
    address: bytes
    kind: bytes
    stored: bytes
    fate: "resolver.Fate | None"
    steps: "list[Step]"
    code: int
    end: bytes
    maildir: bytes


def explain(address: bytes, asked: resolver.Resolver) -> Explanation:
    """What happens to mail for `address`, and why."""
    told: list[tuple[bytes, bytes]] = []
    result = Explanation(address, b"trouble", b"", None, [], codes.TEMPORARY, b"", b"")
    try:
        fate = asked.resolve(address, told)
        result.kind, result.stored, result.fate = fate.kind, fate.stored, fate
        result.code = codes.PERMANENT if fate.kind in NOT_HERE else codes.OK
        result.end, result.maildir = _end(fate, told)
        if fate.kind == resolver.UNKNOWN:
            result.code = codes.TEMPORARY
    except codes.Failure as failure:
        result.code = failure.code if failure.code == codes.PERMANENT else codes.TEMPORARY
        result.end = str(failure).encode("utf-8", "surrogateescape")
    local = result.stored.rpartition(b"@")[0] or address.rpartition(b"@")[0]
    result.steps = [Step(where, _line(where, says, local), says) for where, says in told]
    return result


def login(address: bytes) -> bytes:
    """Who logs in with `address` as the name, or why nobody does; b"" if it is no matter of virtual users."""
    try:
        found = loginname.whose(address.lower(), b"")
    except codes.Failure as failure:
        return b"cannot be told now: %s" % str(failure).encode("utf-8", "surrogateescape")
    if found is None:
        return b""
    user, domain = found
    if b"login" in user.suspended:
        return b"nobody: %s of %s is suspended" % (user.name, domain)
    return b"the user %s of %s" % (user.name, domain)


def _end(fate: resolver.Fate, told: "list[tuple[bytes, bytes]]") -> "tuple[bytes, bytes]":
    """What comes of it, and the Maildir if it is a mailbox's.  Failure if a delivery would fail, too."""
    reason = fate.reason.encode("utf-8", "surrogateescape")
    if fate.kind == resolver.REMOTE:
        return b"goes to another host: vq-remote", b""
    if fate.kind == resolver.NOBODY:
        return b"no mailbox here by that name: %s" % reason, b""
    if fate.kind == resolver.SUSPENDED:
        return b"the mailbox receives nothing for now: %s" % reason, b""
    if fate.kind == resolver.MOVED and fate.verdict is not None:
        return b"the user has moved to %s: %s" % (fate.verdict.target, reason), b""
    if fate.kind == resolver.UNKNOWN:
        return b"cannot be told now: %s" % reason, b""
    if fate.kind == resolver.DELIVERY:
        return _orders(fate, told), b""
    verdict = fate.verdict
    assert verdict is not None
    if verdict.user is not None:
        return _mailbox(verdict, verdict.user, told)
    return {recipient.FORWARD: b"goes on to %s: %s", recipient.DELETE: b"%sis deleted: %s",
            recipient.MAILDIR: b"goes into the maildir %s: %s"}[verdict.kind] % (verdict.target, reason), b""


def _mailbox(found: recipient.Verdict, user: virtual.User, told: "list[tuple[bytes, bytes]]") -> "tuple[bytes, bytes]":
    directory = virtual.home_directory(found.domain, user)
    maildir = directory + b"/Maildir/"
    orders = b""
    if user.dotqmail in homeorders.KINDS:
        try:
            chosen = homeorders.choose(directory, found.ext or b"")
            home.check(directory)
        except home.Hidden as why:
            chosen, orders = None, b", unless his .qmail says otherwise: %s" % str(why).encode()
        if chosen is not None:
            told.append((chosen.path, b"is there, and dotqmail=%s" % user.dotqmail))
            orders = b", as his %s says" % chosen.path.rpartition(b"/")[2]
            told += [(chosen.path, each.kind + b" " + each.what) for each in _parsed(chosen)]
    return b"the user %s of %s (uid %d, gid %d), %s%s" % (
        user.name, found.domain, user.uid, user.gid, maildir, orders), maildir


def _orders(fate: resolver.Fate, told: "list[tuple[bytes, bytes]]") -> bytes:
    owner = fate.owner
    assert owner is not None
    found = home.find(owner.home, owner.dash, owner.ext)
    if found is None or not found.content:
        return b"the user %s (uid %d): the default delivery, which vq-start was given" % (owner.user, owner.uid)
    told += [(found.path, each.kind + b" " + each.what) for each in _parsed(found)]
    return b"the user %s (uid %d): what %s says" % (owner.user, owner.uid, found.path)


def _parsed(found: home.Found) -> "list[dotqmail.Instruction]":
    return follow.instructions(found.content, found.forward_only, found.path.decode("utf-8", "replace"))


def _line(where: bytes, says: bytes, local: bytes) -> int:
    """The line of the text behind `where` that it is about."""
    if where == b"control/virtualdomains" and b":" in says and not says.startswith(b"does not"):
        key = says.partition(b":")[0].lower()
        lines = (control.read(b"virtualdomains") or b"").split(b"\n")
        return next((number for number, each in enumerate(lines, 1) if each.strip().lower().startswith(key + b":")), 0)
    if where == users.PATH:
        return _assigned(local.lower())
    if where.endswith(virtual.TEXT) and says.startswith(b"has the user "):
        name = says.split(b" ")[3].rstrip(b";")
        return _search(where, lambda each: each.lower().startswith(name + b":"))
    if where.endswith(virtual.OPTIONS):
        return _search(where, lambda each: each.startswith(b"@:"))
    return 0


def _assigned(local: bytes) -> int:
    """The line of users/assign that controls `local`; 0 if it is not there, or nobody ran vq-newu for it."""
    best, longest = 0, -1
    for number, each in enumerate(_lines(ASSIGN), 1):
        name = each[1:].partition(b":")[0].lower()
        if each[:1] == b".":
            break
        if each[:1] == b"=" and name == local:
            return number
        if each[:1] == b"+" and local.startswith(name) and len(name) > longest:
            best, longest = number, len(name)
    return best


def _search(path: bytes, wanted: "Callable[[bytes], bool]") -> int:
    return next((number for number, each in enumerate(_lines(path), 1) if wanted(each)), 0)


def _lines(path: bytes) -> "list[bytes]":
    """The lines of a text; none if we may not read it."""
    try:
        number = calls.open(path, domaintext.READING)
    except OSError:
        return []
    try:
        return list(fd.lines(number))
    except OSError:
        return []
    finally:
        calls.close(number)
