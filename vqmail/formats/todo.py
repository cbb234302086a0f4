"""The records in the queue's files (QMAIL interface 3.1).

    todo/N            u uid NUL  p qp NUL  F sender NUL  ( T recipient NUL )*
    info/N            F sender NUL
    local/N remote/N  ( T recipient NUL | D recipient NUL )*       to do, done

A recipient is marked done by overwriting its T in place.
"""

LIMIT = 256 << 20               # bytes of one such file: 200,000 recipients of the longest kind
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def encode(uid: int, qp: int, sender: bytes, recipients: "Iterable[bytes]") -> bytes:
    """A todo file."""
    return b"u%d\0p%d\0F%s\0%s" % (uid, qp, sender, b"".join([b"T%s\0" % each for each in recipients]))


def decode(text: bytes) -> "tuple[int, int, bytes, list[bytes]]":
    """(uid, qp, sender, recipients) of a todo file.  ValueError if it is not one."""
    uid = qp = 0
    sender: bytes | None = None
    recipients = []
    for record in _records(text):
        letter, value = record[:1], record[1:]
        if letter == b"T":
            recipients.append(value)
        elif letter == b"F":
            sender = value
        elif letter in (b"u", b"p"):
            if not value.isdigit():
                raise ValueError("%s is no number" % letter.decode())
            if letter == b"u":
                uid = int(value)
            else:
                qp = int(value)
        else:
            raise ValueError("unknown record %r" % letter)
    if sender is None:
        raise ValueError("no sender")
    return uid, qp, sender, recipients


def decode_info(text: bytes) -> bytes:
    """The sender in an info file.  ValueError if there is none."""
    records = _records(text)
    if len(records) != 1 or records[0][:1] != b"F":
        raise ValueError("an info file is F and the sender")
    return records[0][1:]


def encode_recipients(recipients: "Iterable[tuple[bytes, bool]]") -> bytes:
    """A local or remote file, of addresses and whether they are done."""
    return b"".join([b"%s%s\0" % (b"D" if done else b"T", address) for address, done in recipients])


def pending(text: bytes) -> "list[tuple[int, bytes]]":
    """(offset, address) of each recipient still to do.  ValueError if this is no such file."""
    found = []
    offset = 0
    for record in _records(text):
        if record[:1] == b"T":
            found.append((offset, record[1:]))
        elif record[:1] != b"D":
            raise ValueError("unknown record %r" % record[:1])
        offset += len(record) + 1
    return found


def recipients(text: bytes) -> "list[tuple[bytes, bool]]":
    """(address, whether it is done) of each recipient in a local or remote file.  ValueError if it is no such file."""
    found = []
    for record in _records(text):
        if record[:1] not in (b"T", b"D"):
            raise ValueError("unknown record %r" % record[:1])
        found.append((record[1:], record[:1] == b"D"))
    return found


def _records(text: bytes) -> "list[bytes]":
    if not text:
        return []
    if not text.endswith(b"\0"):
        raise ValueError("cut in the middle of a record")
    return text[:-1].split(b"\0")
