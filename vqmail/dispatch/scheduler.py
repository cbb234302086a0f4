"""What to deliver next, and what to do with the answers (QMAIL interfaces 3 and 4).

A message that arrives is tried straight from todo/N.  When all its recipients are done at once, which is
the rule, it leaves again without info/N, local/N and remote/N ever being written: a crash before that finds
it in todo/, untried.  Otherwise it is preprocessed, with what was done marked so.  A message with many
recipients is preprocessed first: its marks are what keeps a crash from repeating them all.
"""

from vqmail.dispatch import agenda, arrivals, delays, deliveries, journal, recovery, removal
from vqmail.dispatch.message import Message, Pass, Recipient
from vqmail.formats import retry, sendlog
from vqmail.store import queue, queued

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vqmail.dispatch.bouncer import Bouncer
    from vqmail.dispatch.spawner import Cleaner, Spawner
    from vqmail.store.rewrite import Rules

AT_ONCE = 16                    # recipients of a message that is tried straight from todo/
DAY = 86_400                    # longer than any wait: for 400 days of age it is less
DOUBTED = 2                     # attempts that a message too old by a clock that jumped gets before its last one
DOUBTED_WAIT = 3600             # and the seconds between them at most


class Scheduler:
    """All messages of the queue.  Tells `log` what happens; knows of the world what it is given.

    A message is tried for `lifetime` seconds; after `patience` its sender is told that it waits, if that is not 0.
    """

    def __init__(self, rules: "Rules", spawners: "list[Spawner]", cleaner: "Cleaner", bouncer: "Bouncer",
                 lifetime: int, patience: int = 0) -> None:
        self.log = journal.Journal(spawners)
        self._spawners = spawners
        self._deliveries = deliveries.Deliveries(spawners, rules, bouncer, self.log, self._passed)
        self._agenda = agenda.Agenda()
        self._removal = removal.Removal(cleaner, self._agenda, self.log)
        self._messages: dict[int, Message] = {}
        self._arrivals = arrivals.Arrivals(self._messages)
        self._jobs = 0
        self._now = 0                           # as run() was told last
        self._doubt = 0                         # when the clock jumped: the age of what was there then may be wrong
        self.obey(rules, bouncer, lifetime, patience)

    def obey(self, rules: "Rules", bouncer: "Bouncer", lifetime: int, patience: int) -> None:
        """From now on, this is what the control files say."""
        self._rules = self._deliveries.rules = rules
        self._bouncer = self._deliveries.bouncer = bouncer
        self._lifetime = lifetime
        self._patience = patience

    def start(self, now: int) -> None:
        """Learn what is in the queue from an earlier life."""
        self._now = now
        self._agenda.catch_up(now)
        self._messages.update(recovery.messages(now, self.log))
        for one in list(self._messages.values()):
            self._wait(one, [queued.due(one.number, channel) for channel in (0, 1)])
        self.log.status()

    def look(self) -> None:
        """Look what arrived in todo/."""
        self._arrivals.look()

    def run(self, now: int) -> "float | None":
        """Start what can be started.  Returns how many seconds there is nothing more to do by itself; None: ever."""
        self._now = now
        self._agenda.catch_up(now)
        if self.log.exiting:
            return None
        self._deliveries.fill()                 # slots became free: first those who wait for one
        limit = self._spawners[0].limit + self._spawners[1].limit
        while self._jobs < limit:
            if self._arrivals.any() and self._spawners[0].free():
                self._begin(self._arrivals.take(), now)
            elif not any(self._begin_due(channel, now) for channel in (0, 1)):
                break
            self._deliveries.fill()
        when = self._agenda.next([channel for channel in (0, 1) if self._spawners[channel].free()])
        return max(when - now, 0) if when is not None and self._jobs < limit else None

    def clock_moved(self, expected: int, now: int) -> None:
        """The clock says `now` and should say `expected`.  After a jump ahead, what looks too old gets some attempts
        before its last one; after one back nothing waits until the clock has caught up."""
        if self._messages:                      # it matters to nobody at the first start of a new installation
            self.log.say(sendlog.alert("the clock has jumped, or vq-send did not run: it is %d seconds %s" % (
                abs(now - expected), "later than the last time I looked" if now > expected else "earlier than before")))
        if now > expected:
            self._doubt = expected
        else:
            self._agenda.none_after(now + DAY, now)
        for one in self._messages.values():
            one.tries = [0, 0]
            one.due = [None if each is None else min(each, now + DAY) for each in one.due]

    def retry_all(self, now: int) -> None:
        """ALRM: everything is due now."""
        for channel in (0, 1):
            for one in self._messages.values():
                if one.due[channel] is not None and one.passes[channel] is None:
                    one.due[channel] = now
            self._agenda.all_at(channel, now)

    def exit(self) -> None:
        """Begin no more deliveries."""
        self.log.exiting = True

    def exiting(self) -> bool:
        """Whether exit() was called."""
        return self.log.exiting

    def quiet(self) -> bool:
        """Whether nothing is running, so that we may exit."""
        return not any(each.running for each in self._spawners) and self._removal.idle()

    def stop(self) -> None:
        """Write down what is known only here: when to try, and what was done of messages still in todo/."""
        for one in self._messages.values():
            if one.waiting is not None and any(one.passes):
                self._settle(one)
            if one.waiting is None:
                recovery.note_due(one, self.log)

    # a message begins

    def _begin(self, one: Message, now: int) -> None:
        """Look into todo/N, and make the first attempt."""
        number = one.number
        try:
            waiting = queued.read_todo(number)
        except FileNotFoundError:               # the queue took it back, or mess/N did not survive a crash
            self._remove_todo(one, lambda: self._forget(one))
            return
        except (OSError, ValueError) as error:
            self.log.trouble("trouble reading", queue.TODO + b"/%d" % number, error)
            self._arrivals.put_back(number)
            return
        self.log.say(sendlog.new(number))
        self.log.say(sendlog.info(number, waiting.size, waiting.sender, waiting.qp, waiting.uid))
        one.birth, one.sender, one.waiting = waiting.birth, waiting.sender, waiting
        split: tuple[list[Recipient], list[Recipient]] = ([], [])
        for address in waiting.recipients:
            channel, stored = self._rules.rewrite(address)
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
        number = self._agenda.take(channel, now) if self._spawners[channel].free() else None
        if number is None:
            return False
        one = self._messages.get(number)
        if one is None or one.passes[channel] is not None or one.due[channel] is None:
            return True
        try:
            if one.sender is None:
                one.birth, one.sender = queued.read_info(number)
            recipients = [Recipient(address, offset) for offset, address in queued.read_recipients(number, channel)]
        except (OSError, ValueError) as error:
            self.log.trouble("trouble reading", queue.split(queue.CHANNEL[channel], number), error)
            self._postpone(one, channel, now + retry.TROUBLE)
            return True
        self._pass(one, channel, recipients, now)
        return True

    def _pass(self, one: Message, channel: int, recipients: "list[Recipient]", now: int) -> None:
        age = now - one.birth
        one.tries[channel] += 1
        next_due = retry.next_attempt(one.birth, now, channel)
        dying = age > self._lifetime
        if dying and one.birth <= self._doubt and one.tries[channel] <= DOUBTED:
            dying = False
            next_due = min(next_due, now + DOUBTED_WAIT)
        one.passes[channel] = each = Pass(
            one, channel, recipients, next_due, dying=dying,
            late=0 < self._patience <= age <= self._lifetime and not one.told)
        self._jobs += 1
        self._deliveries.add(each)

    # a pass ends

    def _passed(self, each: Pass) -> None:
        one = each.message
        self._jobs -= 1
        if one.waiting is not None:
            if all(other is None or other.over() for other in one.passes):
                if all(other is None or other.done() for other in one.passes):
                    self._leave(one)
                else:
                    passes = [other for other in one.passes if other]
                    self._settle(one)
                    if one.waiting is None:
                        self._tell(one, passes)
            return
        one.passes[each.channel] = None
        if each.done():
            try:
                queued.remove_recipients(one.number, each.channel)
            except OSError as error:
                self.log.trouble("trouble removing", queue.split(queue.CHANNEL[each.channel], one.number), error)
                self._postpone(one, each.channel, self._now + retry.TROUBLE)
                return
            one.due[each.channel] = None
            if one.due == [None, None]:
                self._leave(one)
        else:
            self._postpone(one, each.channel, each.next_due)
            self._tell(one, [each])

    def _tell(self, one: Message, passes: "list[Pass]") -> None:
        delays.tell(one, passes, one.birth + self._lifetime, self._rules, self._bouncer, self.log)

    def _postpone(self, one: Message, channel: int, when: int) -> None:
        one.due[channel] = when
        self._agenda.put(channel, when, one.number)

    def _wait(self, one: Message, due: "list[int | None]") -> None:
        """Take a message of S5 into account."""
        for channel in (0, 1):
            when = due[channel]
            if when is not None:
                self._postpone(one, channel, min(when, self._now + DAY))      # a clock that was set back
        if due == [None, None]:
            self._leave(one)

    def _settle(self, one: Message) -> None:
        """S4 -> S5: write down who is done and who is not."""
        assert one.waiting is not None
        records = tuple([(each.address, each.done) for each in one_pass.recipients] if one_pass else []
                        for one_pass in one.passes)
        try:
            queued.preprocess(one.waiting, (records[0], records[1]))
        except OSError as error:
            self.log.trouble("trouble writing", queue.split(b"info", one.number), error)
            self._arrivals.put_back(one.number)         # and all of it is tried again
            return
        # already now: ALRM, and the end of this process, must find it while todo/N is still being removed
        one.due = [None if each is None or each.done() else each.next_due for each in one.passes]
        one.passes = [None, None]
        one.waiting = None
        self._remove_todo(one, lambda: self._wait(one, [*one.due]))

    # a message ends

    def _leave(self, one: Message) -> None:
        """Everybody is done: send the bounce if there is one, then remove all."""
        number = one.number
        try:
            if one.sender is None:
                one.birth, one.sender = queued.read_info(number)
            if one.failed or one.waiting is None:       # in S5 it may have failed in an earlier life
                self.log.say(*self._bouncer.send(number, one.sender, one.birth))
            if one.waiting is None:
                queued.remove_info(number)
        except (OSError, ValueError) as error:
            self.log.trouble("trouble injecting bounce message", queue.BOUNCE + b"/%d" % number, error)
            if one.waiting is not None:
                self._settle(one)               # so that a restart does not deliver it again
            else:
                self._agenda.in_a_while(lambda: self._leave(one))
            return
        if one.waiting is None:
            self._gone(one)
        else:
            one.waiting = None
            self._remove_todo(one, lambda: self._gone(one))

    def _gone(self, one: Message) -> None:
        """S2: only mess/N is left.  As soon as that is gone too, a new message may get the number."""
        one.gone = True
        self._removal.ask(b"foop/%d" % one.number, lambda: self._ended(one))

    def _ended(self, one: Message) -> None:
        self.log.say(sendlog.end(one.number))
        self._forget(one)

    def _forget(self, one: Message) -> None:
        del self._messages[one.number]
        if one.reborn:
            self._arrivals.add(one.number)

    def _remove_todo(self, one: Message, then: "Callable[[], None]") -> None:
        def removed() -> None:
            self._arrivals.gone(one.number)
            then()

        self._removal.ask(b"todo/%d" % one.number, removed)
