"""vq-remote: send a message to another host.

SYNOPSIS    vq-remote host sender recipient [recipient ...]

READS       0   the message, from its first byte
WRITES      1   a report for each recipient, then one for the message; each ends in a NUL

Sends the message to `host` over SMTP: to the mail hosts that DNS names for it, or to its relay, one
after the other until one has said yes or no.

    report of a recipient   r   accepted
                            h   refused for ever
                            s   refused for now
    report of the message   K   a host has taken it
                            D   it cannot be sent
                            Z   it could not be sent now; also when the host hung up after the end of the
                                message and may have it: `Possible duplicate!`

If no host came so far as to be told a recipient, there are no reports of recipients.

The lines of the message may end in LF or CR LF; a CR alone ends a line, too, and every line leaves
here with CR LF.  A message without a final newline gets one.  SIZE, PIPELINING, 8BITMIME and STARTTLS
are used where the host offers them.  A host that takes a message at less than 1000 bytes a second, or
needs three times control/timeoutremote for its answers, is given up for now.

Nothing is written to descriptor 2 when that is the same pipe or file as 1, as under qmail-rspawn: it
would stand in the report.

CONTROL FILES
            authsenders, helohost, hostnames, moreipme, notipme, outgoingip, smtproutes,
            timeoutconnect, timeoutremote, tlscafile, tlshosts

FILES       queue/lock/tcpto, queue/lock/tcpto6     hosts that did not answer lately
            /etc/resolv.conf                        who answers for DNS

EXIT        0   always; the reports say what happened
            111 a mistake of the program itself

RUNS AS     qmailr

SECURITY    TLS keeps others from listening and proves nothing, but for hosts in control/tlshosts: they
            get mail only if a certificate proves their name.  A host that offers TLS and then cannot
            do it gets the mail in the clear, unless we log in there.

STANDARDS   RFC 5321, 1870 (SIZE), 2920 (PIPELINING), 3207 (STARTTLS), 4954 (AUTH), 6152 (8BITMIME),
            7505 (null MX); qmail-remote(8)
"""

from vqmail import codes
from vqmail.formats import remotereport
from vqmail.outgoing import delivery, kept, mx, reports
from vqmail.unix import calls, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:  # noqa: ARG001  every program has this shape
    """Send what is on 0, and report."""
    log = _set_log_aside()
    try:
        if len(argv) < 4:
            text = remotereport.encode([], reports.MISUSED)
        else:
            if not fd.rewind(0):                # a filter before us
                fd.spool(fd.rest(0))
            links = kept.Kept(0, 0)
            text = delivery.deliver(argv[1], argv[2], argv[3:], 0, mx.Names(), links)
        fd.write_all(1, text)
    finally:
        if log is not None:
            fd.move(2, log)
    return codes.OK


def _set_log_aside() -> "int | None":
    """If 2 is the same as 1, let it lead nowhere; what was there, or None."""
    try:
        report, log = calls.fstat(1), calls.fstat(2)
    except OSError:                             # one of them is closed
        return None
    if (report.st_dev, report.st_ino) != (log.st_dev, log.st_ino) or calls.isatty(2):
        return None
    aside = calls.dup(2)
    fd.move(2, calls.open(b"/dev/null", calls.O_WRONLY | calls.O_CLOEXEC))
    return aside
