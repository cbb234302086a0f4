"""The workers of one service, by uid: kept while busy, at most so many, the idle ones making way for others."""

import _signal
import _socket
import gc
import time

from vqmail import codes
from vqmail.unix import calls, chain, child, log, priv, sockets
from vqmail.warm import worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

    from vqmail.unix.loop import Loop

    Done = Callable[[int], None]
    GoOn = Callable[[bytes, list[int], Done], object]
    Who = tuple[int, int] | bytes | None        # uid and gid; or a name that is nobody's, in a pool of ours


ANSWER = 65_536                 # bytes of an answer


class _Worker:
    __slots__ = ("done", "pid", "since", "sock", "who")

    def __init__(self, who: "Who", pid: int, sock: "socket") -> None:
        self.who = who
        self.pid = pid
        self.sock = sock
        self.done: Done | None = None
        self.since = 0.0                        # how long it has been idle


class Pool:
    """Runs jobs in processes of the uid and gid they ask for.  `limit` is how many processes there may be; `serve`
    is what each of them does with its socket.  `deaths` is how many ended otherwise than they should.

    With `ours` every process stays who we are, and what a job asks for is only whom it likes best: the process that
    did the last job of the same name, another one that is idle, a new one.

    `go_on` takes the sessions that a worker cannot end itself (worker.hand_over): the packet, its descriptors, `done`.
    """

    def __init__(self, loop: "Loop", limit: int, serve: "Callable[[socket], None]" = worker.serve, *,
                 ours: bool = False, go_on: "GoOn | None" = None) -> None:
        self.deaths = 0
        self._ours = ours
        self._go_on = go_on
        self._loop = loop
        self._limit = limit
        self._serve = serve
        self._idle: dict[Who, list[_Worker]] = {}
        self._all: set[_Worker] = set()
        self._waiting: list[tuple[Who, bytes, list[int], Done]] = []

    def submit(self, who: "Who", packet: bytes, descriptors: "list[int]", done: "Done") -> int:
        """Run the job `packet` as `who`, None being who we are; its `descriptors` are ours from now on.  `done` gets
        the exit code, minus a signal, or TEMPORARY if there is no process to be had.

        Returns the pid of the worker, 0 if the job has to wait for one.
        """
        while True:
            free = self._free(who)
            one: _Worker | None
            if free:
                one = free.pop()
                one.who = who
            elif len(self._all) < self._limit or self._retire_one():
                one = self._start(who)
            else:
                self._waiting.append((who, packet, descriptors, done))
                return 0
            if one is None:
                break
            try:
                sockets.send(one.sock, packet, descriptors)
            except (BrokenPipeError, ConnectionResetError):
                self._bury(one)                 # it died while it had nothing to do
                continue
            except OSError as error:
                log.line(b"pool", "cannot give a job to worker %d: %s" % (one.pid, error.strerror))
                self._release(one)
                break
            one.done = done
            _close(descriptors)
            return one.pid
        _close(descriptors)
        done(codes.TEMPORARY)
        return 0

    def busy(self) -> int:
        """How many jobs are running or waiting."""
        return len(self._waiting) + sum(one.done is not None for one in self._all)

    def idle(self) -> int:
        """How many processes have nothing to do."""
        return sum(map(len, self._idle.values()))

    def trim(self, spare: int, before: float) -> None:
        """Let go those that have had nothing to do since `before`, but keep `spare` of each uid."""
        for free in self._idle.values():
            while len(free) > spare and free[0].since < before:     # the longest idle come first
                self._bury(free[0])

    def _start(self, who: "Who") -> "_Worker | None":
        started = spawn(who if isinstance(who, tuple) else None, self._serve)
        if started is None:
            return None
        one = _Worker(who, *started)
        self._all.add(one)
        self._loop.watch(one.sock.fileno(), lambda: self._answer(one))
        return one

    def _answer(self, one: _Worker) -> None:
        try:
            packet, descriptors = sockets.receive(one.sock, ANSWER, _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return                              # meant for the one before, who had the same number
        except (OSError, ValueError):
            packet, descriptors = b"", []
        done, one.done = one.done, None
        if packet.startswith(worker.GO_ON) and self._go_on is not None and done is not None:
            self._release(one)
            self._go_on(packet[len(worker.GO_ON):], descriptors, done)
            return
        number, _, last = packet.partition(b" ")
        if packet and not last:
            self._release(one)
            code = int(number)
        else:
            ended = self._bury(one)             # it retired, or died
            code = int(number) if packet else ended or codes.TEMPORARY
            if not packet and (ended or done is not None):
                self.deaths += 1
                log.line(b"pool", "worker %d ended with %d" % (one.pid, ended))
            self._next()
        if done is not None:
            done(code)

    def _bury(self, one: _Worker) -> int:
        """Be done with a worker: let it go, or see that it is gone; its exit code, or minus a signal."""
        self._all.discard(one)
        free = self._idle.get(one.who, [])
        if one in free:
            free.remove(one)
        self._loop.forget(one.sock.fileno())
        one.sock.close()                        # if it is still there it sees the end and exits
        return child.wait(one.pid)

    def _release(self, one: _Worker) -> None:
        one.since = time.monotonic()
        self._idle.setdefault(one.who, []).append(one)
        self._next()

    def _next(self) -> None:
        while self._waiting:
            who = self._waiting[0][0]
            if not self._free(who) and len(self._all) >= self._limit and not self._retire_one():
                return
            self.submit(*self._waiting.pop(0))

    def _free(self, who: "Who") -> "list[_Worker]":
        """The idle ones that may do a job for `who`."""
        free = self._idle.get(who, [])
        while self._ours and not free and self._idle:
            other = next(iter(self._idle))
            free = self._idle[other]
            if not free:
                del self._idle[other]
        return free

    def _retire_one(self) -> bool:
        """Make room: let one idle worker go.  False if all are busy."""
        for who, free in self._idle.items():
            if free:
                self._bury(free[0])
                if not free:
                    del self._idle[who]
                return True
        return False


def forget_signals() -> None:
    """In a child that does not exec: signals do what they do in a new program, not what the parent's loop wants."""
    _signal.set_wakeup_fd(-1)
    for number in chain.CATCHABLE:
        if callable(_signal.getsignal(number)):
            _signal.signal(number, _signal.SIG_DFL)


def _close(descriptors: "list[int]") -> None:
    for each in descriptors:
        calls.close(each)


def spawn(who: "tuple[int, int] | None", serve: "Callable[[socket], None]") -> "tuple[int, socket] | None":
    """Start a process of `who`, None being who we are, that runs `serve` on a socket; (pid, the other end of it).

    None, and a line in the log, if there is no process to be had.
    """
    try:
        ours, theirs = sockets.pair()
    except OSError as error:
        log.line(b"pool", "cannot start a worker: %s; see ulimit -n" % error.strerror)
        return None
    gc.freeze()                                 # the child does not copy pages only to count references
    try:
        pid = calls.fork()
    except OSError as error:
        log.line(b"pool", "cannot fork: %s; see ulimit -u" % error.strerror)
        ours.close()
        theirs.close()
        return None
    if pid == 0:
        _become(who, serve, theirs)
    theirs.close()
    return pid, ours


def _become(who: "tuple[int, int] | None", serve: "Callable[[socket], None]", sock: "socket") -> None:
    """The child's side.  Never returns."""
    try:
        forget_signals()
        # ---- root above, the job's uid below ----
        if who is not None:
            priv.drop_to(*who)
        kind = type(sock)
        number = sock.detach()
        if number != 3:
            calls.dup2(number, 3, inheritable=False)
        calls.closerange(4, 1 << 20)            # the sockets of other workers, the listener, the loop
        serve(kind(fileno=3))
    except codes.Failure as failure:
        log.line(b"pool", str(failure))
    except BaseException as bug:  # noqa: BLE001  a child must never come back into its parent's loop
        log.line(b"pool", "worker: %s: %s" % (type(bug).__name__, bug))
    finally:
        calls._exit(codes.TEMPORARY)
