"""How much a login may send in an hour: control/submissionlimits, and the table in which that is counted.

    100 500                     messages and recipients of every login in an hour; 0: as many as he likes
    example.com:200 1000        of every login of that domain
    bob@example.com:0 0         of bob

The table has a record for each login that sent lately, in one of a few places that its name decides on.  A record has
thirteen counts of messages and recipients, one for each five minutes: the last hour and what has begun, so nobody
gets more than his number in any hour.

    8       hash of the login
    8       number of the newest five minutes, since 1970
    13*4    messages    of the newest five minutes, and of those before
    13*4    recipients
"""

from vqmail.record import Record

SLOT = 300                      # seconds
SLOTS = 13
SIZE = 128                      # bytes of a record
PLACES = 8                      # of one login
GROUPS = 4096
TABLE = GROUPS * PLACES * SIZE
MOST = (1 << 32) - 1

EMPTY = (0,) * SLOTS


class Limit(Record):
    """So many messages and recipients in an hour; 0 is no limit."""

    __slots__ = ("messages", "recipients")
    messages: int
    recipients: int


NONE = Limit(0, 0)


def parse(entry: bytes) -> "tuple[bytes, Limit]":
    """(login, domain, or b"" for everybody; limit) of a line; ValueError, which says what may stand there."""
    who, colon, numbers = entry.rpartition(b":")
    words = numbers.split()
    if len(words) != 2 or any(not each.isdigit() or len(each) > 9 for each in words):
        raise ValueError("write messages and recipients in an hour, two numbers, 0 for no limit; "
                         "before them, if they are not for everybody, a domain or a login and a colon")
    if colon and (not who or who.endswith(b"@") or b":" in who):
        raise ValueError("before the colon goes a domain or a login")
    return who.removeprefix(b"@"), Limit(int(words[0]), int(words[1]))


def of(limits: "dict[bytes, Limit]", *logins: bytes) -> Limit:
    """The limit of somebody who may log in by several names: his own, that of his domain, or that of everybody."""
    for each in (*logins, *(login.rpartition(b"@")[2] for login in logins), b""):
        if each in limits:
            return limits[each]
    return NONE


def hashed(login: bytes) -> int:
    """64 bits that stand for a login (FNV-1a); never 0, which is a record of nobody."""
    found = 0xcbf29ce484222325
    for each in login:
        found = (found ^ each) * 0x100000001b3 & 0xffffffffffffffff
    return found or 1


def offset(key: int) -> int:
    """Where in the table the PLACES of a login begin."""
    return (key >> 16) % GROUPS * PLACES * SIZE


def refused(places: bytes, key: int, limit: Limit, now: int, recipients: int) -> bytes:
    """What there would be too many of, `messages` or `recipients`, with one more message now; b"" if there is room."""
    _, messages, others = _counts(places, key, now)
    if limit.messages and sum(messages) + 1 > limit.messages:
        return b"messages"
    if limit.recipients and sum(others) + recipients > limit.recipients:
        return b"recipients"
    return b""


def counted(places: bytes, key: int, now: int, recipients: int) -> "tuple[int, bytes]":
    """(offset, record) to write among the places of a login for one more message."""
    at, messages, others = _counts(places, key, now)
    record = b"%s%s%s%s" % (
        key.to_bytes(8, "big"), _newest(places[at:at + SIZE], key, now).to_bytes(8, "big"),
        _packed((messages[0] + 1, *messages[1:])), _packed((others[0] + recipients, *others[1:])))
    return at, record.ljust(SIZE, b"\0")


def _counts(places: bytes, key: int, now: int) -> "tuple[int, tuple[int, ...], tuple[int, ...]]":
    """(offset, messages, recipients) of a login, the newest first, as of now.

    If he has no record: none, and the place of whoever sent least lately.
    """
    least = None
    for at in range(0, PLACES * SIZE, SIZE):
        record = places[at:at + SIZE].ljust(SIZE, b"\0")
        found = int.from_bytes(record[:8], "big")
        shown = _shifted(record, now // SLOT)
        if found == key:
            return at, *shown
        weight = sum(shown[1]) if found else -1
        if least is None or weight < least[0]:
            least = weight, at
    assert least is not None
    return least[1], EMPTY, EMPTY


def _newest(record: bytes, key: int, now: int) -> int:
    """The number of the newest five minutes; a clock that is set back a little does not make it smaller."""
    then = int.from_bytes(record[8:16], "big") if int.from_bytes(record[:8], "big") == key else 0
    slot = now // SLOT
    return then if slot < then < slot + SLOTS else slot


def _shifted(record: bytes, slot: int) -> "tuple[tuple[int, ...], tuple[int, ...]]":
    newest = int.from_bytes(record[8:16], "big")
    gone = slot - newest
    if gone >= SLOTS or gone <= -SLOTS:
        return EMPTY, EMPTY
    gone = max(gone, 0)
    fields = [tuple(int.from_bytes(record[at:at + 4], "big") for at in range(start, start + 4 * SLOTS, 4))
              for start in (16, 16 + 4 * SLOTS)]
    messages, recipients = ((EMPTY[:gone] + each)[:SLOTS] for each in fields)
    return messages, recipients


def _packed(counts: "tuple[int, ...]") -> bytes:
    return b"".join([min(each, MOST).to_bytes(4, "big") for each in counts])
