"""forward: forward a message, in a dot-qmail file.

SYNOPSIS    | forward address ...

READS       0   the message, from its beginning if it is a file
WRITES      2   `forward: qp 123`, or why not
            the queue

Does what `&address` lines do, for addresses that are not known before the message is there: |forward $(date +%a)@there
The message goes on as one with all the addresses, and a Delivered-To line in front.

ENVIRONMENT NEWSENDER   the envelope sender of what is forwarded
            DTLINE      the Delivered-To line
            QMAILQUEUE  queues it instead of vq-queue

EXIT        0   queued
            100 no address, one of the variables is not set, or the queue refuses for ever
            111 not now
RUNS AS     the recipient

STANDARDS   forward(1) of qmail
"""

from vqmail import codes
from vqmail.formats import deliveryenv
from vqmail.store import submit
from vqmail.unix import fd, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:
    recipients = argv[1:]
    if not all(recipients) or not recipients:
        # qmail queues it for nobody, and it is gone
        raise codes.GiveUp("usage: forward address ...; a message for nobody would be lost")
    for name in (b"NEWSENDER", b"DTLINE"):
        if name not in env:
            raise codes.GiveUp("fatal: %s not set" % name.decode())
    qp = submit.send(env, _message(env), env[b"NEWSENDER"], recipients, "fatal: ")
    log.line(b"forward", b"qp %d" % qp)
    return codes.OK


def _message(env: "Env") -> "Iterator[bytes]":
    yield deliveryenv.one_line(env[b"DTLINE"])
    yield from fd.whole(0)
