"""Who guesses passwords waits, and is locked out for a while: the counts of that.

    control/loginlimits     failures 20     wrong passwords of an address that lock it out; 0: nothing is counted
                            window 900      seconds after which as many are forgotten
                            lockout 900     seconds
                            delay 8         the longest wait before an answer, in seconds
                            exempt ADDRESS  never counted: a webmail on this host, the office

Wrong passwords are counted per address (an IPv6 address by its /64) and per user.  After the third, an attempt waits 1,
2, 4 ... seconds, whichever of the two counts says more.  Only an address is ever locked out: were it users, a stranger
could lock anybody out.  Where a user has logged in before, neither his own count (strangers raise that) nor the lock of
the address (his neighbours raise that) concerns him, until he has used up as many wrong passwords there himself.  The
same wrong password again counts once: that is a program with an old one.

run/auth/guesses is all of it (guesstable).  Where the file cannot be used a line in the log says so, and logins go on.
"""

import time

from vqmail import codes, vqhome
from vqmail.formats import digest, ip
from vqmail.logins import guesstable
from vqmail.record import Record
from vqmail.store import control
from vqmail.unix import log

PATH = vqhome.path(b"run/auth/guesses")
ADDRESS, USER, PAIR, KNOWN = guesstable.ADDRESS, guesstable.USER, guesstable.PAIR, guesstable.KNOWN
FREE = 3                        # wrong passwords that cost no waiting
DEFAULTS = {b"failures": 20, b"window": 900, b"lockout": 900, b"delay": 8}
MOST = 65535


class Gate(Record):
    """What somebody has to put up with: so many `seconds` of waiting, or a lock for `locked` more seconds."""

    __slots__ = ("seconds", "locked")
    seconds: int
    locked: int


OPEN = Gate(0, 0)


class Limits:
    """control/loginlimits.  TryLater if a line makes no sense."""

    def __init__(self) -> None:
        self.numbers = dict(DEFAULTS)
        self.exempt = set()
        for each in control.entries(b"loginlimits") or ():
            word, _, value = each.partition(b" ")
            value = value.strip()
            if word == b"exempt" and network(value) is not None:
                self.exempt.add(network(value))
            elif word in DEFAULTS and value.isdigit() and len(value) <= 7:
                self.numbers[word] = int(value)
            else:
                raise codes.TryLater("control/loginlimits: %s: write failures, window, lockout or delay and a number, "
                                     "or exempt and an address" % each.decode("utf-8", "replace"))

    def counts(self, address: "bytes | None") -> bool:
        """Whether attempts from there are counted at all."""
        return self.numbers[b"failures"] > 0 and address not in self.exempt

    def wait(self, failures: int) -> int:
        """The seconds that so many wrong passwords cost the next attempt."""
        return 0 if failures < FREE else min(1 << min(failures - FREE, 20), self.numbers[b"delay"])


def network(address: bytes) -> "bytes | None":
    """The 4 bytes of an IPv4 address, or the first 8 of an IPv6 one; None if it is neither."""
    packed = ip.pack(address)
    if packed is None:
        return None
    packed = ip.plain(packed)
    return packed if len(packed) == 4 else packed[:8]


def gate(name: bytes, address: bytes) -> Gate:
    """What an attempt as `name` from `address` has to put up with.  TryLater about control/loginlimits."""
    limits, place = Limits(), network(address)
    if not limits.counts(place):
        return OPEN
    now = int(time.time())
    try:
        with guesstable.Table(PATH) as table:
            return _gate(table, name, place, limits, now)
    except OSError as error:
        return _cannot(error)


def _gate(table: guesstable.Table, name: bytes, place: "bytes | None", limits: Limits, now: int) -> Gate:
    if place is not None:
        known = table.find(KNOWN, place + name)
        if known is not None and known.now(limits.numbers, now) < limits.numbers[b"failures"]:
            return Gate(limits.wait(known.now(limits.numbers, now)), 0)
    found = table.find(ADDRESS, place) if place is not None else None
    if found is not None and found.locked(limits.numbers, now):
        return Gate(0, found.locked(limits.numbers, now))
    both = [each.now(limits.numbers, now) for each in (found, table.find(USER, name)) if each is not None]
    return Gate(limits.wait(max(both, default=0)), 0)


def wrong(name: bytes, address: bytes, secret: bytes) -> None:
    """Count a wrong password.  TryLater about control/loginlimits."""
    limits, place = Limits(), network(address)
    if not limits.counts(place):
        return
    now = int(time.time())
    try:
        with guesstable.Table(PATH) as table:
            mark = digest.keyed("sha256", table.key, b"secret " + secret)[:2]
            pair = table.take(PAIR, (place or b"") + name)
            again = pair.last and pair.mark == mark and now - pair.last < limits.numbers[b"window"]
            pair.mark, pair.last = mark, now
            table.put(pair)
            if not again:
                _count(table, name, place, limits, now)
    except OSError as error:
        _cannot(error)


def _count(table: guesstable.Table, name: bytes, place: "bytes | None", limits: Limits, now: int) -> None:
    slots = [table.take(USER, name)]
    if place is not None:
        slots.append(table.take(ADDRESS, place, place))
        known = table.find(KNOWN, place + name)
        slots += [known] if known is not None else []
    for each in slots:
        each.failures, each.last = min(each.now(limits.numbers, now) + 1, MOST), now
        table.put(each)
    if place is None:
        return
    address = slots[1]
    if address.failures >= limits.numbers[b"failures"] and not address.locked(limits.numbers, now):
        address.until, address.failures = now + limits.numbers[b"lockout"], 0
        table.put(address)
        log.line(b"guessing", b"%s is locked out for %d seconds after %d wrong passwords; vq-logins ends that" % (
            shown(place), limits.numbers[b"lockout"], limits.numbers[b"failures"]))


def right(name: bytes, address: bytes) -> Gate:
    """Note a login: who has been here before.  But if the address is locked out by now, by wrong ones that came at the
    same time, only say so.  TryLater about control/loginlimits."""
    limits, place = Limits(), network(address)
    if not limits.counts(place):
        return OPEN
    try:
        with guesstable.Table(PATH) as table:
            now = int(time.time())
            found = _gate(table, name, place, limits, now)
            if found.locked:
                return found
            user = table.find(USER, name)
            if user is not None:
                user.failures = 0
                table.put(user)
            if place is not None:
                known = table.take(KNOWN, place + name)
                known.failures, known.last = 0, now
                known.plain, known.length = place.ljust(8, b"\0"), len(place)
                table.put(known)
            return found
    except OSError as error:
        return _cannot(error)


def addresses() -> "list[tuple[bytes, int, int]]":
    """(address, failures, seconds that it is locked out) of those that count now.  TryLater, OSError."""
    limits, now = Limits(), int(time.time())
    with guesstable.Table(PATH) as table:
        found = [(shown(each.place_of()), each.now(limits.numbers, now), each.locked(limits.numbers, now))
                 for each in table.all(ADDRESS)]
    return sorted(each for each in found if each[1] or each[2])


def user(name: bytes) -> int:
    """The wrong passwords that count for `name`.  TryLater, OSError."""
    with guesstable.Table(PATH) as table:
        found = table.find(USER, name)
        return 0 if found is None else found.now(Limits().numbers, int(time.time()))


def places(name: bytes) -> "list[tuple[bytes, int]]":
    """(address, failures) of where `name` has logged in before and wrong passwords for him count."""
    limits, now = Limits(), int(time.time())
    with guesstable.Table(PATH) as table:
        found = [(shown(each.place_of()), each.now(limits.numbers, now))
                 for each in table.all(KNOWN) if table.is_of(each, name)]
    return sorted(each for each in found if each[1])


def clear(what: "bytes | None") -> bool:
    """Forget the failures of an address or a name, of all if it is None; whether there were any.  OSError."""
    with guesstable.Table(PATH) as table:
        place = network(what.removesuffix(b"/64")) if what is not None else None
        if what is None:
            slots = [each for region in (ADDRESS, USER, KNOWN) for each in table.all(region)]
        elif place is not None:
            slots = [each for each in table.all(KNOWN) if each.place_of() == place]
            slots += filter(None, [table.find(ADDRESS, place)])
        else:
            slots = [each for each in table.all(KNOWN) if table.is_of(each, what)]
            slots += filter(None, [table.find(USER, what)])
        slots = [each for each in slots if each.failures or each.until]
        for each in slots:
            each.failures = each.until = 0
            table.put(each)
        return bool(slots)


def shown(place: bytes) -> bytes:
    """An address as people write it; an IPv6 network with its /64."""
    return ip.text(place) if len(place) == 4 else ip.text(place.ljust(16, b"\0")) + b"/64"


def _cannot(error: OSError) -> Gate:
    log.line(b"guessing", "cannot count wrong passwords: %s; if there is room on the disk, run make check-setup" % (
        log.reason(error, PATH)))
    return OPEN
