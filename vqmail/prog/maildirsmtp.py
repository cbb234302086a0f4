"""vq-maildirsmtp: send the messages of a maildir by one host, for a line that is up only sometimes.

SYNOPSIS    vq-maildirsmtp maildir prefix host helo

READS       maildir/new, maildir/cur    messages as vq-local delivers them: Return-Path and Delivered-To come first
WRITES      2   what became of each message
            the queue, when a message must go back

Each message goes to the address in its Delivered-To without `prefix`, from the address in its Return-Path, over SMTP to
`host` itself, whatever its MX are; the two lines do not go along.  A message that the host takes is removed.  What
it refuses for ever goes back to its sender, and is removed then.  Everything else stays for the next time, and so
does a message whose Delivered-To does not begin with `prefix`.

A whole domain, or the rest of the world with `:alias-ppp` in control/virtualdomains, comes into such a maildir by
`./pppdir/` in alias/.qmail-ppp-default; /etc/ppp/ip-up then runs, as alias,

    vq-maildirsmtp pppdir alias-ppp- mail.provider.example our.name.example

Only one runs on a maildir at a time: a second one leaves it to the first.

CONTROL FILES
            authsenders smtproutes (for `host`: a port, a password)
            outgoingip tlscafile tlshosts timeoutconnect timeoutremote
            bouncefrom bouncehost doublebouncehost doublebounceto

FILES       maildir/seriallock

EXIT        0   nothing is left but what came meanwhile
            100 wrong usage
            111 a message stays, or trouble
RUNS AS     the owner of maildir

STANDARDS   RFC 5321, 3464 (what goes back); maildirsmtp(1) of serialmail
"""

import time

from vqmail import codes
from vqmail.formats import bounce, date822, dsn, quoting, remotereport
from vqmail.outgoing import delivery, kept, mx
from vqmail.proto import path
from vqmail.store import control, mailbox, submit
from vqmail.unix import calls, fd, lock, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vqmail.unix.chain import Env

HEAD = 8192                     # bytes in which the first two lines must end
IDLE, USES = 60, 1000           # of a connection: all messages go over one


def main(argv: "list[bytes]", env: "Env") -> int:
    if len(argv) != 5 or not argv[4]:
        raise codes.GiveUp("usage: vq-maildirsmtp maildir prefix host helo")
    _, maildir, prefix, host, helo = argv
    try:
        held = lock.hold(maildir + b"/seriallock")
    except BlockingIOError:
        return codes.OK
    except OSError as error:
        raise codes.TryLater("no maildir at %s: %s" % (log.shown(maildir), error.strerror)) from None
    links = kept.Kept(IDLE, USES)
    try:
        return _Round(maildir, prefix, host, helo, env, links).run()
    finally:
        links.close()
        calls.close(held)


class _Round:
    """Each message that is there once."""

    def __init__(self, maildir: bytes, prefix: bytes, host: bytes, helo: bytes, env: "Env", links: kept.Kept) -> None:
        self._maildir = maildir
        self._prefix = prefix
        self._host = host
        self._helo = helo
        self._env = env
        self._links = links
        self._names = mx.Names()

    def run(self) -> int:
        """Send them; the exit code."""
        try:
            messages = mailbox.Mailbox(self._maildir)
        except OSError as error:
            raise codes.TryLater("no maildir at %s: %s" % (log.shown(self._maildir), error.strerror)) from None
        code = codes.OK
        for index in range(messages.count):
            try:
                number = messages.open(index)
            except FileNotFoundError:           # somebody else took it
                continue
            try:
                done = self._send(number, messages.name(index))
            finally:
                calls.close(number)
            if not done:
                code = codes.TEMPORARY
            for failure in messages.finish({index}) if done else ():
                log.line(b"vq-maildirsmtp", "%s was sent, and will be again: %s" % (
                    log.shown(failure.filename or b"?"), failure.strerror))
                code = codes.TEMPORARY
        return code

    def _send(self, number: int, name: bytes) -> bool:
        """Send the message open as `number`; whether it is done with."""
        found = _envelope(calls.pread(number, HEAD, 0))
        if found is None:
            log.line(b"vq-maildirsmtp", b"%s stays: it does not begin with Return-Path and Delivered-To" % name)
            return False
        sender, recipient, length = found
        if not recipient.lower().startswith(self._prefix.lower()):
            log.line(b"vq-maildirsmtp", b"%s stays: %s does not begin with %s" % (name, recipient, self._prefix))
            return False
        recipient = recipient[len(self._prefix):]
        fd.spool(_after(number, length))
        said = delivery.deliver(self._host, sender, [recipient], 0, self._names, self._links, self._helo, relay=True)
        report = remotereport.for_vq_send(said, codes.OK)
        log.line(b"vq-maildirsmtp", b"%s for <%s>: %s" % (name, recipient, report.rstrip(b"\n").replace(b"\n", b"/")))
        if report[:1] == b"D":
            self._give_back(sender, recipient, report[1:], calls.fstat(number).st_mtime)
        return report[:1] in (b"K", b"D")

    def _give_back(self, sender: bytes, recipient: bytes, report: bytes, birth: float) -> None:
        """Tell the sender that the message on 0 will not arrive.  TryLater if that cannot be queued."""
        to = control.line(b"doublebounceto")
        envelope = bounce.envelope(sender, b"%s@%s" % (to, control.line(b"doublebouncehost")) if to else b"")
        if envelope is not None:
            submit.send(self._env, self._notification(envelope, sender, recipient, report, birth), envelope[0],
                        [envelope[1]], "unable to give back: ")

    def _notification(self, envelope: "tuple[bytes, bytes]", sender: bytes, recipient: bytes, report: bytes,
                      birth: float) -> "Iterator[bytes]":
        host, now = control.line(b"bouncehost"), int(time.time())
        boundary, random = (calls.urandom(16).hex().encode() for _ in range(2))
        double = envelope[0] == bounce.DOUBLE
        plain = all(each.isascii() for each in (sender, recipient, report, *fd.pieces(0)))
        yield dsn.header(date822.header(now), b"%s@%s" % (control.line(b"bouncefrom"), host), envelope[1],
                         bounce.SUBJECT, b"%d.%s.bounce@%s" % (now, random, host), boundary, plain=plain)
        yield bounce.preamble(host)
        yield dsn.part(boundary, dsn.text_type(plain=plain), plain=plain)
        yield bounce.introduction(host, double=double)
        yield bounce.paragraph(recipient, report)
        yield bounce.break_line(dsn.WHOLE, double=double)
        yield dsn.part(boundary, dsn.STATUS, plain=True)
        yield dsn.about_message(host, date822.header(int(birth)), calls.getpid(), sender)
        yield dsn.failed(recipient, report)
        yield dsn.part(boundary, dsn.WHOLE, plain=plain)
        yield b"Return-Path: <%s>\n" % quoting.quote(sender)
        yield from fd.pieces(0)
        yield dsn.end(boundary)


def _envelope(start: bytes) -> "tuple[bytes, bytes, int] | None":
    """(sender, recipient, bytes of their lines) as the first two lines of a message tell it; None if they do not."""
    lines = start.split(b"\n", 2)
    if len(lines) < 3 or not lines[0].startswith(b"Return-Path: <") or not lines[1].startswith(b"Delivered-To: "):
        return None
    try:
        sender = path.reverse(b"FROM:" + lines[0].partition(b" ")[2]).address
    except path.Refused:
        return None
    return sender, lines[1].partition(b" ")[2], len(lines[0]) + len(lines[1]) + 2


def _after(number: int, length: int) -> "Iterator[bytes]":
    """The message behind its first `length` bytes."""
    for piece in fd.pieces(number):
        yield piece[length:]
        length = max(length - len(piece), 0)
