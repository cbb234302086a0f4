"""The deliveries of the passes under way: begun as slots become free, their reports written down."""

from vqmail.formats import dsn, quoting, sendlog
from vqmail.store import queue, queued

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vqmail.dispatch.bouncer import Bouncer
    from vqmail.dispatch.journal import Journal
    from vqmail.dispatch.message import Pass, Recipient
    from vqmail.dispatch.spawner import Spawner
    from vqmail.store.rewrite import Rules


class Deliveries:
    """Begins them in the order of the passes; `passed` learns of each pass whose last recipient has reported."""

    def __init__(self, spawners: "list[Spawner]", rules: "Rules", bouncer: "Bouncer", log: "Journal",
                 passed: "Callable[[Pass], None]") -> None:
        self.rules = rules
        self.bouncer = bouncer
        self._spawners = spawners
        self._log = log
        self._passed = passed
        self._active: tuple[list[Pass], list[Pass]] = ([], [])      # with recipients that wait for a free slot
        self._serial = 0

    def add(self, each: "Pass") -> None:
        """A pass begins."""
        if each.recipients:
            self._active[each.channel].append(each)
        else:
            self._passed(each)

    def fill(self) -> None:
        """Begin what there are slots for."""
        for active, spawner in zip(self._active, self._spawners, strict=True):
            while active and spawner.free():
                self._begin(spawner, active[0])
                if active[0].place == len(active[0].recipients):
                    active.pop(0)

    def _begin(self, spawner: "Spawner", each: "Pass") -> None:
        recipient = each.recipients[each.place]
        each.place += 1
        each.running += 1
        self._serial += 1
        serial = self._serial
        one = each.message
        sender = quoting.verp(one.sender or b"", self.rules.strip_prefix(recipient.address))
        spawner.start(one.name(), sender, recipient.address,
                      lambda text: self._report(each, recipient, serial, text))
        self._log.say(sendlog.starting(serial, one.number, each.channel, recipient.address))
        self._log.status()

    def _report(self, each: "Pass", recipient: "Recipient", serial: int, text: bytes) -> None:
        letter, text = text[:1], text[1:]
        each.running -= 1
        if letter == b"Z" and each.dying:
            letter, text = b"D", text + dsn.EXPIRED
        self._log.say(sendlog.ended(serial, letter, text))
        self._log.status()
        if letter in (b"K", b"D") and (letter == b"K" or self._failed(each, recipient, text)):
            recipient.done = True
            if recipient.offset >= 0:
                self._mark(each, recipient, letter)
        elif each.late:
            recipient.report = dsn.with_short_lines(text)
        if each.over():
            self._passed(each)

    def _failed(self, each: "Pass", recipient: "Recipient", text: bytes) -> bool:
        """Note a failure for the bounce; False if that could not be done, then it is tried again."""
        each.message.failed = True
        try:
            self.bouncer.add(each.message.number, self.rules.strip_prefix(recipient.address), text)
        except OSError as error:
            self._log.say(sendlog.alert(
                "unable to append to bounce message: %s; the recipient is tried again" % error.strerror))
            return False
        return True

    def _mark(self, each: "Pass", recipient: "Recipient", letter: bytes) -> None:
        try:
            queued.mark(each.message.number, each.channel, recipient.offset, sync=letter == b"D")
        except OSError as error:                # the recipient may get it twice
            self._log.trouble("trouble marking", queue.split(queue.CHANNEL[each.channel], each.message.number), error)
