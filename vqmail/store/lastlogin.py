"""Who logged in when, and from where, for the last time.

    users/lastlogin/DOMAIN      USER:TIME ADDRESS, a line for each who ever did

The second part of a line has always the same length: it is written over in place.  Nothing is synced, and no trouble
with it is that of who logs in.  The lines of deleted users stay until `forget`.
"""

import time

from vqmail import codes, vqhome
from vqmail.formats import header, passwd
from vqmail.record import Record
from vqmail.store import aliasdomain, virtual
from vqmail.unix import calls, fd, lock, log

DIRECTORY = vqhome.path(b"users/lastlogin")
LENGTH = 10 + 1 + 45            # of TIME and ADDRESS: digits, a blank, the longest IPv6 address
LIMIT = 256 << 20
PATIENCE = 0.2                  # seconds; whoever holds the lock is adding a line
NOBODY = b"#"                   # begins the line of one who was deleted; no user's name does


class Last(Record):
    """Seconds since 1970, and the client's address, b"" if it is not known."""

    __slots__ = ("time", "ip")
    time: int
    ip: bytes


def note(domain: bytes, user: bytes, ip: bytes) -> None:
    """`user` of `domain`, or of another name of it, has just logged in.  Never raises."""
    try:
        domain = aliasdomain.real(domain) if virtual.usable_domain(domain) else domain
    except codes.Failure as error:
        log.line(b"vqmail", b"cannot note the login of <%s@%s>: %s" % (user, domain, str(error).encode()))
    else:
        keep(domain, user, Last(int(time.time()), ip))


def keep(domain: bytes, user: bytes, last: Last) -> None:
    """He logged in then.  Never raises."""
    try:
        put(domain, user, last)
    except (OSError, ValueError) as error:
        log.line(b"vqmail", b"cannot note the login of <%s@%s>: %s" % (
            user, domain, log.reason(error, DIRECTORY).encode("utf-8", "replace")))


def put(domain: bytes, user: bytes, last: Last) -> None:
    """Have it there, unless a later one is.  OSError; ValueError if there can be no such user."""
    name = user.lower()
    if not virtual.usable_domain(domain) or not passwd.usable(name):
        raise ValueError("nobody is called so")
    value = b"%010d %-45s" % (last.time, header.safe(last.ip)[:45])
    try:
        number = _open(domain)
    except FileNotFoundError:
        try:
            calls.mkdir(DIRECTORY, 0o700)
        except FileExistsError:                 # another was faster
            pass
        number = _open(domain)
    try:
        if _replace(number, name, value) < 0:
            return
        lock.take_within(number, PATIENCE)      # another may be adding the same one
        size = _replace(number, name, value)
        if size >= 0:
            cut = size and calls.pread(number, 1, size - 1) != b"\n"        # by a crash
            calls.lseek(number, size, 0)
            fd.write_all(number, (b"\n" if cut else b"") + name + b":" + value + b"\n")
    finally:
        calls.close(number)


def of(domain: bytes, user: bytes) -> "Last | None":
    """When `user` of the (real) `domain` logged in last; None if that is not known."""
    return of_all(domain).get(user.lower())


def of_all(domain: bytes) -> "dict[bytes, Last]":
    """The same for all users of whom it is known."""
    try:
        text = fd.read_file(DIRECTORY + b"/" + domain, LIMIT) if virtual.usable_domain(domain) else b""
    except (OSError, ValueError):               # for root's eyes only; it is a comfort, no more
        return {}
    found = {}
    for line in text.split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon and len(value) == LENGTH and value[:10].isdigit() and not line.startswith(NOBODY):
            found[name] = Last(int(value[:10]), value[11:].rstrip(b" "))
    return found


def forget(domain: bytes, user: bytes) -> None:
    """Nobody of that name has ever logged in.  Never raises."""
    try:
        number = calls.open(DIRECTORY + b"/" + domain, calls.O_RDWR | calls.O_NOFOLLOW | calls.O_CLOEXEC)
    except OSError:
        return
    try:
        at = _find(fd.read_all(number, LIMIT), user.lower())
        if at >= 0:
            calls.pwrite(number, NOBODY, at)
    except (OSError, ValueError) as error:
        log.line(b"vqmail", b"cannot forget the logins of <%s@%s>: %s" % (user, domain, str(error).encode()))
    finally:
        calls.close(number)


def _open(domain: bytes) -> int:
    flags = calls.O_RDWR | calls.O_CREAT | calls.O_NOFOLLOW | calls.O_CLOEXEC
    return calls.open(DIRECTORY + b"/" + domain, flags, 0o600)


def _replace(number: int, name: bytes, value: bytes) -> int:
    """Write over what is there for `name`, unless it is later, and return -1; if there is nothing, the file's size."""
    calls.lseek(number, 0, 0)
    text = fd.read_all(number, LIMIT)
    at = _find(text, name)
    if at < 0:
        return len(text)
    start = at + len(name) + 1
    if text[start:start + 10] <= value[:10]:
        calls.pwrite(number, value, start)
    return -1


def _find(text: bytes, name: bytes) -> int:
    """Where the whole line of `name` begins; -1 if there is none."""
    begin = name + b":"
    at = 0 if text.startswith(begin) else text.find(b"\n" + begin) + 1 or -1
    if at >= 0 and text[at + len(begin) + LENGTH:at + len(begin) + LENGTH + 1] != b"\n":
        return -1                               # cut by a crash; a new line is added
    return at
