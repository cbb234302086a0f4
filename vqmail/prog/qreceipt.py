"""qreceipt: answer requests for a notice of delivery, in a dot-qmail file.

SYNOPSIS    | qreceipt address

READS       0   the message, from its beginning if it is a file
WRITES      2   `qreceipt: qp 123` when a notice was queued
            the queue

When `address` stands in a Notice-Requested-Upon-Delivery-To field of the message, a notice goes to the envelope sender,
from the null sender.  One notice, however often it is asked for; none to the null sender or `#@[]`, and none for a
message that says itself that a program sent it (Auto-Submitted).

The message is not delivered by this line: another one has to do that.

ENVIRONMENT SENDER      the envelope sender of the message
            QMAILQUEUE  queues the notice instead of vq-queue

EXIT        0   a notice was queued, or none was asked for; a request that cannot be understood is none
            100 wrong usage, SENDER is not set, or the queue refuses for ever
            111 not now
RUNS AS     the recipient

STANDARDS   qreceipt(1) of qmail, RFC 3834
"""

import time

from vqmail import codes
from vqmail.formats import addresses, date822, header, quoting
from vqmail.store import submit
from vqmail.unix import fd, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

NOBODY = (b"", b"#@[]")
CONTROLS = bytes([*range(33), 127])
ID_LIMIT = 500                  # bytes of a Message-ID that is repeated


def main(argv: "list[bytes]", env: "Env") -> int:
    if len(argv) != 2 or _unfit(argv[1]):
        raise codes.GiveUp("usage: qreceipt address")
    address = argv[1]
    if b"SENDER" not in env:
        raise codes.GiveUp("fatal: SENDER not set")
    sender = env[b"SENDER"]
    if sender in NOBODY or _unfit(sender.replace(b" ", b"")):
        return codes.OK
    head = _header()
    if not wanted(head, address):
        return codes.OK
    qp = submit.send(env, [notice(head, address, sender, time.time(), log.pid())], b"", [sender], "fatal: ")
    log.line(b"qreceipt", b"qp %d" % qp)
    return codes.OK


def _header() -> bytes:
    try:
        return header.read(fd.whole(0))
    except OSError as error:
        raise codes.TryLater("fatal: unable to read message: %s" % error.strerror) from None


def wanted(head: bytes, address: bytes) -> bool:
    """Whether the header asks for a notice about `address`, and may be answered."""
    for each in header.values(head, b"auto-submitted"):
        if each.partition(b";")[0].partition(b"(")[0].strip().lower() != b"no":     # RFC 3834 2
            return False
    return any(_same(each, address) for value in header.values(head, b"notice-requested-upon-delivery-to")
               for each in _list(value))


def _list(value: bytes) -> "list[addresses.Address]":
    try:
        return addresses.parse(value).addresses
    except addresses.Malformed as why:
        log.line(b"qreceipt", "no notice: %s" % why)
        return []


def _same(found: addresses.Address, address: bytes) -> bool:
    local, at, domain = address.rpartition(b"@")
    if not at:
        local, domain = domain, b""
    return found.local == local and found.domain.lower() == domain.lower()


def notice(head: bytes, address: bytes, sender: bytes, now: float, pid: int) -> bytes:
    """The notice to `sender` that the message with the header `head` was delivered to `address`."""
    quoted = quoting.quote(address)
    asked_in = [each for each in header.values(head, b"message-id")
                if each.startswith(b"<") and each.endswith(b">") and len(each) <= ID_LIMIT and not _unfit(each)]
    lines = [
        b"Date: " + date822.header(now),
        b"Message-ID: <%d.%d.qreceipt@%s>" % (int(now * 1_000_000), pid, quoted.rpartition(b"@")[2]),
        b"From: Notice of delivery <%s>" % quoted,
        b"To: <%s>" % quoting.quote(sender),
        b"Subject: success notice",
        b"Auto-Submitted: auto-replied",                                            # RFC 3834 5.1
    ]
    if len(asked_in) == 1:
        lines += [b"In-Reply-To: " + asked_in[0], b"References: " + asked_in[0]]
    lines += [b"", b"Your message has been delivered to", b"", b"    " + address, b"", b"You asked to be told."]
    if len(asked_in) == 1:
        lines += [b"It was the message with the ID", b"", b"    " + asked_in[0]]
    return b"\n".join(lines) + b"\n"


def _unfit(text: bytes) -> bool:
    """Whether `text` cannot stand in a header line, or is nothing."""
    return not text or text.translate(None, CONTROLS) != text
