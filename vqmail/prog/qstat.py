"""vq-qstat: count the messages of the queue.

SYNOPSIS    vq-qstat [--json]
            vq-qstat --help

WRITES      1   messages in queue: N
                messages in queue but not yet preprocessed: M
            2   what is wrong

N is the number of files in queue/mess, M that in queue/todo.  vq-send tries a message that arrives straight from
queue/todo, and it leaves the queue from there when all its recipients are done at once: M counts what is new and what
is in its first attempt.  So M may well be as large as N while mail comes in, which was a sign of trouble with qmail.
It still is when M only grows, and vq-qread shows the same old messages marked todo: then vq-send does not run.

With --json these are the numbers messages and todo of one line of JSON.

EXIT        0   counted
            100 wrong usage
            111 the queue cannot be read

RUNS AS     root, or a user of group qmail

STANDARDS   qmail-qstat(8)
"""

from vqmail import codes
from vqmail.formats import jsonline
from vqmail.store import queue
from vqmail.unix import fd, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:  # noqa: ARG001  every program has this shape
    """Count, or show the page."""
    asked = usage.parse(__doc__, argv)
    text = (__doc__ or "").encode() if asked["--help"] else _counts(json=asked["--json"])
    try:
        fd.write_all(1, text)
    except OSError as error:
        raise codes.TryLater("cannot write: %s" % error.strerror) from None
    return codes.OK


def _counts(*, json: bool) -> bytes:
    try:
        messages, todo = len(queue.numbers(b"mess")), sum(name.isdigit() for name in queue.waiting())
    except PermissionError:
        raise codes.TryLater("must be root, or in the queue's group, to read %s" % queue.QUEUE.decode()) from None
    except OSError as error:
        raise codes.TryLater("cannot read %s: %s; make check-setup says what is missing" % (
            queue.QUEUE.decode(), error.strerror)) from None
    if json:
        return jsonline.encode({b"messages": messages, b"todo": todo}) + b"\n"
    return b"messages in queue: %d\nmessages in queue but not yet preprocessed: %d\n" % (messages, todo)
