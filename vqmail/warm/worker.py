"""A process that runs one job after another and leaves nothing behind.

It has the uid it is going to keep.  A job comes as a packet with descriptors; the answer is the exit code of
the program.  After each job every descriptor of it is closed, and the directory, the umask, the alarm and what
signals do are what they were.  Memory is the program's affair: nothing in this package keeps state in a module.
"""

import _signal
import fcntl

from vqmail import codes
from vqmail.formats import job
from vqmail.unix import calls, chain, log, sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

    Run = Callable[[bytes, list[int]], int | chain.Next]

OWN = 200                       # our own descriptors live here, out of the way of any program
JOBS = 20_000                   # then it retires
UMASK = 0o077
GO_ON = b"go on "               # an answer that hands a session over: then job.encode_session()


def run(packet: bytes, descriptors: "list[int]") -> int:
    """Do a job (job.py): put the descriptors in their places and call the program; its exit code."""
    try:
        argv, env, targets = job.decode(packet)
        for target, number in zip(targets, descriptors, strict=True):
            if target == job.DIRECTORY:
                calls.fchdir(number)
            else:
                calls.dup2(number, int(target), inheritable=True)
            calls.close(number)
    except (ValueError, OSError) as error:
        log.line(b"worker", "cannot start a job: %s" % error)
        return codes.TEMPORARY
    main = chain.resident(argv[0], env.get(b"PATH", b""))
    if main is None:
        log.line(b"worker", b"%s is not loaded here" % argv[0])
        return codes.TEMPORARY
    return chain.call(main, argv, env)


def go_on(packet: bytes, descriptors: "list[int]") -> int:
    """Do the rest of a session, as hand_over() gave it away; its exit code."""
    _, _, home, packet = job.decode_session(packet)
    try:
        calls.chdir(home)
    except OSError as error:
        log.line(b"worker", b"cannot enter %s: %s" % (home, (error.strerror or "").encode()))
        for each in descriptors:
            calls.close(each)
        return codes.TEMPORARY
    return run(packet, descriptors)


def hand_over(inbox: "socket", rest: chain.Next) -> "int | None":
    """Give the session at 0 and 1 to whoever gave it to us, who has it go on in a process of its user's; None, or its
    exit code if that could not be, and it was run here in a child."""
    if rest.user is not None and not rest.root and calls.geteuid() == 0 and chain.resident(
            rest.argv[0], rest.env.get(b"PATH", b"")):
        packet = job.encode(rest.argv, rest.env, b"0,1")
        try:
            sockets.send(inbox, GO_ON + job.encode_session(*rest.user, rest.home, packet), [0, 1])
        except OSError:                         # it was told to stop; or an environment too big for a packet
            return chain.apart(rest)
        return None
    return chain.apart(rest)


def serve(sock: "socket", job_of: "Run" = run, directory: bytes = b"/", umask: int = UMASK) -> None:
    """Do jobs from `sock`, each by `job_of`, until its other end is closed.  Never returns.

    The last answer has a word more, so that no further job is sent to a process that is about to leave.  A session
    that is to go on as somebody else is given back to whoever sent it.
    """
    keep = Keep(sock, directory, umask)
    inbox = type(sock)(fileno=keep.channel)
    sock.detach()
    keep.clean()
    for left in range(JOBS - 1, -1, -1):
        try:
            packet, descriptors = sockets.receive(inbox)
            if not packet:
                break
            outcome = job_of(packet, descriptors)
            code = hand_over(inbox, outcome) if isinstance(outcome, chain.Next) else outcome
            keep.clean()
            if code is not None:
                sockets.send(inbox, b"%d" % code if left else b"%d last" % code)
        except OSError:
            break                               # whoever asked is gone
    calls._exit(codes.OK)


class Keep:
    """What a worker keeps, and how it gets rid of everything else."""

    def __init__(self, sock: "socket", directory: bytes, umask: int) -> None:
        try:
            place = calls.open(directory, calls.O_PATH)
        except OSError:                         # not ours to enter
            place = calls.open(b"/", calls.O_PATH)
        self.channel = _aside(sock.fileno())
        self._directory = _aside(place)
        self._null = _aside(calls.open(b"/dev/null", calls.O_RDWR))
        self._errors = _aside(2)
        self._last = max(self.channel, self._directory, self._null, self._errors)
        self._umask = umask
        self._signals = [(number, _signal.getsignal(number)) for number in chain.CATCHABLE]

    def clean(self) -> None:
        """Be as at the beginning."""
        _signal.alarm(0)
        calls.dup2(self._null, 0, inheritable=True)
        calls.dup2(self._null, 1, inheritable=True)
        calls.dup2(self._errors, 2, inheritable=True)
        calls.closerange(3, OWN)
        calls.closerange(self._last + 1, 1 << 20)
        calls.fchdir(self._directory)
        calls.umask(self._umask)
        for number, reaction in self._signals:
            if _signal.getsignal(number) is not reaction:
                _signal.signal(number, reaction)


def _aside(number: int) -> int:
    try:
        return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, OWN)
    except OSError as error:
        raise codes.TryLater("a worker cannot have descriptor %d: %s; ulimit -n must be above %d" % (
            OWN, error.strerror, OWN + 10)) from None
