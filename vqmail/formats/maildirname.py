"""The names of messages in a maildir: SECONDS.UNIQUE.HOST,S=SIZE,W=OCTETS

UNIQUE is M microseconds, P process, V device, I inode: two messages of one name would have to be the same file.
HOST has `/` and `:` as \\057 and \\072.  SIZE is the file's, OCTETS the message's with every line ending in CR LF: who
tells a POP3 or IMAP client how long a message is need not open it.  What comes after a `:` is the reader's.
"""

from vqmail.formats import digest

UID_LIMIT = 70                  # characters of a unique-id (RFC 1939 7)
DIGEST = 32                     # of them, where a digest must make it one: nobody makes two names of the same one
PRINTABLE = bytes(range(33, 127))
TO_PRINTABLE = bytes(each if each in PRINTABLE else ord("_") for each in range(256))


def new(now: int, pid: int, device: int, inode: int, host: bytes, again: bytes = b"") -> bytes:
    """A name for a message delivered at `now`, in nanoseconds; `again` (letters and digits) makes it another one."""
    seconds, rest = divmod(now, 1_000_000_000)
    unique = b"M%dP%dV%dI%d" % (rest // 1000, pid, device, inode)
    return b"%d.%s%s.%s" % (seconds, unique, again and b"_" + again, escaped(host))


def escaped(host: bytes) -> bytes:
    """`host` as it may stand in a file name that others take apart at its colon."""
    return host.replace(b"/", b"\\057").replace(b":", b"\\072") or b"localhost"


def sizes(size: int, octets: int) -> bytes:
    """What is put behind the name of a message of `size` bytes, `octets` over the line."""
    return b",S=%d,W=%d" % (size, octets)


def octets(name: bytes) -> "int | None":
    """The octets that `name` tells of, or None."""
    digits = name.partition(b":")[0].partition(b",W=")[2].partition(b",")[0]
    return int(digits) if digits.isdigit() and len(digits) < 16 else None


def unique(name: bytes) -> bytes:
    """The part of `name` that stays when flags are set."""
    return name.partition(b":")[0]


def order(name: bytes) -> bytes:
    """What to sort by: the second and microsecond of delivery, then the name.  A name of another kind comes first."""
    seconds, _, rest = name.partition(b".")
    micro = rest[1:rest.find(b"P")] if rest[:1] == b"M" else b""
    return _padded(seconds) + _padded(micro) + name


def unique_id(name: bytes) -> bytes:
    """The unique-id (RFC 1939 7) of a message: the part of its name that stays, as qmail has it, which clients know.

    It is made fit for the protocol where it is not; a digest then stands for what was lost.
    """
    kept = unique(name)
    return kept if is_unique_id(kept) else hashed(kept)


def is_unique_id(text: bytes) -> bool:
    """Whether `text` may be a unique-id."""
    return 0 < len(text) <= UID_LIMIT and not text.translate(None, PRINTABLE)


def hashed(text: bytes) -> bytes:
    """A unique-id for `text`, which no other text has."""
    made = digest.of("sha256", text).hex().encode()[:DIGEST]
    return text.translate(TO_PRINTABLE)[:UID_LIMIT - DIGEST] + made


def _padded(digits: bytes) -> bytes:
    return (digits if digits.isdigit() and len(digits) < 16 else b"").rjust(15, b"0")
