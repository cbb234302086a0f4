"""vq-clean: remove files of the queue for vq-send.

SYNOPSIS    vq-clean

READS       0   foop/N NUL: remove intd/N, then mess/N
                todo/N NUL: remove intd/N, then todo/N
WRITES      1   one byte for each: + done, ! could not, x not understood

Every so many requests it also removes files in pid/ that nobody has touched for 36 hours: what a
crash left there.

EXIT        0   the end of descriptor 0
            111 cannot enter the queue

RUNS AS     qmailq; the only one that removes what strangers wrote

STANDARDS   qmail-clean(8)
"""

import time

from vqmail import codes
from vqmail.store import queue
from vqmail.unix import calls, fd, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

OLD = 36 * 3600                 # more than the 24 hours after which a writer is dead
SWEEP = 30                      # requests between two looks at pid/
SHORTEST, LONGEST = 7, 100      # bytes of a request


def main(argv: "list[bytes]", env: "Env") -> int:  # noqa: ARG001  every program has this shape
    """Serve descriptor 0 until its end."""
    try:
        calls.chdir(queue.QUEUE)
    except OSError as error:
        raise codes.TryLater("cannot enter %s: %s" % (queue.QUEUE.decode(), error.strerror)) from None
    rest = b""
    until_sweep = 0
    while data := calls.read(0, 65536):
        *requests, rest = (rest + data).split(b"\0")
        if len(rest) > LONGEST:                 # no request is so long; do not hoard it
            rest = rest[:LONGEST + 1]
        if until_sweep <= 0:
            _sweep(time.time())
            until_sweep = SWEEP
        until_sweep -= len(requests)
        fd.write_all(1, b"".join([_serve(each) for each in requests]))
    return codes.OK


def _serve(request: bytes) -> bytes:
    """Do what one request says; the byte to answer."""
    verb, _, number = request.partition(b"/")
    if not SHORTEST <= len(request) + 1 <= LONGEST or verb not in (b"foop", b"todo"):
        return b"x"
    digits = number.rpartition(b"/")[2]         # a split todo/ is asked for as todo/3/12
    if not digits.isdigit() or not number.replace(b"/", b"", 1).isdigit():
        return b"x"
    name = int(digits)
    try:
        queue.remove(b"%s/%d" % (queue.INTD, name))
        queue.remove(queue.split(b"mess", name) if verb == b"foop" else b"%s/%d" % (queue.TODO, name))
    except OSError as error:
        log.line(b"vq-clean", "cannot remove message %d: %s" % (name, error.strerror))
        return b"!"
    return b"+"


def _sweep(now: float) -> None:
    for name in calls.listdir(queue.PID):
        path = queue.PID + b"/" + name
        try:
            if calls.stat(path).st_atime < now - OLD:
                queue.remove(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            log.line(b"vq-clean", b"cannot remove %s: %s" % (path, str(error.strerror).encode()))
