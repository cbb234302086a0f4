"""Users of VMailMgr: records of its passwd.cdb.  The key is the name.

    oldest      :hash:destination           which is a mailbox if it begins with . or /, a forward if with &
    version 1   1, then hash NUL mailbox NUL (forward NUL)* NUL personal NUL, and the numbers, each ended by NUL
    version 2   2, then pairs of a flag's number and value, NUL, and the same

    numbers     hard quota, soft quota, message size, message count, time of creation, expiry; `-`: no limit

The numbers may be cut short by programs that wrote them before all of them were thought of.
"""

from vqmail.record import Record

MAILBOX_ENABLED = 8             # flags
HAS_MAILBOX = 10
KNOWN = (MAILBOX_ENABLED, HAS_MAILBOX)
NUMBERS = 6
LONGEST = 20                    # digits
VERSIONS = (1, 2)


class Entry(Record):
    """One user or alias.  Numbers are None if there is no limit; `flags` are those that we do not know."""

    __slots__ = ("password", "mailbox", "enabled", "forwards", "personal", "hard", "soft", "size", "count", "created",
                 "expires", "flags")
    password: bytes
    mailbox: bytes
    enabled: bool
    forwards: "list[bytes]"
    personal: bytes
    hard: "int | None"
    soft: "int | None"
    size: "int | None"
    count: "int | None"
    created: "int | None"
    expires: "int | None"
    flags: "list[int]"


def decode(data: bytes) -> Entry:
    """The entry of a record.  ValueError if it is none."""
    if data[:1] == b":":
        return _oldest(data)
    version = data[0] if data else 0
    if version not in VERSIONS:
        raise ValueError("is of no version that we know: it begins with byte %d" % version)
    flags, rest = _flags(data[1:]) if version > 1 else ({}, data[1:])
    password, rest = _word(rest, "password")
    mailbox, rest = _word(rest, "mailbox")
    forwards = []
    while True:
        each, rest = _word(rest, "forwards")
        if not each:
            break
        forwards.append(each)
    personal, rest = _word(rest, "name")
    numbers: list[int | None] = []
    while rest and len(numbers) < NUMBERS:
        each, rest = _word(rest, "number")
        numbers.append(_number(each))
    numbers += [None] * (NUMBERS - len(numbers))
    if not flags.get(HAS_MAILBOX, bool(mailbox)):
        mailbox = b""
    return Entry(password, mailbox, flags.get(MAILBOX_ENABLED, True), forwards, personal, *numbers,
                 [each for each in flags if each not in KNOWN])


def _oldest(data: bytes) -> Entry:
    password, colon, destination = data[1:].partition(b":")
    destination = destination.rstrip(b"\0")
    if not colon or b"\0" in data.rstrip(b"\0"):
        raise ValueError("is neither :hash:destination nor of a version that we know")
    mailbox, forwards = b"", []
    if destination[:1] in (b".", b"/"):
        mailbox = destination
    elif destination:
        forwards = [destination.removeprefix(b"&")]
    return Entry(password, mailbox, True, forwards, b"", *[None] * NUMBERS, [])  # noqa: FBT003


def _flags(data: bytes) -> "tuple[dict[int, bool], bytes]":
    flags = {}
    at = 0
    while data[at:at + 1] not in (b"", b"\0"):
        if at + 1 >= len(data):
            break
        flags[data[at]] = data[at + 1] != 0
        at += 2
    if data[at:at + 1] != b"\0":
        raise ValueError("its flags have no end")
    return flags, data[at + 1:]


def _word(data: bytes, what: str) -> "tuple[bytes, bytes]":
    word, end, rest = data.partition(b"\0")
    if not end:
        raise ValueError("it ends in its %s" % what)
    return word, rest


def _number(word: bytes) -> "int | None":
    if word in (b"-", b""):
        return None
    if not word.isdigit() or len(word) > LONGEST:
        raise ValueError("one of its numbers is none")
    return int(word)
