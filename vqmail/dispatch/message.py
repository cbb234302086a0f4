"""A message that vq-send knows of, and one pass over its recipients on one channel."""

from vqmail.store import queue, queued


class Recipient:
    """One address of a pass.  `offset` is where its mark is in local/N or remote/N, -1 when it is not there yet;
    `report` is what was said at its delivery, kept only in a pass that is late."""

    __slots__ = ("address", "done", "offset", "report")

    def __init__(self, address: bytes, offset: int = -1) -> None:
        self.address = address
        self.offset = offset
        self.done = False
        self.report = b""


class Pass:
    """One attempt at all recipients of a channel that are still to do.  When it is `dying` there is no further one;
    when it is `late`, and not all are done then, the sender is told that the message waits."""

    __slots__ = ("channel", "dying", "late", "message", "next_due", "place", "recipients", "running")

    def __init__(self, message: "Message", channel: int, recipients: "list[Recipient]", next_due: int, *,
                 dying: bool, late: bool = False) -> None:
        self.message = message
        self.channel = channel
        self.recipients = recipients
        self.next_due = next_due
        self.dying = dying
        self.late = late
        self.place = 0                          # of the next recipient to be started
        self.running = 0

    def over(self) -> bool:
        """Whether every recipient was tried and has reported."""
        return self.place == len(self.recipients) and not self.running

    def done(self) -> bool:
        """Whether nobody is left to be tried again."""
        return all(each.done for each in self.recipients)


class Message:
    """`waiting` is what todo/N says, while the first attempt is made straight from there (S4); None in S5.

    `due` is, for each channel, when it is to be tried next; None when all its recipients are done.
    """

    __slots__ = ("birth", "due", "failed", "gone", "number", "passes", "reborn", "sender", "told", "tries",
                 "waiting")

    def __init__(self, number: int, birth: int, sender: "bytes | None") -> None:
        self.number = number
        self.birth = birth
        self.sender = sender                    # None: not read yet
        self.waiting: queued.Waiting | None = None
        self.due: list[int | None] = [None, None]
        self.passes: list[Pass | None] = [None, None]
        self.tries = [0, 0]                     # passes begun in this life of vq-send, since the clock last jumped
        self.told = False                       # the sender knows that it waits, or does not want to
        self.failed = False                     # somebody is to hear of it by a bounce
        self.gone = False                       # todo/N and info/N are removed; mess/N is about to be
        self.reborn = False                     # and a new message was seen under its number

    def name(self) -> bytes:
        """As the spawners are told."""
        return b"%d/%d" % (self.number % queue.SPLIT, self.number)
