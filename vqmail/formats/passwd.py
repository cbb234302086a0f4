"""Lines of a passwd file (passwd(5)): name:hash:uid:gid:gecos:home:shell."""

from vqmail.formats import assign
from vqmail.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST = 255                   # bytes of a name
# what a name may consist of: no colon, no slash, no blank, nothing unprintable; UTF-8 is welcome
POSSIBLE = bytes(each for each in range(33, 256) if each != 127 and each not in b"/:")


class Entry(Record):
    """One user.  `home` is as it stands there: relative to its domain, whatever it begins with."""

    __slots__ = ("name", "password", "uid", "gid", "home")
    name: bytes
    password: bytes
    uid: int
    gid: int
    home: bytes


def entries(lines: "Iterable[bytes]", least: int = 0) -> "Iterator[Entry]":
    """All users, their names in lower case.

    ValueError, with line number and remedy, if any line is broken or its uid or gid is below `least`: whoever looks
    for a name looks through all of them, for a file that an editor is writing just now must not look like one without
    that name.
    """
    seen: dict[bytes, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(b"#"):
            continue
        entry = _entry(line, number)
        if entry.uid < least or entry.gid < least:
            raise ValueError("line %d: uid %d or gid %d of %s is below %d (control/minuid): not allowed" % (
                number, entry.uid, entry.gid, _shown(entry.name), least))
        if entry.name in seen:
            raise ValueError("line %d: %s stands in line %d already; remove one" % (
                number, _shown(entry.name), seen[entry.name]))
        seen[entry.name] = number
        yield entry


def _entry(line: bytes, number: int) -> Entry:
    fields = line.split(b":")
    if len(fields) != 7:
        raise ValueError("line %d: has %d colons, needs 6: name:hash:uid:gid:gecos:home:shell" % (
            number, len(fields) - 1))
    name, password, uid, gid, _, home, _ = fields
    if not usable(name):
        raise ValueError("line %d: %s cannot be a user's name; choose another" % (number, _shown(name)))
    if not (assign.is_id(uid) and assign.is_id(gid)):
        raise ValueError("line %d: uid and gid of %s must be numbers" % (number, _shown(name)))
    if not home.strip(b"/") or b"\0" in home or b".." in home.split(b"/"):
        raise ValueError("line %d: the home of %s must be a directory below the domain's, without .." % (
            number, _shown(name)))
    return Entry(name.lower(), password, int(uid), int(gid), home)


def usable(name: bytes) -> bool:
    """Whether a user may be called so: nothing that is a path, hidden, or unprintable."""
    return bool(name) and name[:1] != b"." and len(name) <= LONGEST and not name.translate(None, POSSIBLE)


def _shown(name: bytes) -> str:
    return "".join(chr(each) if 32 < each < 127 else "?" for each in name[:100]) or "an empty name"
