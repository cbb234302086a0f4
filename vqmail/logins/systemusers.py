"""The users of the system, as a source of logins: /etc/passwd and /etc/shadow, read as text.

getpwnam() and its kin are not asked: they call a file that cannot be read just now "no such user", and may wait for a
directory that is down.  So users who are only in LDAP or the like are not found here; `pam` is for those.

Nobody gets in whose uid or gid is below control/minuid, whose password is empty or locked, whose account has expired,
or whose password has: a POP3 client cannot tell him to choose a new one.
"""

import time

from vqmail import codes
from vqmail.logins import account
from vqmail.record import Record
from vqmail.store import control, passwords
from vqmail.unix import fd, log

PASSWD, SHADOW = b"/etc/passwd", b"/etc/shadow"
LIMIT = 64 << 20
ELSEWHERE = b"x"                # the hash is in the shadow file
DAY = 86400


class Entry(Record):
    """A line of passwd(5)."""

    __slots__ = ("name", "password", "uid", "gid", "home", "shell")
    name: bytes
    password: bytes
    uid: int
    gid: int
    home: bytes
    shell: bytes


def find(name: bytes, path: bytes = PASSWD) -> "Entry | None":
    """The user `name`, in this case of letters; None if there is none, or one whose uid is too small for mail.
    TryLater on trouble, and if the line makes no sense.
    """
    fields = _line(path, name)
    if fields is None:
        return None
    if len(fields) != 7 or not fields[2].isdigit() or not fields[3].isdigit() or len(fields[2] + fields[3]) > 20:
        raise codes.TryLater("%s: the line of %s makes no sense: mend it" % (path.decode(), log.shown(name[:100])))
    least = max(control.number(b"minuid"), 1)
    entry = Entry(fields[0], fields[1], int(fields[2]), int(fields[3]), fields[5], fields[6] or b"/bin/sh")
    return entry if entry.uid >= least and entry.gid >= least else None


def account_of(entry: Entry) -> account.Account:
    """What a process needs to become him."""
    return account.Account(entry.name, b"", entry.uid, entry.gid, entry.home or b"/", entry.shell)


def check(name: bytes, secret: bytes, challenge: bytes, passwd: bytes = PASSWD,
          shadow: bytes = SHADOW) -> "account.Account | bytes":
    """The account; b"" if there is no such user, or why he does not get in.  TryLater on trouble."""
    entry = find(name, passwd)
    if entry is None:
        return b""
    stored, why = entry.password, b""
    if stored == ELSEWHERE:
        fields = _line(shadow, name)
        if fields is None:
            raise codes.TryLater("%s: there is no line for %s: run pwconv" % (shadow.decode(), log.shown(name[:100])))
        stored, why = fields[1], _expired([*fields, *[b""] * 9][:9], int(time.time()) // DAY)
    right = passwords.verify(secret, stored or None, challenge)
    if not right:
        return b"wrong password"
    return why or account_of(entry)


def _expired(fields: "list[bytes]", today: int) -> bytes:
    """Why the shadow(5) line does not let him in today; b"" if it does."""
    changed, longest, grace, end = (int(each) if each.isdigit() and len(each) < 10 else -1 for each in (
        fields[2], fields[4], fields[6], fields[7]))
    if end >= 0 and today >= end:
        return b"account expired"
    if changed == 0:
        return b"password must be changed first"
    if changed > 0 and 0 <= longest < 10000 and today > changed + longest + max(grace, 0):
        return b"password expired"
    return b""


def _line(path: bytes, name: bytes) -> "list[bytes] | None":
    if not name or b":" in name or b"\n" in name or name[:1] in (b"+", b"-", b"#"):
        return None                             # + and - are NIS's
    try:
        text = fd.read_file(path, LIMIT)
    except (OSError, ValueError) as error:
        raise codes.TryLater("cannot read %s: %s" % (
            path.decode(), getattr(error, "strerror", None) or error)) from None
    start = name + b":"
    for line in text.split(b"\n"):
        if line.startswith(start):
            return line.split(b":")
    return None
