"""How much mail a user may have and has: quota strings, and the file maildirsize of Maildir++.

    5000000S,1000C      at most 5,000,000 bytes, and at most 1000 messages
    5M 5MB 1000K 1000KB 1G 1GB      bytes, by 1024
    5000000             bytes
    NOQUOTA             no limit, whatever others have

The first line of maildirsize is such a string, of S and C only; each further one says what was added, or taken away:
bytes and messages.  Their sum is what there is.  Dovecot, Courier, maildrop, Exim and vpopmail keep it, too.
"""

from vqmail.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NOQUOTA = b"NOQUOTA"
UNITS = {b"": 1, b"S": 1, b"B": 1, b"K": 1 << 10, b"KB": 1 << 10, b"M": 1 << 20, b"MB": 1 << 20,
         b"G": 1 << 30, b"GB": 1 << 30}
DIGITS = 18                     # of a number: what fits into 63 bits, as in the programs we share the file with
WARN = 90                       # per cent, if nobody says otherwise
TRASH = b".Trash"               # the folder that does not count


class Limits(Record):
    """What a user may have; 0 is no limit."""

    __slots__ = ("size", "count")
    size: int
    count: int


class Use(Record):
    """What a user has: bytes and messages."""

    __slots__ = ("size", "count")
    size: int
    count: int


class File(Record):
    """What stands in maildirsize.  `lines` is how many add up to `use`; not `whole`: the last has no end."""

    __slots__ = ("limits", "use", "lines", "whole")
    limits: Limits
    use: Use
    lines: int
    whole: bool


class Rule(Record):
    """What a delivery is told.  `limits` is None if there is no quota; `defer`: what does not fit waits in the queue;
    `warn` is the per cent from which on the user is told, 0 for never."""

    __slots__ = ("limits", "defer", "warn")
    limits: "Limits | None"
    defer: bool
    warn: int


NONE = Limits(0, 0)


def parse(text: bytes) -> "Limits | None":
    """The limits that a quota string sets, NONE for NOQUOTA; None if it is empty.  ValueError, saying what may stand
    there, if it is something else.
    """
    if not text:
        return None
    if text.upper() == NOQUOTA:
        return NONE
    size = count = 0
    for each in text.split(b","):
        digits = each.rstrip(b"SCKMGBsckmgb")
        unit = each[len(digits):].upper()
        if not digits.isdigit() or len(digits) > DIGITS or (unit != b"C" and unit not in UNITS):
            raise ValueError("a quota is 5000000S,1000C, or 5M, or NOQUOTA, not %s" % _shown(text))
        if unit == b"C":
            count = int(digits)
        else:
            size = int(digits) * UNITS[unit]
    return Limits(size, count)


def definition(limits: Limits) -> bytes:
    """The first line of maildirsize, without its end."""
    parts = []
    if limits.size or not limits.count:
        parts.append(b"%dS" % limits.size)
    if limits.count:
        parts.append(b"%dC" % limits.count)
    return b",".join(parts)


def line(size: int, count: int) -> bytes:
    """What is appended when so much was added; negative numbers for what was taken away."""
    return b"%d %d\n" % (size, count)


def parse_file(text: bytes) -> File:
    """The content of maildirsize.  A last line that has no end does not count: somebody is just writing it, or was
    stopped.  ValueError if the file is of no use and must be made anew.
    """
    *lines, rest = text.split(b"\n")
    if len(lines) < 2:
        raise ValueError("maildirsize has no sum")
    limits = parse(lines[0].strip()) or NONE
    size = count = 0
    for each in lines[1:]:
        words = each.split()
        if len(words) != 2:
            raise ValueError("maildirsize has a line that is no two numbers")
        size += _integer(words[0])
        count += _integer(words[1])
    if size < 0 or count < 0:
        raise ValueError("maildirsize says less than nothing")
    return File(limits, Use(size, count), len(lines) - 1, not rest)


def is_over(limits: Limits, use: Use, size: int = 0, count: int = 0) -> bool:
    """Whether `use` and so much more is more than allowed."""
    return bool((limits.size and use.size + size > limits.size) or (limits.count and use.count + count > limits.count))


def per_cent(limits: Limits, use: Use) -> int:
    """How full it is, by bytes or by messages, whichever is more; 0 without limits."""
    return max(use.size * 100 // limits.size if limits.size else 0,
               use.count * 100 // limits.count if limits.count else 0)


def size_in_name(name: bytes) -> "int | None":
    """The bytes that the file name of a message tells of, or None."""
    digits = name.partition(b":")[0].partition(b",S=")[2].partition(b",")[0]
    return int(digits) if digits.isdigit() and len(digits) <= DIGITS else None


def counts(name: bytes) -> bool:
    """Whether the message called so counts: not if it is marked as trashed, about to be removed by its reader."""
    return b"T" not in name.partition(b":2,")[2].partition(b",")[0]


def environment(quota: bytes, *, defer: bool, warn: int) -> "dict[bytes, bytes]":
    """What virtmailfilter tells virtmaildelivery of a user's quota; nothing if there is none."""
    if not quota:
        return {}
    return {b"QUOTA": quota, b"OVERQUOTA": b"defer" if defer else b"bounce", b"QUOTAWARN": b"%d" % warn}


def rule(env: "Mapping[bytes, bytes]") -> Rule:
    """What `env` says of a quota.  ValueError if it is none."""
    warn = env.get(b"QUOTAWARN", b"")
    return Rule(parse(env.get(b"QUOTA", b"")), env.get(b"OVERQUOTA") == b"defer",
                int(warn) if warn.isdigit() and len(warn) < 4 else WARN)


def fits_into(total: Limits, quotas: "list[Limits | None]") -> bool:
    """Whether users with these quotas can never have more than a domain's `total` together."""
    for kind in "size", "count":
        most = getattr(total, kind)
        each = [getattr(quota, kind) if quota is not None else 0 for quota in quotas]
        if most and (0 in each or sum(each) > most):
            return False
    return True


def _integer(word: bytes) -> int:
    digits = word[1:] if word[:1] in (b"-", b"+") else word
    if not digits.isdigit() or len(digits) > DIGITS:
        raise ValueError("maildirsize has a line that is no two numbers")
    return -int(digits) if word[:1] == b"-" else int(digits)


def _shown(text: bytes) -> str:
    return "".join(chr(each) if 32 <= each < 127 else "?" for each in text[:100])
