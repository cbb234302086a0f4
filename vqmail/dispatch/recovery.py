"""What one life of vq-send leaves in the queue for the next (QMAIL interfaces 3.2 and 4.3)."""

from vqmail.dispatch.message import Message
from vqmail.store import queue, queued

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.dispatch.journal import Journal


def messages(now: int, log: "Journal") -> "dict[int, Message]":
    """The messages of S5.  What else a crash left, or brought back, is removed: it must not be taken for a later
    message's that gets the number."""
    found = {}
    in_todo = {int(name) for name in queue.waiting() if name.isdigit()}
    for number in queue.numbers(b"info"):
        # it was being preprocessed, then todo/ counts; or it was done with, and came back at a power cut
        if number in in_todo or not queued.has_text(number):
            queued.remove_info(number)
            continue
        birth = now
        try:
            birth, _ = queued.read_info(number)
        except (OSError, ValueError) as error:      # no reason not to deliver the others
            log.trouble("trouble reading", queue.split(b"info", number), error)
        found[number] = Message(number, birth, None)
    for channel in (0, 1):
        for number in set(queue.numbers(queue.CHANNEL[channel])) - set(found):
            queued.remove_recipients(number, channel)
    for number in set(queue.bounces()) - set(found):
        queued.remove_bounce(number)
    return found


def note_due(one: Message, log: "Journal") -> None:
    """At a clean end: write down when a message of S5 is to be tried."""
    for channel in (0, 1):
        when = one.due[channel]
        if when is not None:
            try:
                queued.note_due(one.number, channel, when)
            except OSError as error:
                log.trouble("unable to utime", queue.split(queue.CHANNEL[channel], one.number), error)
