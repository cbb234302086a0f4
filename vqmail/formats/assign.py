"""users/assign and the records of users/cdb (QMAIL interface 7).

    =local:user:uid:gid:home:dash:ext:      just this address
    +prefix:user:uid:gid:home:dash:pre:     every address that begins so
    .                                       the end

    record of =     key ! local NUL     data user NUL uid NUL gid NUL home NUL dash NUL ext
    record of +     key ! prefix        data the same, with pre; what follows the prefix is added to it
    the last one    key empty           data: the last characters of all prefixes
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FIELDS = 6                      # after the address
KINDS = (b"=", b"+")
LARGEST = (1 << 32) - 2         # of all uids and gids: the one above means "leave it" to the system


def records(lines: "Iterable[bytes]") -> "Iterator[tuple[bytes, bytes]]":
    """The records for the lines of users/assign, the one with the wildchars last.

    ValueError, with the number of the line and what to do, for the first line that is none.
    """
    wildchars = b""
    number = 0
    for number, line in enumerate(lines, 1):
        kind = line[:1]
        if kind == b".":
            yield b"", wildchars
            return
        parts = line.split(b":", FIELDS + 1)
        if not (len(parts) == FIELDS + 2 and kind in KINDS and b"\0" not in line and is_id(parts[2]) and is_id(parts[3])
                and parts[2].strip(b"0") and parts[4].startswith(b"/")):
            raise ValueError("line %d: %s" % (number, _reason(line, parts)))
        local = parts[0][1:].lower()
        data = b"\0".join(parts[1:-1])
        if kind == b"=":
            yield b"!" + local + b"\0", data
            continue
        if local and local[-1:] not in wildchars:
            wildchars += local[-1:]
        yield b"!" + local, data
    raise ValueError("line %d: the file ends without a line that is just a dot; add one" % (number + 1))


def _reason(line: bytes, parts: "list[bytes]") -> str:
    """What is wrong with a line, and what to do about it."""
    if not line.strip():
        return "an empty line is not allowed; remove it"
    if line.startswith(b"#"):
        return "comments may only stand after the line with the dot; move it there"
    if b"\0" in line:
        return "has a NUL; remove it"
    if len(parts) < FIELDS + 2:
        return "has %d colons, needs %d: =local:user:uid:gid:home:dash:ext:" % (len(parts) - 1, FIELDS + 1)
    if line[:1] not in KINDS:
        return "begins neither with = (one address) nor with + (all that begin so)"
    if not is_id(parts[2]) or not is_id(parts[3]):
        return "the third and fourth fields must be a uid and a gid, as numbers"
    if not parts[2].strip(b"0"):
        return "uid 0: nothing is ever delivered as root; name another user"
    return "the fifth field must be a home directory that begins with a slash"


def is_id(text: bytes) -> bool:
    """Whether `text` is a uid or gid in decimal."""
    return text.isdigit() and (len(text) < 10 or (len(text) == 10 and int(text) <= LARGEST))


def keys(local: bytes, wildchars: bytes) -> "Iterator[tuple[bytes, bytes]]":
    """(key, what to add to the last field) of each record that may control `local`, those that count most first."""
    whole = b"!" + local.lower()
    yield whole + b"\0", b""
    for end in range(len(whole), 0, -1):
        if end == 1 or whole[end - 1:end] in wildchars:
            yield whole[:end], local[end - 1:]


def fields(data: bytes, added: bytes) -> "list[bytes]":
    """user, uid, gid, home, dash, ext of a record.  ValueError if it has not six fields."""
    found = (data + added).split(b"\0", FIELDS - 1)
    if len(found) != FIELDS or not is_id(found[1]) or not is_id(found[2]) or found[3][:1] != b"/":
        raise ValueError("users/cdb has a broken record")
    return found
