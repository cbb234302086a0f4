"""vq-send: deliver the messages of the queue, and keep trying.

SYNOPSIS    vq-send     (vq-start makes its descriptors)

WRITES      0   the log; yes, it is written to
            1   vq-lspawn, commands        READS   2   vq-lspawn, reports
            3   vq-rspawn, commands                4   vq-rspawn, reports
            5   vq-clean, requests                 6   vq-clean, answers

Looks into queue/todo whenever vq-queue pulls the trigger, and now and then by itself.  Recipients in
control/locals are local, those in control/virtualdomains are local with a prefix, all others are
remote.  What is deferred is tried again after a time that grows with the square of the tries; what
fails goes back to the sender.

SIGNALS     TERM    finish: no new deliveries, wait for those that run, exit
            ALRM    try everything now
            HUP     read the control files again, all but the two concurrencies; when one of them cannot be read,
                    nothing changes

CONTROL FILES
            bouncefrom bouncehost bouncemaxbytes concurrencylocal concurrencyremote doublebouncehost
            doublebounceto envnoathost locals percenthack queuelifetime queuewarn virtualdomains

EXIT        0   stopped by TERM, or a spawner died: all that ran is written down
            111 cannot start: the log says why

RUNS AS     qmails; one at a time, by the lock on queue/lock/sendmutex

STANDARDS   qmail-send(8), qmail-log(5)
"""

import _signal
import time

from vqmail import codes
from vqmail.dispatch import bouncer, clock, scheduler, spawner, sweeper
from vqmail.formats import sendlog
from vqmail.store import control, direct, queue, rewrite
from vqmail.unix import calls, fd, lock, log, loop, trigger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

LATER = (direct,)               # what a bounce needs is loaded now: in a year the library may be another one
MUTEX = queue.QUEUE + b"/lock/sendmutex"
LOOK = 1500                     # seconds between two looks into todo/ if nobody pulls the trigger


def main(argv: "list[bytes]", env: "Env") -> int:  # noqa: ARG001  every program has this shape
    """Run until TERM."""
    calls.umask(0o077)
    try:
        calls.chdir(queue.QUEUE)
        mutex = lock.hold(MUTEX)
    except BlockingIOError:
        raise _cannot_start("vq-send is already running") from None
    except OSError as error:
        raise _cannot_start("unable to open mutex %s: %s: run make check-setup" % (
            MUTEX.decode("utf-8", "replace"), error.strerror)) from None
    try:
        return Dispatcher(env).run()
    except codes.Failure as failure:
        raise _cannot_start(str(failure)) from None
    finally:
        calls.close(mutex)


def _cannot_start(why: str) -> codes.TryLater:
    fd.write_all(0, sendlog.alert("cannot start: " + why))
    return codes.TryLater(why)


class Dispatcher:
    """The scheduler with its descriptors and signals."""

    def __init__(self, env: "Env") -> None:
        self._loop = loop.Loop()
        self._wake_out, self._wake_in = calls.pipe2(calls.O_CLOEXEC | calls.O_NONBLOCK)
        self._signals: list[int] = []
        cleaner = spawner.Cleaner(self._loop, 5, 6, lambda: self._lost("qmail-clean"))
        try:
            spawners = [
                spawner.Spawner(self._loop, 1, 2, control.number(b"concurrencylocal"),
                                lambda: self._lost("spawn connection to vq-lspawn")),
                spawner.Spawner(self._loop, 3, 4, control.number(b"concurrencyremote"),
                                lambda: self._lost("spawn connection to vq-rspawn"))]
        except OSError as error:
            raise codes.TryLater("unable to talk to the spawners: %s" % error) from None
        self._cleaner = cleaner
        self._env = env
        rules, bounces, lifetime, patience = self._settings()
        self._scheduler = scheduler.Scheduler(rules, spawners, cleaner, bounces, lifetime, patience)
        self._sweeper = sweeper.Sweeper()
        self._clock = clock.Clock(MUTEX, time.monotonic())
        self._trigger = -1
        self._look_at = self._sweep_at = 0.0

    def _settings(self) -> "tuple[rewrite.Rules, bouncer.Bouncer, int, int]":
        """What the control files say now.  TryLater if one cannot be read."""
        return (rewrite.Rules(), bouncer.Bouncer(self._env), control.number(b"queuelifetime"),
                control.number(b"queuewarn"))

    def run(self) -> int:
        """The main loop."""
        for number in (_signal.SIGTERM, _signal.SIGALRM, _signal.SIGHUP):
            _signal.signal(number, lambda number, _frame: self._signals.append(number))
        _signal.set_wakeup_fd(self._wake_in)
        self._loop.watch(self._wake_out, self._wake)
        each = self._scheduler
        each.start(int(time.time()))
        self._listen()
        while not (each.exiting() and each.quiet()):
            patience = self._turn()
            self._write_log()
            self._loop.turn(patience)
        each.stop()
        self._note_time()
        while not self._cleaner.idle():
            self._loop.turn(None)
        each.log.say(b"status: exiting\n")
        self._write_log()
        return codes.OK

    def _turn(self) -> "float | None":
        now = time.time()
        monotonic = time.monotonic()
        jump = self._clock.moved(now, monotonic)
        if jump is not None:
            self._scheduler.clock_moved(*jump)
        if monotonic >= self._look_at:
            self._look_at = monotonic + LOOK
            self._scheduler.look()
            self._note_time()
        if monotonic >= self._sweep_at:
            self._sweep_at = monotonic + sweeper.EVERY
            for number in self._sweeper.dead(now, monotonic):
                self._cleaner.ask(b"foop/%d" % number, lambda _done: None)
        while self._signals:
            self._obey(self._signals.pop(0), int(now))
        wait = self._scheduler.run(int(now))
        if self._scheduler.exiting():
            return 0.0 if self._scheduler.quiet() else 1.0      # nothing that runs: nothing to wait for
        times = [self._look_at - monotonic, self._sweep_at - monotonic]
        return min(times if wait is None else [*times, wait])

    def _note_time(self) -> None:
        try:
            self._clock.note()
        except OSError as error:
            self._scheduler.log.trouble("unable to utime", MUTEX, error)

    def _obey(self, number: int, now: int) -> None:
        if number == _signal.SIGTERM:
            self._scheduler.exit()
        elif number == _signal.SIGALRM:
            self._scheduler.retry_all(now)
        else:
            try:
                self._scheduler.obey(*self._settings())
            except codes.Failure as failure:
                self._scheduler.log.say(sendlog.alert("unable to reread controls: %s" % failure))

    def _listen(self) -> None:
        """Listen for the trigger, on a pipe opened anew: that is what empties it."""
        if self._trigger >= 0:
            self._loop.forget(self._trigger)
            calls.close(self._trigger)
        self._trigger = trigger.listen(queue.TRIGGER)
        self._loop.watch(self._trigger, self._triggered)

    def _triggered(self) -> None:
        self._listen()
        self._look_at = 0.0

    def _wake(self) -> None:
        calls.read(self._wake_out, 64)

    def _lost(self, what: str) -> None:
        self._scheduler.log.say(sendlog.alert("oh no! lost %s! dying..." % what))
        self._scheduler.exit()

    def _write_log(self) -> None:
        lines = self._scheduler.log.take()
        if lines:
            try:
                fd.write_all(0, b"".join(lines))
            except OSError as error:
                log.line(b"vq-send", "cannot write the log: %s" % error.strerror)


