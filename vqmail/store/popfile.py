"""Small files that POP3 sessions keep in a Maildir, none of which is missed if it is lost.

    vqpop3uidl      the unique-ids that another server gave: store/uidl.py
    vqpop3sizes     the octets of messages whose names do not tell them, a line each: OCTETS NAME
    vqpop3login     when somebody logged in last: the time of the file
"""

import errno

from vqmail.store import maildir as maildirs
from vqmail.unix import calls, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SIZES = b"vqpop3sizes"
LOGIN = b"vqpop3login"
LIMIT = 256 << 20
TOUCH = calls.O_WRONLY | calls.O_CREAT | calls.O_CLOEXEC | calls.O_NOFOLLOW | calls.O_NONBLOCK


def sizes(maildir: bytes) -> "dict[bytes, int]":
    """The octets that were counted in an earlier session, by name; empty if they cannot be read."""
    try:
        text = fd.read_file(maildir + SIZES, LIMIT)
    except (OSError, ValueError):
        return {}                               # they are counted again
    pairs = (line.partition(b" ") for line in text.split(b"\n"))
    return {name: int(digits) for digits, _, name in pairs if name and digits.isdigit() and len(digits) < 16}


def keep_sizes(maildir: bytes, known: "Iterable[tuple[bytes, int]]") -> None:
    """Write them down for the next session, if that can be done."""
    try:
        maildirs.replace(maildir, SIZES, b"".join(b"%d %s\n" % (octets, name) for name, octets in known))
    except OSError:
        return                                  # a full disk, or quota: the next one counts again


def too_soon(maildir: bytes, seconds: int, now: float) -> bool:
    """Whether the last login was less than `seconds` ago; if not this one is noted.  OSError."""
    try:
        if 0 <= now - calls.stat(maildir + LOGIN).st_mtime < seconds:
            return True
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
    number = calls.open(maildir + LOGIN, TOUCH, 0o600)
    try:
        fd.write_all(number, b"\n")             # that changes its time
    finally:
        calls.close(number)
    return False
