"""The file of the counts of wrong passwords: a key, and four tables of fixed size, in which what was used last stays.

What a name is kept as tells nothing without the key: it may be a password that somebody typed in the wrong place.
Nothing is synced.
"""

from vqmail.formats import digest
from vqmail.unix import calls, lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"vqmail guesses 1"
KEY = 32
HEAD = 256
SLOT, BUCKET = 32, 8            # bytes, slots that a key may be in
BUCKETS = 2048
REGION = BUCKETS * BUCKET * SLOT
ADDRESS, USER, PAIR, KNOWN = range(4)           # KNOWN is written after a login only: no guesser fills it
SIZE = HEAD + 4 * REGION
PATIENCE = 2                    # seconds to wait for the lock
SKEW = 60                       # seconds that a time may be in the future


class Slot:
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

    def place_of(self) -> bytes:
        """The address that it is about, or the network; b"" if it is about a name alone."""
        return self.plain[:self.length]

    def locked(self, numbers: "dict[bytes, int]", now: int) -> int:
        """The seconds that its lock lasts; 0 if there is none, or one that ends later than any lock does."""
        left = self.until - now
        return left if 0 < left <= numbers[b"lockout"] + SKEW else 0

    def now(self, numbers: "dict[bytes, int]", now: int) -> int:
        """The failures that are not forgotten yet: as many as lock out, in a window."""
        if self.last > now + SKEW:              # the clock was wrong then, or the table is broken
            return 0
        forgotten = max(now - self.last, 0) * numbers[b"failures"] // max(numbers[b"window"], 1)
        return max(self.failures - forgotten, 0)


class Table:
    """The file, locked.  OSError; TimeoutError if somebody holds it."""

    def __init__(self, path: bytes) -> None:
        self._number = calls.open(path, calls.O_RDWR | calls.O_CREAT | calls.O_CLOEXEC | calls.O_NOFOLLOW, 0o600)
        try:
            lock.take_within(self._number, PATIENCE)
            head = calls.pread(self._number, HEAD, 0)
            if not head.startswith(MAGIC) or calls.fstat(self._number).st_size != SIZE:
                head = MAGIC + calls.urandom(KEY)
                calls.ftruncate(self._number, 0)
                calls.posix_fallocate(self._number, 0, SIZE)    # on a disk that fills up nobody is to guess uncounted
                calls.pwrite(self._number, head, 0)
        except BaseException:
            calls.close(self._number)
            raise
        self.key = head[len(MAGIC):len(MAGIC) + KEY]

    def __enter__(self) -> "Table":
        return self

    def __exit__(self, *_: object) -> None:
        calls.close(self._number)

    def tag(self, text: bytes) -> bytes:
        return digest.keyed("sha256", self.key, text)[:8]

    def find(self, region: int, text: bytes) -> "Slot | None":
        """The slot of `text`, if it has one."""
        tag, place, data = self._bucket(region, text)
        for at in range(0, len(data), SLOT):
            if data[at:at + 8] == tag:
                return Slot(place + at, data[at:at + SLOT])
        return None

    def take(self, region: int, text: bytes, plain: bytes = b"") -> Slot:
        """The slot of `text`, a new one in the place of the one that was used longest ago if it has none."""
        found = self.find(region, text)
        if found is None:
            tag, place, data = self._bucket(region, text)
            slots = [Slot(place + at, data[at:at + SLOT]) for at in range(0, BUCKET * SLOT, SLOT)]
            # whoever is locked out stays so, however many others come
            oldest = min(slots, key=lambda each: max(each.last, each.until))
            found = Slot(oldest.place, tag + bytes(SLOT - 8))
            found.plain = plain.ljust(8, b"\0")
            found.length = len(plain)
        return found

    def is_of(self, slot: Slot, name: bytes) -> bool:
        """Whether a slot of KNOWN is about `name`."""
        return slot.length > 0 and slot.tag == self.tag(slot.place_of() + name)

    def put(self, slot: Slot) -> None:
        calls.pwrite(self._number, slot.encode(), slot.place)

    def all(self, region: int) -> "Iterator[Slot]":
        """Every slot in use."""
        start = HEAD + region * REGION
        data = calls.pread(self._number, REGION, start)
        for at in range(0, len(data), SLOT):
            if any(data[at:at + 8]):
                yield Slot(start + at, data[at:at + SLOT])

    def _bucket(self, region: int, text: bytes) -> "tuple[bytes, int, bytes]":
        """The tag of `text`, and where the slots lie of which it may have one, and what is there."""
        tag = self.tag(text)
        place = HEAD + region * REGION + int.from_bytes(tag, "little") % BUCKETS * BUCKET * SLOT
        return tag, place, calls.pread(self._number, BUCKET * SLOT, place)
