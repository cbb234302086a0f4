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

run/auth/guesses is all of it: a key, and four tables of fixed size, in which what was used last stays.  What a name is
kept as tells nothing without the key: it may be a password that somebody typed in the wrong place.  Nothing is synced.
Where the file cannot be used a line in the log says so, and logins go on.
"""

import time

from vqmail import codes, vqhome
from vqmail.formats import digest, ip
from vqmail.record import Record
from vqmail.store import control
from vqmail.unix import calls, lock, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = vqhome.path(b"run/auth/guesses")
MAGIC = b"vqmail guesses 1"
KEY = 32
HEAD = 256
SLOT, BUCKET = 32, 8            # bytes, slots that a key may be in
BUCKETS = 2048
REGION = BUCKETS * BUCKET * SLOT
ADDRESS, USER, PAIR, KNOWN = range(4)           # KNOWN is written after a login only: no guesser fills it
SIZE = HEAD + 4 * REGION
FREE = 3                        # wrong passwords that cost no waiting
PATIENCE = 2                    # seconds to wait for the lock
SKEW = 60                       # seconds that a time may be in the future
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


class _Slot:
    """One count.  `until`: when a lock ends; `mark`: of the last wrong password; `plain`: an address."""

    def __init__(self, place: int, data: bytes) -> None:
        self.place = place
        self.tag = data[:8]
        self.failures = int.from_bytes(data[8:10], "little")
        self.mark = data[10:12]
        self.last = int.from_bytes(data[12:16], "little")
        self.until = int.from_bytes(data[16:20], "little")
        self.length = data[20]
        self.plain = data[24:32]

    def encode(self) -> bytes:
        return b"".join((self.tag, self.failures.to_bytes(2, "little"), self.mark, self.last.to_bytes(4, "little"),
                         self.until.to_bytes(4, "little"), bytes([self.length, 0, 0, 0]), self.plain))

    def locked(self, limits: Limits, now: int) -> int:
        """The seconds that its lock lasts; 0 if there is none, or one that ends later than any lock does."""
        left = self.until - now
        return left if 0 < left <= limits.numbers[b"lockout"] + SKEW else 0

    def now(self, limits: Limits, now: int) -> int:
        """The failures that are not forgotten yet: as many as lock out, in a window."""
        if self.last > now + SKEW:              # the clock was wrong then, or the table is broken
            return 0
        forgotten = max(now - self.last, 0) * limits.numbers[b"failures"] // max(limits.numbers[b"window"], 1)
        return max(self.failures - forgotten, 0)


class _Table:
    """The file, locked.  OSError; TimeoutError if somebody holds it."""

    def __init__(self) -> None:
        self._number = calls.open(PATH, calls.O_RDWR | calls.O_CREAT | calls.O_CLOEXEC | calls.O_NOFOLLOW, 0o600)
        try:
            lock.take_within(self._number, PATIENCE)
            head = calls.pread(self._number, HEAD, 0)
            if not head.startswith(MAGIC) or calls.fstat(self._number).st_size != SIZE:
                head = MAGIC + calls.urandom(KEY)
                calls.ftruncate(self._number, 0)
                calls.ftruncate(self._number, SIZE)
                calls.pwrite(self._number, head, 0)
        except BaseException:
            calls.close(self._number)
            raise
        self.key = head[len(MAGIC):len(MAGIC) + KEY]

    def __enter__(self) -> "_Table":
        return self

    def __exit__(self, *_: object) -> None:
        calls.close(self._number)

    def tag(self, text: bytes) -> bytes:
        return digest.keyed("sha256", self.key, text)[:8]

    def find(self, region: int, text: bytes) -> "_Slot | None":
        """The slot of `text`, if it has one."""
        tag, place, data = self._bucket(region, text)
        for at in range(0, len(data), SLOT):
            if data[at:at + 8] == tag:
                return _Slot(place + at, data[at:at + SLOT])
        return None

    def take(self, region: int, text: bytes, plain: bytes = b"") -> _Slot:
        """The slot of `text`, a new one in the place of the one that was used longest ago if it has none."""
        found = self.find(region, text)
        if found is None:
            tag, place, data = self._bucket(region, text)
            slots = [_Slot(place + at, data[at:at + SLOT]) for at in range(0, BUCKET * SLOT, SLOT)]
            # whoever is locked out stays so, however many others come
            oldest = min(slots, key=lambda each: max(each.last, each.until))
            found = _Slot(oldest.place, tag + bytes(SLOT - 8))
            found.plain = plain.ljust(8, b"\0")
            found.length = len(plain)
        return found

    def put(self, slot: _Slot) -> None:
        calls.pwrite(self._number, slot.encode(), slot.place)

    def all(self, region: int) -> "Iterator[_Slot]":
        """Every slot in use."""
        start = HEAD + region * REGION
        data = calls.pread(self._number, REGION, start)
        for at in range(0, len(data), SLOT):
            if any(data[at:at + 8]):
                yield _Slot(start + at, data[at:at + SLOT])

    def _bucket(self, region: int, text: bytes) -> "tuple[bytes, int, bytes]":
        """The tag of `text`, and where the slots lie of which it may have one, and what is there."""
        tag = self.tag(text)
        place = HEAD + region * REGION + int.from_bytes(tag, "little") % BUCKETS * BUCKET * SLOT
        return tag, place, calls.pread(self._number, BUCKET * SLOT, place)


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
        with _Table() as table:
            if place is not None:
                known = table.find(KNOWN, place + name)
                if known is not None and known.now(limits, now) < limits.numbers[b"failures"]:
                    return Gate(limits.wait(known.now(limits, now)), 0)
            found = table.find(ADDRESS, place) if place is not None else None
            if found is not None and found.locked(limits, now):
                return Gate(0, found.locked(limits, now))
            both = [each.now(limits, now) for each in (found, table.find(USER, name)) if each is not None]
            return Gate(limits.wait(max(both, default=0)), 0)
    except OSError as error:
        return _cannot(error)


def wrong(name: bytes, address: bytes, secret: bytes) -> None:
    """Count a wrong password.  TryLater about control/loginlimits."""
    limits, place = Limits(), network(address)
    if not limits.counts(place):
        return
    now = int(time.time())
    try:
        with _Table() as table:
            mark = digest.keyed("sha256", table.key, b"secret " + secret)[:2]
            pair = table.take(PAIR, (place or b"") + name)
            again = pair.last and pair.mark == mark and now - pair.last < limits.numbers[b"window"]
            pair.mark, pair.last = mark, now
            table.put(pair)
            if not again:
                _count(table, name, place, limits, now)
    except OSError as error:
        _cannot(error)


def _count(table: _Table, name: bytes, place: "bytes | None", limits: Limits, now: int) -> None:
    slots = [table.take(USER, name)]
    if place is not None:
        slots.append(table.take(ADDRESS, place, place))
        known = table.find(KNOWN, place + name)
        slots += [known] if known is not None else []
    for each in slots:
        each.failures, each.last = min(each.now(limits, now) + 1, MOST), now
        table.put(each)
    if place is not None and slots[1].failures >= limits.numbers[b"failures"] and not slots[1].locked(limits, now):
        slots[1].until, slots[1].failures = now + limits.numbers[b"lockout"], 0
        table.put(slots[1])
        log.line(b"guessing", b"%s is locked out for %d seconds after %d wrong passwords; vq-logins ends that" % (
            shown(place), limits.numbers[b"lockout"], limits.numbers[b"failures"]))


def right(name: bytes, address: bytes) -> None:
    """Note a login: who has been here before.  TryLater about control/loginlimits."""
    limits, place = Limits(), network(address)
    if not limits.counts(place):
        return
    try:
        with _Table() as table:
            now = int(time.time())
            user = table.find(USER, name)
            if user is not None:
                user.failures = 0
                table.put(user)
            if place is not None:
                known = table.take(KNOWN, place + name)
                known.failures, known.last = 0, now
                table.put(known)
    except OSError as error:
        _cannot(error)


def addresses() -> "list[tuple[bytes, int, int]]":
    """(address, failures, seconds that it is locked out) of those that count now.  TryLater, OSError."""
    limits, now = Limits(), int(time.time())
    with _Table() as table:
        found = [(shown(each.plain[:each.length]), each.now(limits, now), each.locked(limits, now))
                 for each in table.all(ADDRESS)]
    return sorted(each for each in found if each[1] or each[2])


def user(name: bytes) -> int:
    """The wrong passwords that count for `name`.  TryLater, OSError."""
    with _Table() as table:
        found = table.find(USER, name)
        return 0 if found is None else found.now(Limits(), int(time.time()))


def clear(what: "bytes | None") -> bool:
    """Forget the failures of an address or a name, of all if it is None; whether there were any.  OSError."""
    with _Table() as table:
        place = network(what.removesuffix(b"/64")) if what is not None else None
        if what is None:
            slots = [each for region in (ADDRESS, USER) for each in table.all(region)]
        else:
            one = table.find(ADDRESS, place) if place is not None else table.find(USER, what)
            slots = [one] if one is not None else []
        for each in slots:
            each.failures = each.until = 0
            table.put(each)
        return bool(slots)


def shown(place: bytes) -> bytes:
    """An address as people write it; an IPv6 network with its /64."""
    return ip.text(place) if len(place) == 4 else ip.text(place.ljust(16, b"\0")) + b"/64"


def _cannot(error: OSError) -> Gate:
    log.line(b"guessing", "cannot count wrong passwords: %s: %s; run make check-setup" % (
        PATH.decode("utf-8", "replace"), error.strerror or error))
    return OPEN
