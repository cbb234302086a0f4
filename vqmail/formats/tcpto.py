"""The table of hosts that did not answer (QMAIL interface 13.5).

    queue/lock/tcpto    records of 16 bytes: IPv4 address 4, count 1, unused 3, time 4 little-endian, unused 4
    queue/lock/tcpto6   records of 32 bytes: IPv6 address 16, count 1, unused 7, time 4 little-endian, unused 4

qmail knows the first.  A count of 0 is a free record.  The address says by its length which of the two is meant.
"""

RECORDS = 64
MOST = 10                       # counted no further
ENOUGH = 2                      # timeouts after which a host is left alone for a while
APART = 120                     # seconds; timeouts closer together are one


def size(address: bytes) -> int:
    """The size of a record for an address of that length."""
    return 16 if len(address) == 4 else 32


def is_skipped(table: bytes, address: bytes, now: int, pid: int) -> bool:
    """Whether the host has timed out so often, and so lately, that it is not tried.

    Processes differ in how long that is, so that not all try again at once.
    """
    at = _find(table, address)
    if at < 0 or table[at + len(address)] < ENOUGH:
        return False
    return 0 <= now - _time(table, at, address) < (60 + (pid & 31)) * 64


def after_timeout(table: bytes, address: bytes, now: int) -> "tuple[int, bytes] | None":
    """(place, record) to write because the host timed out at `now`; None if nothing is to be written."""
    at = _find(table, address)
    if at >= 0:
        count = table[at + len(address)]
        if count and 0 <= now - _time(table, at, address) < APART:
            return None
        return at, _record(address, min(count + 1, MOST), now)
    places = _places(table, address)
    at = next((each for each in places if not table[each + len(address)]), -1)
    if at < 0:                                  # full: whoever was least, longest ago
        at = min(places, default=-1, key=lambda each: _time(table, each, address) + table[each + len(address)] * 1024)
    return (at, _record(address, 1, now)) if at >= 0 else None


def after_success(table: bytes, address: bytes) -> "tuple[int, bytes] | None":
    """(place, record) to write because the host answered; None if nothing is to be written."""
    at = _find(table, address)
    if at < 0 or not table[at + len(address)]:
        return None
    return at, _record(address, 0, _time(table, at, address))


def entries(table: bytes, length: int) -> "list[tuple[bytes, int, int]]":
    """(address, time, count) of each host in a table of addresses of that length."""
    empty = bytes(length)
    return [(table[at:at + length], _time(table, at, empty), table[at + length])
            for at in _places(table, empty) if table[at + length]]


def _places(table: bytes, address: bytes) -> range:
    """Where the whole records begin; what is behind the last that belongs there is none."""
    step = size(address)
    return range(0, min(len(table) // step, RECORDS) * step, step)


def _find(table: bytes, address: bytes) -> int:
    return next((at for at in _places(table, address) if table.startswith(address, at)), -1)


def _time(table: bytes, at: int, address: bytes) -> int:
    at += size(address) - 8
    return int.from_bytes(table[at:at + 4], "little")


def _record(address: bytes, count: int, now: int) -> bytes:
    empty = bytes(size(address) - len(address) - 9)
    return address + b"%c" % count + empty + (now & 0xFFFFFFFF).to_bytes(4, "little") + bytes(4)
