"""The queue on disk (QMAIL interface 3): where its files are, and how a message comes in.

    S1  number free
    S2  mess/N is being written, or being removed
    S4  todo/N is there: THE MESSAGE IS QUEUED
    S5  info/N is there, todo/N is not: preprocessed, being delivered

    S1 -> S2 -> S4          Entry, commit()
    S4 -> S5 -> S2 -> S1    store/queued.py

The number N is the inode number of mess/N.  Losing the name todo/N would lose the message: every name
that a promise rests on is synced before the promise.
"""

from vqmail import codes, vqhome
from vqmail.formats import date822, header, todo
from vqmail.unix import calls, durable, trigger

SPLIT = 23
QUEUE = vqhome.path(b"queue")
PID = QUEUE + b"/pid"
INTD = QUEUE + b"/intd"
TODO = QUEUE + b"/todo"
MESS = QUEUE + b"/mess"
BOUNCE = QUEUE + b"/bounce"
TRIGGER = QUEUE + b"/lock/trigger"
CHANNEL = (b"local", b"remote")
PIECE = 65536                           # bytes gathered before they are written
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


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


def _each(entries: "list[Entry]", step: "Callable[[Entry], None]",
          outcome: "list[tuple[Entry, Refused | None]]") -> "list[Entry]":
    """Take `step` with each entry; those that cannot are abandoned and noted in `outcome`."""
    done = []
    for entry in entries:
        try:
            step(entry)
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


def waiting() -> "list[bytes]":
    """The names in todo/, which are the numbers of the messages in S4."""
    return calls.listdir(TODO)


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
