"""The system's users, and what of uids is spoken for."""

from vqmail.formats import assign
from vqmail.store import compiled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vqmail.admin.transaction import Transaction

PASSWD, GROUP = b"/etc/passwd", b"/etc/group"
RANGES = (b"/etc/subuid", b"/etc/subgid")       # promised to others: name:first:how many


def ids(t: "Transaction", name: bytes) -> "tuple[int, int] | None":
    """Uid and gid of a UNIX user; None if there is none of that name."""
    for fields in _lines(t, PASSWD):
        if fields[0] == name and len(fields) > 3 and assign.is_id(fields[2]) and assign.is_id(fields[3]):
            return int(fields[2]), int(fields[3])
    return None


def name_of(t: "Transaction", uid: int) -> bytes:
    """The UNIX user with that uid; b"" if there is none."""
    return next((fields[0] for fields in _lines(t, PASSWD) if fields[2:3] == [b"%d" % uid]), b"")


class Taken:
    """The numbers that somebody has: a user or group of the system or of users/assign, or whoever was promised them."""

    def __init__(self, t: "Transaction") -> None:
        self._numbers = {int(each) for path in (PASSWD, GROUP, compiled.ASSIGN) for fields in _lines(t, path)
                         for each in fields[2:4] if assign.is_id(each)}
        promised = [fields[1:] for path in RANGES for fields in _lines(t, path) if len(fields) == 3]
        self._ranges = [range(int(first), int(first) + int(count)) for first, count in promised
                        if first.isdigit() and count.isdigit()]

    def __contains__(self, number: object) -> bool:
        return number in self._numbers or any(number in each for each in self._ranges)

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> "Iterator[int]":
        return iter(self._numbers)


def _lines(t: "Transaction", path: bytes) -> "list[list[bytes]]":
    return [line.strip().split(b":") for line in (t.read(path) or b"").split(b"\n")]
