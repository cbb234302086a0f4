"""Old names that people still log in with.

    users/logins            oldname:user@domain         of the whole installation
    DOMAIN/etc/logins       oldname:user                of one domain

An old name may hold anything that a client sends, but no colon and no blank: `dom1bob`, `bob%dom1`.  # is a comment.
"""

from vqmail.formats import passwd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST = 255                   # bytes of an old name


def records(lines: "Iterable[bytes]", whole: bool) -> "Iterator[tuple[bytes, bytes]]":
    """(old name, who it is) in lower case; with `whole` who is user@domain, else a user.

    ValueError, with line number and remedy, if any line is broken.
    """
    seen: dict[bytes, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(b"#"):
            continue
        old, colon, who = line.strip().lower().partition(b":")
        if not colon or not usable(old):
            raise ValueError("line %d: write OLDNAME:%s" % (number, "USER@DOMAIN" if whole else "USER"))
        user, at, domain = who.rpartition(b"@") if whole else (who, b"", b"")
        if not passwd.usable(user) or (whole and not (at and domain)):
            raise ValueError("line %d: behind the colon must be %s" % (
                number, "a user, an @ and a domain" if whole else "a user of this domain"))
        if old in seen:
            raise ValueError("line %d: the name stands in line %d already; remove one" % (number, seen[old]))
        seen[old] = number
        yield old, who


def usable(old: bytes) -> bool:
    """Whether it can be an old name."""
    return 0 < len(old) <= LONGEST and not old.startswith(b"#") and not any(
        each <= 32 or each in (58, 127) for each in old)
