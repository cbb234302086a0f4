"""The queue on disk (QMAIL interface 3), one function for each step of a message's life.

    S1  number free
    S2  mess/N is being written, or being removed
    S4  todo/N is there: THE MESSAGE IS QUEUED
    S5  info/N is there, todo/N is not: preprocessed, being delivered

    S1 -> S2 -> S4   Entry, commit()
    S4 -> S5         preprocess()
    S5               mark(), add_bounce()
    S5 -> S1         remove_recipients(), remove_info(), and mess/N goes by vq-clean

The number N is the inode number of mess/N.  Losing the name todo/N would lose the message: every name
that a promise rests on is synced before the promise.
"""

from vqmail import codes, vqhome
from vqmail.formats import date822, header, todo
from vqmail.record import Record
from vqmail.unix import calls, durable, fd, trigger

SPLIT = 23
QUEUE = vqhome.path(b"queue")
PID = QUEUE + b"/pid"
INTD = QUEUE + b"/intd"
TODO = QUEUE + b"/todo"
MESS = QUEUE + b"/mess"
BOUNCE = QUEUE + b"/bounce"
TRIGGER = QUEUE + b"/lock/trigger"
LOCAL, REMOTE = 0, 1                    # the two channels
CHANNEL = (b"local", b"remote")
PIECE = 65536                           # bytes gathered before they are written
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def split(kind: bytes, number: int) -> bytes:
    """The path of message `number` in one of mess, info, local, remote."""
    return b"%s/%s/%d/%d" % (QUEUE, kind, number % SPLIT, number)


class Refused(codes.Failure):
    """The queue cannot take this message; `code` is vq-queue's exit code."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


class Entry:
    """One message on its way from S1 to S4.

    `how` is what its first line says (`by uid 1000`), `qp` the number by which the log joins it to its origin.
    """

    def __init__(self, uid: int, how: bytes, qp: int, now: float) -> None:
        self.uid = uid
        self.qp = qp
        self._todo: durable.Draft | None = None
        self._linked: list[bytes] = []
        try:
            self._mess = durable.Draft(PID, b"%d.%d.%d" % (calls.getpid(), now, qp), 0o644)
        except OSError as error:
            raise Refused(codes.QUEUE_NO_PID_FILE, "cannot create a file in %s: %s" % (
                PID.decode(), error.strerror)) from None
        self.number = self._mess.inode()
        self._pieces = [header.trace(qp, how, date822.header(now))]
        self._size = 0

    def write(self, data: bytes) -> None:
        """Append to the message.  Refused if the disk is full."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= PIECE:
            self._flush()

    def envelope(self, sender: bytes, recipients: "Iterable[bytes]") -> None:
        """The message is complete; this is its envelope."""
        self._flush()
        try:
            self._todo = durable.Draft(INTD, b"%d" % self.number, 0o644)
            self._todo.write(todo.encode(self.uid, self.qp, sender, recipients))
        except OSError as error:
            raise Refused(codes.QUEUE_NO_INTD, "cannot write the envelope in %s: %s" % (
                INTD.decode(), error.strerror)) from None

    def name_mess(self) -> None:
        """S1 -> S2: give the message its name.  An envelope that a crash left under this number goes first:
        it is another message's."""
        path = split(b"mess", self.number)
        try:
            if remove(TODO + b"/%d" % self.number):
                durable.sync_dir(TODO)          # it must not come back beside our message
            self._mess.link(path)
        except OSError as error:
            raise Refused(codes.QUEUE_NO_MESS, "cannot link %s: %s" % (path.decode(), error.strerror)) from None
        self._linked.append(path)

    def seal(self) -> None:
        """Message and envelope are on the disk, and the message's name."""
        assert self._todo is not None
        self._mess.seal()
        self._todo.seal()
        durable.sync_dir(split(b"mess", self.number).rpartition(b"/")[0])

    def name_todo(self) -> None:
        """S2 -> S4, as soon as the name is on the disk."""
        assert self._todo is not None
        path = TODO + b"/%d" % self.number
        try:
            self._todo.link(path)
        except OSError as error:
            raise Refused(codes.QUEUE_NO_TODO, "cannot link %s: %s" % (path.decode(), error.strerror)) from None
        self._linked.append(path)

    def close(self) -> None:
        """Let go of the files; a message that was not queued is gone."""
        self._mess.close()
        if self._todo is not None:
            self._todo.close()

    def abandon(self) -> None:
        """Take back every name, the envelope's first, and let go."""
        for path in reversed(self._linked):
            remove(path)
        self._linked.clear()
        self.close()

    def _flush(self) -> None:
        pieces, self._pieces, self._size = self._pieces, [], 0
        try:
            self._mess.write(b"".join(pieces))
        except OSError as error:
            raise Refused(codes.QUEUE_WRITE_ERROR, "cannot write the message in %s: %s" % (
                MESS.decode(), error.strerror)) from None


def commit(entries: "list[Entry]", file_system: "durable.FileSystem | None") -> "list[tuple[Entry, Refused | None]]":
    """Queue all of `entries`, with two syncs of `file_system` for all of them, or with fsyncs for each: also when the
    file system is busy with what others write.

    Returns each with None when it is on the disk and its files are closed, or with why it is not; then nothing of
    it is left.
    """
    outcome: list[tuple[Entry, Refused | None]] = []
    named = _each(entries, Entry.name_mess, outcome)
    try:
        if file_system is not None and named and not file_system.busy:
            file_system.sync()
        else:
            for entry in named:
                entry.seal()
        queued = _each(named, Entry.name_todo, outcome)
        if queued:
            durable.sync_dir(TODO)              # one flush; whatever the batch, one directory
    except OSError as error:
        # A failed sync is never tried again, and it speaks for everything that was written since the last one.
        refused = Refused(codes.QUEUE_WRITE_ERROR, "cannot sync %s: %s" % (QUEUE.decode(), error.strerror))
        _abandon(named)
        return [*outcome, *((entry, refused) for entry in named if all(entry is not each for each, _ in outcome))]
    for entry in queued:
        entry.close()
        outcome.append((entry, None))
    if queued:
        trigger.pull(TRIGGER)
    return outcome


def _each(entries: "list[Entry]", step: "object", outcome: "list[tuple[Entry, Refused | None]]") -> "list[Entry]":
    """Take `step` with each entry; those that cannot are abandoned and noted in `outcome`."""
    done = []
    for entry in entries:
        try:
            step(entry)  # type: ignore[operator]
            done.append(entry)
        except Refused as refused:
            entry.abandon()
            outcome.append((entry, refused))
    return done


def _abandon(entries: "list[Entry]") -> None:
    for entry in entries:
        try:
            entry.abandon()
        except OSError:             # the disk is in trouble; the queue cleaner will come by
            entry.close()


def remove(path: bytes) -> bool:
    """Unlink `path`; False if it was not there."""
    try:
        calls.unlink(path)
    except FileNotFoundError:
        return False
    return True


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


def waiting() -> "list[bytes]":
    """The names in todo/, which are the numbers of the messages in S4."""
    return calls.listdir(TODO)


def read_todo(number: int) -> Waiting:
    """A message in S4.  FileNotFoundError if mess/N or todo/N is not there; ValueError if todo/N is broken."""
    file = calls.open(TODO + b"/%d" % number, calls.O_RDONLY | calls.O_CLOEXEC)
    try:
        text = fd.read_all(file, todo.LIMIT)
        birth = calls.fstat(file).st_mtime_ns // 1_000_000_000
    finally:
        calls.close(file)
    size = calls.stat(split(b"mess", number)).st_size
    uid, qp, sender, recipients = todo.decode(text)
    return Waiting(number, birth, size, uid, qp, sender, recipients)


def preprocess(message: Waiting, recipients: "tuple[list[tuple[bytes, bool]], list[tuple[bytes, bool]]]") -> None:
    """S4 -> S5, all but the removal of todo/N, which is what completes it: info/N, and local/N and remote/N with
    `recipients`, each an address and whether it is done, for the two channels.  Returns when all is on the disk.
    """
    number = message.number
    for kind in (*CHANNEL, b"info"):
        remove(split(kind, number))
    for channel, records in enumerate(recipients):
        path = split(CHANNEL[channel], number)
        if any(not done for _, done in records):
            _write(path, todo.encode_recipients(records), message.birth)
        else:                                   # what an earlier message had there must not come back
            durable.sync_dir(path.rpartition(b"/")[0])
    _write(split(b"info", number), b"F%s\0" % message.sender, message.birth)


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
    return fd.is_there(split(b"mess", number))


def read_info(number: int) -> "tuple[int, bytes]":
    """(birth, sender) of a message in S5."""
    file = calls.open(split(b"info", number), calls.O_RDONLY | calls.O_CLOEXEC)
    try:
        text = fd.read_all(file, todo.LIMIT)
        birth = calls.fstat(file).st_mtime_ns // 1_000_000_000
    finally:
        calls.close(file)
    return birth, todo.decode_info(text)


def told_of_delay(number: int) -> bool:
    """Whether the sender of a message in S5 was told that it waits: info/N is executable then, which means nothing else
    to anybody."""
    return bool(calls.stat(split(b"info", number)).st_mode & 0o100)


def note_told_of_delay(number: int) -> None:
    """Remember what told_of_delay() asks."""
    file = calls.open(split(b"info", number), calls.O_RDONLY | calls.O_CLOEXEC)
    try:
        calls.fchmod(file, 0o700)
        durable.sync_fd(file)
    finally:
        calls.close(file)


def read_recipients(number: int, channel: int) -> "list[tuple[int, bytes]]":
    """(offset, address) of the recipients of `channel` that are still to do; FileNotFoundError if all are done."""
    return todo.pending(fd.read_file(split(CHANNEL[channel], number), todo.LIMIT))


def due(number: int, channel: int) -> "int | None":
    """When `channel` of this message is to be tried next, as a clean shutdown noted it; None if all are done."""
    try:
        return calls.stat(split(CHANNEL[channel], number)).st_mtime_ns // 1_000_000_000
    except FileNotFoundError:
        return None


def note_due(number: int, channel: int, when: int) -> None:
    """Write down for the next start when `channel` is to be tried."""
    calls.utime(split(CHANNEL[channel], number), (when, when))


def mark(number: int, channel: int, offset: int, *, sync: bool) -> None:
    """Note that the recipient at `offset` is done.  A mark that is lost costs a duplicate; after a failure it would
    cost a second bounce, so that one is synced."""
    file = calls.open(split(CHANNEL[channel], number), calls.O_WRONLY | calls.O_CLOEXEC)
    try:
        calls.pwrite(file, b"D", offset)
        if sync:
            durable.sync_fd(file)
    finally:
        calls.close(file)


def add_bounce(number: int, paragraph: bytes) -> None:
    """Append to bounce/N; returns when it is on the disk.  On any trouble bounce/N is as it was."""
    path = BOUNCE + b"/%d" % number
    file = calls.open(path, calls.O_CREAT | calls.O_WRONLY | calls.O_APPEND | calls.O_CLOEXEC, 0o600)
    try:
        size = calls.fstat(file).st_size
        try:
            fd.write_all(file, paragraph)
            durable.sync_fd(file)
            if size == 0:
                durable.sync_dir(BOUNCE)
        except OSError:
            calls.ftruncate(file, size)
            raise
    finally:
        calls.close(file)


def open_bounce(number: int) -> int:
    """bounce/N, open for reading; FileNotFoundError if nothing failed."""
    return calls.open(BOUNCE + b"/%d" % number, calls.O_RDONLY | calls.O_CLOEXEC)


def remove_bounce(number: int) -> None:
    """The bounce was sent: remove its paragraphs."""
    remove(BOUNCE + b"/%d" % number)


def remove_recipients(number: int, channel: int) -> None:
    """All recipients of `channel` are done."""
    remove(split(CHANNEL[channel], number))


def remove_info(number: int) -> None:
    """S5 -> S2."""
    remove(split(b"info", number))


def bounces() -> "list[int]":
    """The numbers of the messages that have paragraphs in bounce/."""
    return [int(name) for name in calls.listdir(BOUNCE) if name.isdigit()]


def numbers(kind: bytes) -> "list[int]":
    """All message numbers in one of the split directories mess, info, local, remote."""
    found = []
    for part in range(SPLIT):
        names = calls.listdir(b"%s/%s/%d" % (QUEUE, kind, part))
        found += [int(name) for name in names if name.isdigit() and int(name) % SPLIT == part]
    return found
