"""condredirect: forward a message if a program says so, in a dot-qmail file.

SYNOPSIS    | condredirect newaddress program [ arg ... ]

READS       0   the message, a file; the program gets it from its beginning
WRITES      2   `condredirect: qp 123`, or why not
            the queue

If the program exits 0, the message is forwarded to newaddress, with a Delivered-To line in front, and the rest of the
dot-qmail file is skipped.  Otherwise the file goes on: it needs a line for that case.

ENVIRONMENT SENDER      the envelope sender of what is forwarded; not NEWSENDER
            DTLINE      the Delivered-To line
            QMAILQUEUE  queues it instead of vq-queue

EXIT        99  forwarded; vq-local does no more
            0   not forwarded: the program said no (any code but 0 and 111), or does not exist
            100 wrong usage, SENDER or DTLINE is not set, or the queue refuses for ever
            111 not now: the program exits 111, is killed or takes more than 24 hours, or the queue has trouble
RUNS AS     the recipient

STANDARDS   condredirect(1) of qmail
"""

from vqmail import codes
from vqmail.formats import deliveryenv
from vqmail.store import submit
from vqmail.unix import child, fd, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vqmail.unix.chain import Env

SKIP_THE_REST = 99


def main(argv: "list[bytes]", env: "Env") -> int:
    if len(argv) < 3 or not argv[1]:
        raise codes.GiveUp("usage: condredirect newaddress program [ arg ... ]")
    if not child.agrees(argv[2:], env):
        return codes.OK
    for name in (b"SENDER", b"DTLINE"):
        if name not in env:
            raise codes.GiveUp("fatal: %s not set" % name.decode())
    if not fd.rewind(0):
        raise codes.TryLater("fatal: unable to rewind: descriptor 0 must be a file")
    qp = submit.send(env, _message(env), env[b"SENDER"], [argv[1]], "fatal: ")
    log.line(b"condredirect", b"qp %d" % qp)
    return SKIP_THE_REST


def _message(env: "Env") -> "Iterator[bytes]":
    yield deliveryenv.one_line(env[b"DTLINE"])
    yield from fd.pieces(0)
