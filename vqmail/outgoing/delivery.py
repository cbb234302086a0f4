"""A message to one host over SMTP: its addresses one after the other, until one has said yes or no (RFC 5321 5.1).

    the next address is tried       when it cannot be connected, greets with anything but 220, does not like our name,
                                    breaks TLS, refuses our login, hangs up before it wanted the text, or says 4xx to
                                    the sender or to all recipients
    no other is tried               after a 5xx to sender or recipients, and once the text was begun: a host that hangs
                                    up then may have the message

A host whose TLS is broken is tried again without, unless its name must be proved or a password would be shown.
"""

import errno
import time

from vqmail import codes
from vqmail.formats import remotereport
from vqmail.outgoing import connection, kept, message, reports, route, tcpto
from vqmail.outgoing.reports import Verdict
from vqmail.proto import replies
from vqmail.proto import smtp_client as smtp
from vqmail.store import control, hostnames
from vqmail.unix import log, tls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vqmail.outgoing import mx

ANSWERS = 3                     # times timeoutremote, that all answers of all hosts may take together
SLOWEST = 1000                  # bytes of a message that a host must take each second, on the average
CONTROLS = bytes([*range(32), 127])


def deliver(host: bytes, sender: bytes, recipients: "list[bytes]", number: int, names: "mx.Names", links: kept.Kept,
            helo: bytes = b"", *, relay: bool = False, routes: "Callable[[], route.Tables]" = route.Tables) -> bytes:
    """Send the message open as `number`; what vq-remote says then on its descriptor 1.

    `helo` is said instead of control/helohost.  A `relay` is a host to send by, whoever its MX are.
    `routes` gives the tables of routes as they are now.
    """
    if not all(_can_be_said(each) for each in (sender, *recipients)):
        return remotereport.encode([], reports.BAD_ADDRESS)
    try:
        found = routes().find(host, sender, relay=relay)
        targets = names.targets(found)
        verdict = _Delivery(found, sender, recipients, message.Message(number), links, helo).run(targets)
    except codes.Failure as failure:
        letter = b"D" if isinstance(failure, codes.GiveUp) else b"Z"
        text = letter + str(failure).encode("utf-8", "surrogateescape")
        return remotereport.encode([], text + (b"\n" if b"(#" in text else b" (#4.3.0)\n"))
    return remotereport.encode(verdict.recipients, verdict.report)


def _can_be_said(address: bytes) -> bool:
    """Whether an address fits into one line, and nothing of it can be taken for something else."""
    domain = address.rpartition(b"@")[2] if b"@" in address else b""
    return address.translate(None, CONTROLS) == address and domain.translate(None, b" <>") == domain


class _Stale(Exception):
    """The host has hung up a kept connection, or wants no more on it."""


class _TlsBroken(Exception):
    """The host said it could do TLS, and could not."""


class _Delivery:
    """One message on its way to the hosts of one route."""

    def __init__(self, found: route.Route, sender: bytes, recipients: "list[bytes]", text: message.Message,
                 links: kept.Kept, helo: bytes) -> None:
        self._route = found
        self._text = text
        self._mail = smtp.Mail(sender, recipients, text.size, text.eight_bit)
        self._links = links
        self._helo = helo
        self._helohost = control.line(b"helohost")
        self._names = hostnames.HostNames()
        self._connect_seconds = max(control.number(b"timeoutconnect"), 1)
        self._patience = max(control.number(b"timeoutremote"), 1)
        self._deadline = time.monotonic() + ANSWERS * self._patience + text.size // SLOWEST

    def run(self, targets: "list[mx.Target]") -> Verdict:
        """Try one after the other."""
        last = Verdict([], reports.NOT_TRIED, False, False)
        for target in targets:
            if time.monotonic() >= self._deadline:
                break
            if tcpto.skip(target.address, int(time.time())):
                continue
            verdict = self._at(target)
            if verdict.final:
                return verdict
            if verdict.spoke or not last.spoke:         # what a host said tells more than that another is down
                last = verdict
        return last

    def _at(self, target: "mx.Target") -> Verdict:
        """Try one address."""
        must = self._route.tls == route.VERIFY or self._route.must_prove(target.name)
        key = (target.address, self._route.port, self._source(target), self._route.user, self._route.password,
               self._route.tls, must and target.name, self._name(target))
        link = self._links.take(key)
        if link is not None:
            try:
                return self._use(link, key, target, must)
            except _Stale:                              # a new connection may do
                pass
        try:
            return self._fresh(key, target, must, tls_too=True)
        except _TlsBroken as why:
            host = target.address
            if must or self._route.user or self._route.tls == route.SMTPS:
                return Verdict([], reports.TLS_FAILED % (host, str(why).encode()), False, True)
            log.line(b"vq-remote", b"%s (%s): TLS failed, sending in the clear: %s" % (
                host, target.name, str(why).encode()))
            return self._fresh(key, target, must, tls_too=False)

    def _fresh(self, key: "kept.Key", target: "mx.Target", must: bool, *, tls_too: bool) -> Verdict:
        """Use a new connection.  _TlsBroken if `tls_too`."""
        host, source = target.address, self._source(target)
        seconds = min(self._connect_seconds, self._deadline - time.monotonic())
        try:
            peer = connection.Connection(host, self._route.port, source, seconds)
        except OSError as error:
            if isinstance(error, TimeoutError):
                tcpto.failed(host, int(time.time()))
                why = b"it did not answer in %d seconds" % seconds
            elif error.errno == errno.EADDRNOTAVAIL and source:
                why = b"%s in control/outgoingip is no address of this machine" % source
            else:
                why = str(error.strerror or error).encode()
            return Verdict([], reports.NO_CONNECTION % (host, why), False, False)
        tcpto.worked(host)
        smtps = self._route.tls == route.SMTPS
        session = smtp.Session(self._name(target), tls=tls_too, must=must, user=self._route.user,
                               password=self._route.password, encrypted=smtps)
        link = kept.Link(peer, session)
        if smtps:
            self._give_time(link)
            try:
                self._secure(link, target, must)
            except BaseException:
                peer.close()
                raise
        return self._use(link, key, target, must)

    def _use(self, link: kept.Link, key: "kept.Key", target: "mx.Target", must: bool) -> Verdict:
        """Send the message on `link`, and put that aside or close it.  _Stale, _TlsBroken."""
        used = link.uses > 0
        host, session = target.address, link.session
        self._give_time(link)
        try:
            event = self._converse(link, target, must)
        except (connection.Lost, replies.Nonsense) as error:
            link.connection.close()
            if used and session.stage == smtp.MAIL:
                raise _Stale from None
            if session.securing:
                raise _TlsBroken(str(error)) from None
            return self._broken(link, host, error)
        except BaseException:
            link.connection.close()
            raise
        if isinstance(event, smtp.Refused):
            link.close()
            return reports.refused(host, event)
        verdict = reports.done(host, event, self._text.size)
        if used and event.stage == smtp.MAIL:           # perhaps it only wants no more on this connection
            link.close()
            raise _Stale
        self._links.keep(key, link)
        return verdict

    def _broken(self, link: kept.Link, host: bytes, error: Exception) -> Verdict:
        """What to say of a host that has hung up, or makes no sense."""
        text_begun = link.session.stage == smtp.SENT
        if isinstance(error, connection.Lost):
            before = link.session.hung_up()
            if before is not None:
                return reports.done(host, before, self._text.size)
        elif not link.critical:
            return Verdict([], reports.NONSENSE % (host, str(error).encode()), text_begun, True)
        return Verdict([], reports.DIED % (host, reports.DUPLICATE if link.critical else b""), text_begun, True)

    def _give_time(self, link: kept.Link) -> None:
        link.critical = False
        link.connection.deadline = self._deadline
        link.connection.patience = self._patience

    def _converse(self, link: kept.Link, target: "mx.Target", must: bool) -> "smtp.Done | smtp.Refused":
        """Do what the session says, to its end or that of the mail.  Lost, Nonsense, _TlsBroken."""
        session, peer = link.session, link.connection
        if link.uses:
            session.give(self._mail)
        until = time.monotonic() + self._patience
        while True:
            event = session.next_event()
            if event is smtp.NEED_DATA:
                output = session.output()
                if output:
                    peer.write(output)
                    until = time.monotonic() + self._patience
                session.receive(peer.read(until))       # all of a reply in the time of one, or it could drip for days
            elif event is smtp.START_TLS:
                self._secure(link, target, must)
                session.secured()
            elif event is smtp.READY:
                session.give(self._mail)
            elif event is smtp.TEXT:
                self._send_text(link)
                until = time.monotonic() + self._patience
            else:
                assert isinstance(event, (smtp.Done, smtp.Refused))
                return event

    def _secure(self, link: kept.Link, target: "mx.Target", must: bool) -> None:
        """Make it TLS.  _TlsBroken."""
        contexts = self._links.contexts
        authorities = control.line(b"tlscafile") if must else b""
        try:
            context = contexts.to_proving(authorities) if must else contexts.to_any()
        except OSError as error:
            raise codes.TryLater("cannot use the authorities in %s, which control/tlscafile names: %s" % (
                authorities.decode("utf-8", "replace"), error.strerror or error)) from None
        try:
            link.connection.secure(context, target.name)
        except (tls.Failed, connection.Lost) as error:
            raise _TlsBroken(str(error)) from None

    def _send_text(self, link: kept.Link) -> None:
        for piece, is_last in self._text.wire():
            link.critical = is_last
            link.connection.write(piece)
            if link.connection.broken:                  # perhaps it says why
                link.session.text_broken()
                return
        link.session.text_sent()

    def _name(self, target: "mx.Target") -> bytes:
        """What we say in EHLO."""
        return self._helo or self._names.at(self._source(target), self._helohost)

    def _source(self, target: "mx.Target") -> bytes:
        return self._route.sources[b":" in target.address]
