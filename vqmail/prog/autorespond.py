"""vq-autorespond: answer a message automatically, in a dot-qmail file.

SYNOPSIS    | vq-autorespond [-t seconds] [-n times] [-f from] [-a address] messagefile dir
            | vq-autorespond seconds times messagefile dir [flag [from]]

READS       0   the message, a file
            messagefile     the answer; it may begin with header lines of its own, such as From and Subject, that an
                            empty line ends.  8-bit text is UTF-8, or else ISO 8859-1
WRITES      2   `vq-autorespond: qp 123` when an answer was queued, or why there is none
            dir             whom it answered: made if it is not there
            the queue

Answers the envelope sender once in 7 days, or `times` times in `seconds`.  No answer goes to the null sender, to
mailer-daemon, lists and other programs, to mail that says that it is from one (Auto-Submitted, List-..., Precedence,
multipart/report), nor to mail that does not name this address in To or Cc.  The answer has the null sender and says
that a program wrote it; it goes to nobody but the sender.

The message is not delivered by this line: another one has to do that.  Put that one behind: should it fail, and the
whole file be done again, this line does not answer again.

-t seconds  how long an answer is remembered; 604800 without it
-n times    how many answers a sender may get in that time; 1 without it
-f from     the address in From; the recipient's without it
-a address  another address that is ours when To and Cc are looked through; may be given several times

The second form is that of autorespond(1).  flag and a from of `+` or `$` are taken, and mean nothing: the original is
never sent back, the sender of an answer is always nobody.

When `dir` holds a mebibyte of senders who were answered nobody else is, until some of them are old.

ENVIRONMENT SENDER      the envelope sender of the message
            RECIPIENT   the address it came to
            QMAILQUEUE  queues the answer instead of vq-queue

CONTROL FILES
            envnoathost locals me percenthack virtualdomains

EXIT        0   answered, or no answer is due
            100 wrong usage, SENDER or RECIPIENT is not set, or the queue refuses for ever
            111 not now: messagefile, dir or the queue cannot be used
RUNS AS     the recipient

STANDARDS   RFC 3834, autorespond(1)
"""

import time

from vqmail import codes
from vqmail.formats import autoreply, date822, header
from vqmail.record import Record
from vqmail.store import answered, rewrite, submit
from vqmail.unix import fd, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

USAGE = "usage: vq-autorespond [-t seconds] [-n times] [-f from] [-a address] messagefile dir"
WEEK = 7 * 86400
LIMIT = 256 << 10               # bytes of a message file
TIMES = 1_000_000
COMPATIBLE = (4, 5, 6)          # how many arguments autorespond(1) has


class Order(Record):
    """What the arguments say."""

    __slots__ = ("seconds", "times", "sender", "also", "message", "directory")
    seconds: int
    times: int
    sender: bytes
    also: "list[bytes]"
    message: bytes
    directory: bytes


def main(argv: "list[bytes]", env: "Env") -> int:
    order = _order(argv[1:])
    for name in (b"SENDER", b"RECIPIENT"):
        if name not in env:
            raise codes.GiveUp("fatal: %s not set" % name.decode())
    sender = env[b"SENDER"]
    address = order.sender or rewrite.Rules().strip_prefix(env[b"RECIPIENT"])
    head = _header()
    why = autoreply.objection(sender, head, [address, rewrite.Rules().strip_prefix(env[b"RECIPIENT"]), *order.also])
    if why:
        log.line(b"vq-autorespond", "no answer: %s" % why)
        return codes.OK
    text = _text(order.message)
    now = time.time()
    with answered.Memory(order.directory) as memory:
        if not memory.may_answer(sender, int(now), order.seconds, order.times):
            log.line(b"vq-autorespond", "no answer: its sender has got one")
            return codes.OK
    identifier = b"%d.%d.autorespond@%s" % (int(now * 1_000_000), log.pid(), address.rpartition(b"@")[2])
    letter = autoreply.letter(head, sender, address, text, date822.header(now), identifier)
    try:
        qp = submit.send(env, [letter], b"", [sender], "fatal: ")
    except BaseException:
        with answered.Memory(order.directory) as memory:
            memory.forget(sender, int(now))
        raise
    log.line(b"vq-autorespond", b"qp %d" % qp)
    return codes.OK


def _order(arguments: "list[bytes]") -> Order:
    order = Order(WEEK, 1, b"", [], b"", b"")
    if len(arguments) in COMPATIBLE and arguments[0].isdigit() and arguments[1].isdigit():
        order.seconds, order.times = _number(arguments[0], WEEK * 520), _number(arguments[1], TIMES)
        if len(arguments) == 6 and b"@" in arguments[5]:
            order.sender = arguments[5]
        order.message, order.directory = arguments[2:4]
    else:
        while len(arguments) > 2:
            option, value, *arguments = arguments
            if option == b"-t":
                order.seconds = _number(value, WEEK * 520)
            elif option == b"-n":
                order.times = _number(value, TIMES)
            elif option == b"-f" and _fit(value):
                order.sender = value
            elif option == b"-a" and _fit(value):
                order.also.append(value)
            else:
                raise codes.GiveUp(USAGE)
        if len(arguments) != 2:
            raise codes.GiveUp(USAGE)
        order.message, order.directory = arguments
    if not order.message or not order.directory or (order.sender and not _fit(order.sender)):
        raise codes.GiveUp(USAGE)
    return order


def _number(text: bytes, most: int) -> int:
    if not text.isdigit() or len(text) > 12:
        raise codes.GiveUp(USAGE)
    return min(int(text), most)


def _fit(address: bytes) -> bool:
    local, _, domain = address.rpartition(b"@")
    return bool(local and domain) and not address.translate(None, autoreply.PRINTABLE)


def _header() -> bytes:
    try:
        return header.read(fd.pieces(0))
    except OSError as error:
        raise codes.TryLater("fatal: unable to read message: %s" % error.strerror) from None


def _text(path: bytes) -> bytes:
    try:
        return fd.read_file(path, LIMIT)
    except OSError as error:
        raise codes.TryLater("fatal: cannot read %s: %s" % (path.decode("utf-8", "replace"), error.strerror)) from None
    except ValueError as error:
        raise codes.TryLater("fatal: %s: %s" % (path.decode("utf-8", "replace"), error)) from None
