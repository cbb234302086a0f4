"""A process that runs one job after another and leaves nothing behind.

It has the uid it is going to keep.  A job comes as a packet (job.py) with descriptors; the answer is the exit
code of the program.  After each job every descriptor of it is closed, and the directory, the umask and the
alarm are what they were.  Memory is the program's affair: nothing in this package keeps state in a module.
"""

import _signal
import fcntl

from vqmail import codes
from vqmail.formats import job
from vqmail.unix import calls, chain, log, sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

OWN = 200                       # our own descriptors live here, out of the way of any program
JOBS = 20_000                   # then it retires
UMASK = 0o077


def serve(sock: "socket") -> None:
    """Run jobs from `sock` until its other end is closed.  Never returns."""
    channel = fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, OWN)
    root = fcntl.fcntl(calls.open(b"/", calls.O_PATH), fcntl.F_DUPFD_CLOEXEC, OWN)
    null = fcntl.fcntl(calls.open(b"/dev/null", calls.O_RDWR), fcntl.F_DUPFD_CLOEXEC, OWN)
    errors = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, OWN)
    last = max(channel, root, null, errors)
    inbox = type(sock)(fileno=channel)
    sock.detach()
    _clean(root, null, errors, last)
    for _ in range(JOBS):
        try:
            packet, descriptors = sockets.receive(inbox)
        except OSError:
            break
        if not packet:
            break
        code = _run(packet, descriptors)
        _clean(root, null, errors, last)
        try:
            sockets.send(inbox, b"%d" % code)
        except OSError:
            break                               # whoever asked is gone
    calls._exit(codes.OK)


def _run(packet: bytes, descriptors: "list[int]") -> int:
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
    main = chain.resident(argv[0], b"")
    if main is None:
        log.line(b"worker", b"%s is not loaded here" % argv[0])
        return codes.TEMPORARY
    return chain.call(main, argv, env)


def _clean(root: int, null: int, errors: int, last: int) -> None:
    _signal.alarm(0)
    calls.dup2(null, 0, inheritable=True)
    calls.dup2(null, 1, inheritable=True)
    calls.dup2(errors, 2, inheritable=True)
    calls.closerange(3, OWN)
    calls.closerange(last + 1, 1 << 20)
    calls.fchdir(root)
    calls.umask(UMASK)
