"""A message that is in the queue (store/queue.py), one function for each step of its life.

    S4 -> S5        preprocess()
    S5              mark(), add_bounce(), note_told_of_delay()
    S5 -> S2        remove_recipients(), remove_info(); then mess/N goes by vq-clean
"""

from vqmail.formats import todo
from vqmail.record import Record
from vqmail.store import queue
from vqmail.unix import calls, durable, fd


class Waiting(Record):
    """What todo/N and mess/N say of a queued message."""

    __slots__ = ("number", "birth", "size", "uid", "qp", "sender", "recipients")
    number: int
    birth: int
    size: int
    uid: int
    qp: int
    sender: bytes
    recipients: "list[bytes]"


def read_todo(number: int) -> Waiting:
    """A message in S4.  FileNotFoundError if mess/N or todo/N is not there; ValueError if todo/N is broken."""
    file = calls.open(queue.TODO + b"/%d" % number, calls.O_RDONLY | calls.O_CLOEXEC)
    try:
        text = fd.read_all(file, todo.LIMIT)
        birth = calls.fstat(file).st_mtime_ns // 1_000_000_000
    finally:
        calls.close(file)
    size = calls.stat(queue.split(b"mess", number)).st_size
    uid, qp, sender, recipients = todo.decode(text)
    return Waiting(number, birth, size, uid, qp, sender, recipients)


def preprocess(message: Waiting, recipients: "tuple[list[tuple[bytes, bool]], list[tuple[bytes, bool]]]") -> None:
    """S4 -> S5, all but the removal of todo/N, which is what completes it: info/N, and local/N and remote/N with
    `recipients`, each an address and whether it is done, for the two channels.  Returns when all is on the disk.
    """
    number = message.number
    for kind in (*queue.CHANNEL, b"info"):
        queue.remove(queue.split(kind, number))
    for channel, records in enumerate(recipients):
        path = queue.split(queue.CHANNEL[channel], number)
        if any(not done for _, done in records):
            _write(path, todo.encode_recipients(records), message.birth)
        else:                                   # what an earlier message had there must not come back
            durable.sync_dir(path.rpartition(b"/")[0])
    _write(queue.split(b"info", number), b"F%s\0" % message.sender, message.birth)


def _write(path: bytes, text: bytes, birth: int) -> None:
    number = calls.open(path, calls.O_CREAT | calls.O_EXCL | calls.O_WRONLY | calls.O_CLOEXEC, 0o600)
    try:
        fd.write_all(number, text)
        calls.utime(number, (birth, birth))     # info's mtime is the arrival, and the others' the next attempt
        durable.sync_fd(number)
    finally:
        calls.close(number)
    durable.sync_dir(path.rpartition(b"/")[0])


def has_text(number: int) -> bool:
    """Whether mess/N is there.  It is the last to go: what else there is under the number without it is a leftover."""
    return fd.is_there(queue.split(b"mess", number))


def read_info(number: int) -> "tuple[int, bytes]":
    """(birth, sender) of a message in S5."""
    file = calls.open(queue.split(b"info", number), calls.O_RDONLY | calls.O_CLOEXEC)
    try:
        text = fd.read_all(file, todo.LIMIT)
        birth = calls.fstat(file).st_mtime_ns // 1_000_000_000
    finally:
        calls.close(file)
    return birth, todo.decode_info(text)


def told_of_delay(number: int) -> bool:
    """Whether the sender of a message in S5 was told that it waits: info/N is executable then, which means nothing else
    to anybody."""
    return bool(calls.stat(queue.split(b"info", number)).st_mode & 0o100)


def note_told_of_delay(number: int) -> None:
    """Remember what told_of_delay() asks."""
    file = calls.open(queue.split(b"info", number), calls.O_RDONLY | calls.O_CLOEXEC)
    try:
        calls.fchmod(file, 0o700)
        durable.sync_fd(file)
    finally:
        calls.close(file)


def read_recipients(number: int, channel: int) -> "list[tuple[int, bytes]]":
    """(offset, address) of the recipients of `channel` that are still to do; FileNotFoundError if all are done."""
    return todo.pending(fd.read_file(queue.split(queue.CHANNEL[channel], number), todo.LIMIT))


def due(number: int, channel: int) -> "int | None":
    """When `channel` of this message is to be tried next, as a clean shutdown noted it; None if all are done."""
    try:
        return calls.stat(queue.split(queue.CHANNEL[channel], number)).st_mtime_ns // 1_000_000_000
    except FileNotFoundError:
        return None


def note_due(number: int, channel: int, when: int) -> None:
    """Write down for the next start when `channel` is to be tried."""
    calls.utime(queue.split(queue.CHANNEL[channel], number), (when, when))


def mark(number: int, channel: int, offset: int, *, sync: bool) -> None:
    """Note that the recipient at `offset` is done.  A mark that is lost costs a duplicate; after a failure it would
    cost a second bounce, so that one is synced."""
    file = calls.open(queue.split(queue.CHANNEL[channel], number), calls.O_WRONLY | calls.O_CLOEXEC)
    try:
        calls.pwrite(file, b"D", offset)
        if sync:
            durable.sync_fd(file)
    finally:
        calls.close(file)


def add_bounce(number: int, paragraph: bytes) -> None:
    """Append to bounce/N; returns when it is on the disk.  On any trouble bounce/N is as it was."""
    path = queue.BOUNCE + b"/%d" % number
    file = calls.open(path, calls.O_CREAT | calls.O_WRONLY | calls.O_APPEND | calls.O_CLOEXEC, 0o600)
    try:
        size = calls.fstat(file).st_size
        try:
            fd.write_all(file, paragraph)
            durable.sync_fd(file)
            if size == 0:
                durable.sync_dir(queue.BOUNCE)
        except OSError:
            calls.ftruncate(file, size)
            raise
    finally:
        calls.close(file)


def open_bounce(number: int) -> int:
    """bounce/N, open for reading; FileNotFoundError if nothing failed."""
    return calls.open(queue.BOUNCE + b"/%d" % number, calls.O_RDONLY | calls.O_CLOEXEC)


def remove_bounce(number: int) -> None:
    """The bounce was sent: remove its paragraphs."""
    queue.remove(queue.BOUNCE + b"/%d" % number)


def remove_recipients(number: int, channel: int) -> None:
    """All recipients of `channel` are done."""
    queue.remove(queue.split(queue.CHANNEL[channel], number))


def remove_info(number: int) -> None:
    """S5 -> S2."""
    queue.remove(queue.split(b"info", number))
