"""Lines of a passwd file (passwd(5)): name:hash:uid:gid:gecos:home:shell."""

from vqmail.record import Record

FORBIDDEN = b"/:\0"


class Entry(Record):
    """One user.  `home` is as it stands there: relative to its domain, whatever it begins with."""

    __slots__ = ("name", "password", "uid", "gid", "home")
    name: bytes
    password: bytes
    uid: int
    gid: int
    home: bytes


def entries(text: bytes) -> "list[Entry]":
    """All users, their names in lower case.  ValueError, with line number and remedy, if any line is broken: a file
    that an editor is writing just now must not look like one without users."""
    found = []
    seen: dict[bytes, int] = {}
    if text and not text.endswith(b"\n"):
        raise ValueError("the last line has no end; is somebody writing the file? add a newline")
    for number, line in enumerate(text.split(b"\n"), 1):
        if not line.strip() or line.startswith(b"#"):
            continue
        entry = _entry(line, number)
        if entry.name in seen:
            raise ValueError("line %d: %s stands in line %d already; remove one" % (
                number, _shown(entry.name), seen[entry.name]))
        seen[entry.name] = number
        found.append(entry)
    return found


def _entry(line: bytes, number: int) -> Entry:
    fields = line.split(b":")
    if len(fields) != 7:
        raise ValueError("line %d: has %d colons, needs 6: name:hash:uid:gid:gecos:home:shell" % (
            number, len(fields) - 1))
    name, password, uid, gid, _, home, _ = fields
    if not usable(name):
        raise ValueError("line %d: %s cannot be a user's name; choose another" % (number, _shown(name)))
    if not (uid.isdigit() and gid.isdigit() and len(uid) < 11 and len(gid) < 11):
        raise ValueError("line %d: uid and gid of %s must be numbers" % (number, _shown(name)))
    if not home.strip(b"/") or b"\0" in home or b".." in home.split(b"/"):
        raise ValueError("line %d: the home of %s must be a directory below the domain's, without .." % (
            number, _shown(name)))
    return Entry(name.lower(), password, int(uid), int(gid), home)


def usable(name: bytes) -> bool:
    """Whether a user may be called so: nothing that is a path, hidden, or unprintable."""
    return (bool(name) and name[:1] != b"." and len(name) <= 64 * 4 and not any(each in name for each in FORBIDDEN)
            and all(each > 32 and each != 127 for each in name))


def _shown(name: bytes) -> str:
    return "".join(chr(each) if 32 < each < 127 else "?" for each in name[:100]) or "an empty name"
