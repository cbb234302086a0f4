"""The words in which vq-remote says what another host did with a message (QMAIL interface 13.1).

The first ones are qmail's, which people and programs look for in logs; where qmail has none the words say what to do.
"""

from vqmail.proto import replies
from vqmail.proto import smtp_client as smtp
from vqmail.record import Record


class Verdict(Record):
    """What became of a message at one host.  `final` is False if the next host may be asked, `spoke` if this one
    never answered."""

    __slots__ = ("recipients", "report", "final", "spoke")
    recipients: "list[bytes]"
    report: bytes
    final: bool
    spoke: bool


DIED = b"ZConnected to %s but connection died. %s(#4.4.2)\n"
DUPLICATE = b"Possible duplicate! "
NONSENSE = b"ZConnected to %s but it does not speak SMTP: %s. (#4.5.0)\n"
TLS_FAILED = b"ZConnected to %s but TLS failed: %s. (#4.7.5)\n"
NO_CONNECTION = b"ZCould not connect to %s: %s. (#4.4.1)\n"
NOT_TRIED = b"ZNo host to connect to: all of them timed out lately; vq-tcpto shows them. (#4.4.1)\n"
BAD_ADDRESS = b"DAn address has a character that SMTP cannot carry. (#5.1.3)\n"
MISUSED = b"Dvq-remote was invoked improperly: it wants host sender recipient... (#5.3.5)\n"
TOO_BIG = b"DConnected to %s but it takes no message of %d bytes, only up to %s. (#5.3.4)\n"

REFUSED = {
    smtp.GREETING: b"greeting failed.\n",
    smtp.HELO: b"my name was rejected.\n",
    smtp.TLS: b"it would not start TLS. (#4.7.0)\n",
    smtp.AUTH: b"authentication was rejected; see control/authsenders and smtproutes. (#4.7.8)\n",
}
NOT_OFFERED = {
    smtp.TLS: b"it offers no TLS, without which it gets no mail: see control/tlshosts. (#4.7.0)\n",
    smtp.AUTH: b"it offers no way to log in that I know: PLAIN, LOGIN or CRAM-MD5. (#4.7.0)\n",
}


def said(reply: replies.Reply) -> bytes:
    """What the host said, as the end of a report."""
    return b"Remote host said: " + reply.text if reply.text else b""


def refused(host: bytes, event: smtp.Refused) -> Verdict:
    """The host would not have us: another may."""
    if event.reply is None:
        text = NOT_OFFERED[event.stage]
    else:
        text = REFUSED[event.stage] + said(event.reply)
    return Verdict([], b"ZConnected to %s but %s" % (host, text), False, True)


def done(host: bytes, event: smtp.Done, size: int) -> Verdict:
    """What became of a mail of `size` octets."""
    reply = event.reply
    letter = b"D" if reply.bad else b"Z"
    recipients = [_recipient(host, each) for each in event.recipients]
    final = True
    if event.stage == smtp.SIZE:
        report = TOO_BIG % (host, size, reply.text)
    elif event.stage == smtp.MAIL:
        report = b"%sConnected to %s but sender was rejected.\n%s" % (letter, host, said(reply))
        final = reply.bad
    elif event.stage == smtp.RCPT:
        report = b"DGiving up on %s.\n" % host
        final = any(each.bad for each in event.recipients)
    elif event.stage == smtp.DATA:
        report = b"%s%s failed on DATA command.\n%s" % (letter, host, said(reply))
    elif reply.good:
        report = b"K%s accepted message.\n%s" % (host, said(reply))
    else:
        report = b"%s%s failed after I sent the message.\n%s" % (letter, host, said(reply))
    return Verdict(recipients, report, final, True)


def _recipient(host: bytes, reply: replies.Reply) -> bytes:
    if reply.good:
        return b"r"
    return b"%s%s does not like recipient.\n%s" % (b"h" if reply.bad else b"s", host, said(reply))
