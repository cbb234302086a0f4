"""What to deliver next, and what to do with the answers (QMAIL interfaces 3 and 4).

A message that arrives is tried straight from todo/N.  When all its recipients are done at once, which is
the rule, it leaves again without info/N, local/N and remote/N ever being written: a crash before that finds
it in todo/, untried.  Otherwise it is preprocessed, with what was done marked so.  A message with many
recipients is preprocessed first: its marks are what keeps a crash from repeating them all.
"""

import heapq
from _collections import deque              # collections itself costs a cold start 3 ms

from vqmail.dispatch.message import Message, Pass, Recipient
from vqmail.formats import quoting, retry, sendlog
from vqmail.store import queue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vqmail.dispatch.bouncer import Bouncer
    from vqmail.dispatch.spawner import Cleaner, Spawner
    from vqmail.store.rewrite import Rules

AT_ONCE = 16                    # recipients of a message that is tried straight from todo/
TOO_LONG = b"I'm not going to try again; this message has been in the queue too long.\n"


class Scheduler:
    """All messages of the queue.  Tells `log` what happens; knows of the world what it is given."""

    def __init__(self, rules: "Rules", spawners: "list[Spawner]", cleaner: "Cleaner", bouncer: "Bouncer",
                 lifetime: int) -> None:
        self.rules = rules
        self.exiting = False
        self.log: list[bytes] = []
        self._spawners = spawners
        self._cleaner = cleaner
        self._bouncer = bouncer
        self._lifetime = lifetime
        self._messages: dict[int, Message] = {}
        self._names: set[bytes] = set()         # in todo/ at the last look
        self._arrived: deque[int] = deque()     # in todo/, not looked into yet
        self._due: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
        self._later: list[tuple[int, int, Callable[[], None]]] = []     # when, a serial number, what
        self._active: list[list[Pass]] = [[], []]       # passes with recipients that wait for a free slot
        self._jobs = 0
        self._deliveries = 0
        self._serial = 0
        self._now = 0                           # as run() was told last

    def start(self, now: int) -> None:
        """Learn what is in the queue from an earlier life."""
        self._now = now
        in_todo = {int(name) for name in queue.waiting() if name.isdigit()}
        for number in queue.numbers(b"info"):
            # it was being preprocessed, then todo/ counts; or it was done with, and came back at a power cut
            if number in in_todo or not queue.has_text(number):
                queue.remove_info(number)
                continue
            birth = now
            try:
                birth, _ = queue.read_info(number)
            except (OSError, ValueError) as error:      # no reason not to deliver the others
                self._warn("trouble reading", queue.split(b"info", number), error)
            self._messages[number] = Message(number, birth, None)
        # What else a crash left, or brought back, must not be taken for a later message's that gets the number.
        for channel in (0, 1):
            for number in set(queue.numbers(queue.CHANNEL[channel])) - set(self._messages):
                queue.remove_recipients(number, channel)
        for number in set(queue.bounces()) - set(self._messages):
            queue.remove_bounce(number)
        for one in list(self._messages.values()):
            self._wait(one, [queue.due(one.number, channel) for channel in (0, 1)])
        self.status()

    def look(self) -> None:
        """Look what arrived in todo/."""
        there = set(queue.waiting())
        for name in there - self._names:
            if name.isdigit():
                known = self._messages.get(int(name))
                if known is None:
                    self._arrive(int(name))
                elif known.gone:                # its number was given to a new message already
                    known.reborn = True
        self._names = there                     # what is still in work need not be looked at again

    def run(self, now: int) -> "float | None":
        """Start what can be started.  Returns how many seconds there is nothing more to do by itself; None: ever."""
        self._now = now
        while self._later and self._later[0][0] <= now:
            heapq.heappop(self._later)[2]()
        if self.exiting:
            return None
        self._fill()                            # slots became free: first those who wait for one
        limit = self._spawners[0].limit + self._spawners[1].limit
        while self._jobs < limit:
            if self._arrived and self._spawners[0].free():
                self._begin(self._arrived.popleft(), now)
            elif not any(self._begin_due(channel, now) for channel in (0, 1)):
                break
            self._fill()
        times = [due[0][0] for due, spawner in zip(self._due, self._spawners, strict=True) if due and spawner.free()]
        times += [self._later[0][0]] if self._later else []
        return max(min(times) - now, 0) if times and self._jobs < limit else None

    def retry_all(self, now: int) -> None:
        """ALRM: everything is due now."""
        for channel in (0, 1):
            for one in self._messages.values():
                if one.due[channel] is not None and one.passes[channel] is None:
                    one.due[channel] = now
            self._due[channel][:] = [(now, number) for _, number in self._due[channel]]

    def quiet(self) -> bool:
        """Whether nothing is running, so that we may exit."""
        return not any(each.running for each in self._spawners) and self._cleaner.idle()

    def stop(self) -> None:
        """Write down what is known only here: when to try, and what was done of messages still in todo/."""
        for one in self._messages.values():
            if one.waiting is not None and any(one.passes):
                self._settle(one)
            for channel in (0, 1):
                when = one.due[channel]
                if when is not None and one.waiting is None:
                    self._try(queue.note_due, one, channel, when)

    def status(self) -> None:
        """Say how many deliveries run."""
        self.log.append(sendlog.status([each.running for each in self._spawners],
                                       [each.limit for each in self._spawners], exiting=self.exiting))

    # a message begins

    def _arrive(self, number: int) -> None:
        self._messages[number] = Message(number, 0, None)
        self._arrived.append(number)

    def _begin(self, number: int, now: int) -> None:
        """Look into todo/N, and make the first attempt."""
        one = self._messages[number]
        try:
            waiting = queue.read_todo(number)
        except FileNotFoundError:               # the queue took it back, or mess/N did not survive a crash
            self._remove(one, b"todo/%d" % number, lambda: self._forget(one))
            return
        except (OSError, ValueError) as error:
            self._warn("trouble reading", queue.TODO + b"/%d" % number, error)
            del self._messages[number]
            self._names.discard(b"%d" % number)     # the next look at todo/ finds it again
            return
        self.log.append(sendlog.new(number))
        self.log.append(sendlog.info(number, waiting.size, waiting.sender, waiting.qp, waiting.uid))
        one.birth, one.sender, one.waiting = waiting.birth, waiting.sender, waiting
        split: tuple[list[Recipient], list[Recipient]] = ([], [])
        for address in waiting.recipients:
            channel, stored = self.rules.rewrite(address)
            split[channel].append(Recipient(stored))
        if len(waiting.recipients) > AT_ONCE:
            one.due = [now if each else None for each in split]
            for channel in (0, 1):
                one.passes[channel] = Pass(one, channel, split[channel], now, dying=False) if split[channel] else None
            self._settle(one)
            return
        for channel in (0, 1):
            if split[channel]:
                self._pass(one, channel, split[channel], now)
        if not waiting.recipients:
            self._leave(one)

    def _begin_due(self, channel: int, now: int) -> bool:
        """Begin a pass over the message that is due first; False if there is none, or no room."""
        due = self._due[channel]
        if not due or due[0][0] > now or not self._spawners[channel].free():
            return False
        _, number = heapq.heappop(due)
        one = self._messages.get(number)
        if one is None or one.passes[channel] is not None or one.due[channel] is None:
            return True
        try:
            if one.sender is None:
                one.birth, one.sender = queue.read_info(number)
            recipients = [Recipient(address, offset) for offset, address in queue.read_recipients(number, channel)]
        except (OSError, ValueError) as error:
            self._warn("trouble reading", queue.split(queue.CHANNEL[channel], number), error)
            self._postpone(one, channel, now + retry.TROUBLE)
            return True
        self._pass(one, channel, recipients, now)
        return True

    def _pass(self, one: Message, channel: int, recipients: "list[Recipient]", now: int) -> None:
        one.passes[channel] = each = Pass(
            one, channel, recipients, retry.next_attempt(one.birth, now, channel),
            dying=now - one.birth > self._lifetime)
        self._jobs += 1
        if recipients:
            self._active[channel].append(each)
        else:
            self._passed(each)

    # deliveries

    def _fill(self) -> None:
        for channel, spawner in enumerate(self._spawners):
            active = self._active[channel]
            while active and spawner.free():
                self._deliver(spawner, active[0])
                if active[0].place == len(active[0].recipients):
                    active.pop(0)

    def _deliver(self, spawner: "Spawner", each: Pass) -> None:
        recipient = each.recipients[each.place]
        each.place += 1
        each.running += 1
        self._deliveries += 1
        delivery = self._deliveries
        one = each.message
        sender = quoting.verp(one.sender or b"", self.rules.strip_prefix(recipient.address))
        spawner.start(one.name(), sender, recipient.address,
                      lambda text: self._report(each, recipient, delivery, text))
        self.log.append(sendlog.starting(delivery, one.number, each.channel, recipient.address))
        self.status()

    def _report(self, each: Pass, recipient: Recipient, delivery: int, text: bytes) -> None:
        letter, text = text[:1], text[1:]
        each.running -= 1
        if letter == b"Z" and each.dying:
            letter, text = b"D", text + TOO_LONG
        self.log.append(sendlog.ended(delivery, letter, text))
        self.status()
        if letter in (b"K", b"D") and (letter == b"K" or self._failed(each, recipient, text)):
            recipient.done = True
            if recipient.offset >= 0:
                self._mark(each, recipient, letter)
        if each.over():
            self._passed(each)

    def _failed(self, each: Pass, recipient: Recipient, text: bytes) -> bool:
        """Note a failure for the bounce; False if that could not be done, then it is tried again."""
        each.message.failed = True
        try:
            self._bouncer.add(each.message.number, self.rules.strip_prefix(recipient.address), text)
        except OSError as error:
            self.log.append(sendlog.alert(
                "unable to append to bounce message: %s; the recipient is tried again" % error.strerror))
            return False
        return True

    def _mark(self, each: Pass, recipient: Recipient, letter: bytes) -> None:
        try:
            queue.mark(each.message.number, each.channel, recipient.offset, sync=letter == b"D")
        except OSError as error:                # the recipient may get it twice
            self._warn("trouble marking", queue.split(queue.CHANNEL[each.channel], each.message.number), error)

    # a pass ends

    def _passed(self, each: Pass) -> None:
        one = each.message
        self._jobs -= 1
        if one.waiting is not None:
            if all(other is None or other.over() for other in one.passes):
                if all(other is None or other.done() for other in one.passes):
                    self._leave(one)
                else:
                    self._settle(one)
            return
        one.passes[each.channel] = None
        if each.done():
            try:
                queue.remove_recipients(one.number, each.channel)
            except OSError as error:
                self._warn("trouble removing", queue.split(queue.CHANNEL[each.channel], one.number), error)
                self._postpone(one, each.channel, self._now + retry.TROUBLE)
                return
            one.due[each.channel] = None
            if one.due == [None, None]:
                self._leave(one)
        else:
            self._postpone(one, each.channel, each.next_due)

    def _postpone(self, one: Message, channel: int, when: int) -> None:
        one.due[channel] = when
        heapq.heappush(self._due[channel], (when, one.number))

    def _wait(self, one: Message, due: "list[int | None]") -> None:
        """Take a message of S5 into account."""
        for channel in (0, 1):
            when = due[channel]
            if when is not None:
                self._postpone(one, channel, min(when, self._now + 86_400))      # a clock that was set back
        if due == [None, None]:
            self._leave(one)

    def _settle(self, one: Message) -> None:
        """S4 -> S5: write down who is done and who is not."""
        assert one.waiting is not None
        records = tuple([(each.address, each.done) for each in one_pass.recipients] if one_pass else []
                        for one_pass in one.passes)
        try:
            queue.preprocess(one.waiting, (records[0], records[1]))
        except OSError as error:
            self._warn("trouble writing", queue.split(b"info", one.number), error)
            del self._messages[one.number]      # still in todo/: the next look finds it, and tries all of it again
            self._names.discard(b"%d" % one.number)
            return
        due = [None if each is None or each.done() else each.next_due for each in one.passes]
        one.passes = [None, None]
        one.waiting = None
        self._remove(one, b"todo/%d" % one.number, lambda: self._wait(one, due))

    # a message ends

    def _leave(self, one: Message) -> None:
        """Everybody is done: send the bounce if there is one, then remove all."""
        number = one.number
        try:
            if one.sender is None:
                one.birth, one.sender = queue.read_info(number)
            if one.failed or one.waiting is None:       # in S5 it may have failed in an earlier life
                self.log += self._bouncer.send(number, one.sender)
            if one.waiting is None:
                queue.remove_info(number)
        except (OSError, ValueError) as error:
            self._warn("trouble injecting bounce message", queue.BOUNCE + b"/%d" % number, error)
            if one.waiting is not None:
                self._settle(one)               # so that a restart does not deliver it again
            else:
                self._in_a_while(lambda: self._leave(one))
            return
        if one.waiting is None:
            self._gone(one)
        else:
            one.waiting = None
            self._remove(one, b"todo/%d" % number, lambda: self._gone(one))

    def _gone(self, one: Message) -> None:
        """S2: only mess/N is left.  As soon as that is gone too, a new message may get the number."""
        one.gone = True
        self._remove(one, b"foop/%d" % one.number, lambda: self._ended(one))

    def _ended(self, one: Message) -> None:
        self.log.append(sendlog.end(one.number))
        self._forget(one)

    def _forget(self, one: Message) -> None:
        del self._messages[one.number]
        if one.reborn:
            self._arrive(one.number)

    def _remove(self, one: Message, request: bytes, then: "Callable[[], None]") -> None:
        """Have vq-clean remove files, again and again until it could, then go on."""
        def answered(done: bool) -> None:
            if done:
                if request.startswith(b"todo"):
                    self._names.discard(b"%d" % one.number)     # if it is there again, it is another message
                then()
                return
            self._warn("qmail-clean unable to clean up", request, OSError(0, "its own log line says why"))
            self._in_a_while(lambda: self._remove(one, request, then))

        self._cleaner.ask(request, answered)

    # trouble

    def _in_a_while(self, what: "Callable[[], None]") -> None:
        self._serial += 1
        heapq.heappush(self._later, (self._now + retry.TROUBLE, self._serial, what))

    def _try(self, step: "object", one: Message, *rest: int) -> None:
        try:
            step(one.number, *rest)  # type: ignore[operator]
        except OSError as error:
            self._warn("unable to utime", queue.split(b"info", one.number), error)

    def _warn(self, what: str, path: bytes, error: "OSError | ValueError") -> None:
        self.log.append(sendlog.warning(what, path, getattr(error, "strerror", None) or str(error)))


