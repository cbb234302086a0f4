"""Who controls a local address by the passwd file (QMAIL interface 7.4).

The file is read by ourselves: the library's functions call a file that cannot be read just now a user who does
not exist, and bounce mail for that.
"""

import errno

from vqmail import codes, vqhome
from vqmail.formats import assign
from vqmail.store import home as homes
from vqmail.store import roles
from vqmail.unix import calls, fd

PASSWD = b"/etc/passwd"
LIMIT = 64 << 20
LONGEST = 32                    # bytes of a user name, not counting this one
BREAK = b"-"
ABSENT = (errno.ENOENT, errno.ENOTDIR)


class NoPasswd(codes.TryLater):
    """The passwd file cannot be read or is broken just where it matters."""

    code = codes.GETPW_NO_PASSWD


class NoHome(codes.TryLater):
    """Whether a user owns his home cannot be told just now."""

    code = codes.GETPW_NO_HOME


class HiddenHome(homes.Hidden):
    """The same, and only because we may not look."""

    code = codes.GETPW_NO_HOME


class NoAlias(codes.TryLater):
    """The installation has no user alias."""

    code = codes.GETPW_NO_ALIAS


def find(local: bytes) -> "tuple[bytes, int, int, bytes, bytes, bytes]":
    """user, uid, gid, home, dash, ext for `local`: a user who owns his home, otherwise alias.

    NoPasswd, NoHome, HiddenHome, NoAlias on trouble, all of them TryLater.
    """
    wanted: dict[bytes, bytes | None] = {}
    end = len(local)
    while end >= 0:
        if 0 < end < LONGEST:
            wanted.setdefault(local[:end].lower(), None if end == len(local) else local[end + 1:])
        end = local.rfind(BREAK, 0, end) if end else -1
    users = _users(wanted)
    for name, ext in wanted.items():
        found = users.get(name)
        if found is not None and _owns_home(*found):
            uid, gid, home = found
            return name, uid, gid, home, (b"" if ext is None else BREAK), ext or b""
    try:
        uid, gid = roles.ids(roles.ALIAS)
    except codes.TryLater as why:
        raise NoAlias(str(why)) from None
    return b"alias", uid, gid, vqhome.path(b"alias"), b"-", local


def _users(wanted: "dict[bytes, bytes | None]") -> "dict[bytes, tuple[int, int, bytes]]":
    """uid, gid, home of those of the `wanted` names that the passwd file has."""
    try:
        text = fd.read_file(PASSWD, LIMIT)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise NoPasswd("cannot read %s: %s" % (PASSWD.decode(), error)) from None
    found: dict[bytes, tuple[int, int, bytes]] = {}
    for line in text.split(b"\n"):
        name, colon, rest = line.partition(b":")
        if colon and name in wanted and name not in found:
            fields = rest.split(b":")
            if len(fields) != 6 or not assign.is_id(fields[1]) or not assign.is_id(fields[2]):
                raise NoPasswd("%s: the line of %s is broken; mend it with vipw" % (
                    PASSWD.decode(), name.decode("ascii", "replace")))
            found[name] = int(fields[1]), int(fields[2]), fields[4]
    return found


def _owns_home(uid: int, gid: int, home: bytes) -> bool:  # noqa: ARG001  as the passwd file has it
    if uid == 0 or home[:1] != b"/" or (roles.single_user() and uid != calls.geteuid()):
        return False
    try:
        return calls.stat(home).st_uid == uid
    except OSError as error:
        if error.errno in ABSENT:
            return False
        kind = HiddenHome if error.errno == errno.EACCES else NoHome
        raise kind("cannot look at %s: %s" % (home.decode("utf-8", "replace"), error.strerror)) from None
