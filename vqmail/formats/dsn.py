"""A delivery status notification: a message that people, and programs, can read (RFC 3464, RFC 6522).

    header      multipart/report
    part        text/plain                  to people
    part        message/delivery-status     to programs: about the message, then about each recipient
    part        message/rfc822              what was sent, or text/rfc822-headers: the header of it
    end
"""

from vqmail.formats import quoting

STATUS = b"message/delivery-status"
WHOLE = b"message/rfc822"
HEADER = b"text/rfc822-headers"
SAID = b"Remote host said: "            # in a report: what follows are the words of another host
LEFT = b"\nGiving up on "               # and that is over
EXPIRED = b"I'm not going to try again; this message has been in the queue too long.\n"
HOST = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:"
LINE = 900                              # bytes of a line of a report: of 998, with what comes in front   RFC 5322 2.1.1
DELAY_SUBJECT = b"delivery delayed: still trying"
EIGHT_BIT = b"Content-Transfer-Encoding: 8bit\n"

# a control character has no business in a header
NO_CONTROLS = bytes(ord("_") if each < 32 or each == 127 else each for each in range(256))
PRINTABLE = bytes(each if 32 <= each < 127 else ord("?") for each in range(256))


def header(date: bytes, sender: bytes, recipient: bytes, subject: bytes, message_id: bytes, boundary: bytes, *,
           plain: bool) -> bytes:
    """The header of the notification, with its empty line; `plain` says that all of it is ASCII."""
    return (b"Date: %s\nFrom: %s\nTo: %s\nSubject: %s\nMessage-ID: <%s>\n"
            b"Auto-Submitted: auto-replied\n"                                           # RFC 3834 5
            b"MIME-Version: 1.0\n"
            b'Content-Type: multipart/report; report-type=delivery-status;\n\tboundary="%s"\n%s\n') % (
        date, _quoted(sender), _quoted(recipient), subject, message_id, boundary, b"" if plain else EIGHT_BIT)


def text_type(*, plain: bool) -> bytes:
    """The type of the part for people."""
    return b"text/plain; charset=%s" % (b"us-ascii" if plain else b"utf-8")


def part(boundary: bytes, kind: bytes, *, plain: bool) -> bytes:
    """What begins a part; the newline it starts with belongs to it, not to what stands before."""    # RFC 2046 5.1.1
    return b"\n--%s\nContent-Type: %s\n%s\n" % (boundary, kind, b"" if plain else EIGHT_BIT)


def end(boundary: bytes) -> bytes:
    """What ends the last part."""
    return b"\n--%s--\n" % boundary


def delay_text(host: bytes, until: bytes, waiting: "list[tuple[bytes, bytes]]") -> bytes:
    """What people read of a message that waits; nothing that a reader of QSBMF could take for a failure."""
    text = b"".join([b"    %s\n%s\n" % (_printable(address), b"".join([
        b"        %s\n" % _printable(line) for line in report.split(b"\n") if line.strip()]))
        for address, report in waiting])
    return (b"Your message could not be delivered yet to the addresses below.\n"
            b"There is no need to send it again: the host %s\nwill try until %s, and tell you if it gives up.\n\n%s" % (
                host, until, text))


def about_message(host: bytes, arrival: bytes, number: int, sender: bytes) -> bytes:
    """The fields of the message that the notification is about, number `number` of our queue."""     # RFC 3464 2.2
    return b"Reporting-MTA: dns; %s\nArrival-Date: %s\nX-Vqmail-Queue-ID: %d\nX-Vqmail-Sender: %s\n" % (
        host, arrival, number, _address(sender))


def failed(recipient: bytes, report: bytes) -> bytes:
    """The fields of a recipient that will not get the message, with the empty line before them."""   # RFC 3464 2.3
    code = status(report, b"5")
    if code == b"5.0.0" and EXPIRED in report:
        code = b"5.4.7"                                                                 # RFC 3463 3.5
    return b"\nFinal-Recipient: %s\nAction: failed\nStatus: %s\n%s" % (_address(recipient), code, _remote(report))


def delayed(recipient: bytes, report: bytes, until: bytes) -> bytes:
    """The fields of a recipient that may still get it; tried until the date `until`."""
    return b"\nFinal-Recipient: %s\nAction: delayed\nStatus: %s\n%sWill-Retry-Until: %s\n" % (
        _address(recipient), status(report, b"4"), _remote(report), until)


def status(report: bytes, kind: bytes) -> bytes:
    """The enhanced status code in a report, of the class `kind`: 5 or 4."""
    reply = _said(report)
    if reply[:3].isdigit() and reply[3:4] in (b" ", b"-"):
        code = (reply[4:].split(None, 1) or [b""])[0]
        if _is_status(code, kind):
            return code
    place = report.find(b"(#")
    while place >= 0:
        code = report[place + 2:place + 13].partition(b")")[0]
        if _is_status(code, kind):
            return code
        place = report.find(b"(#", place + 1)
    return kind + b".0.0"


def with_short_lines(report: bytes) -> bytes:
    """`report` as it can be told: a line that is too long for a mail would keep the notification from being sent."""
    if all(len(each) <= LINE for each in report.split(b"\n")):
        return report
    return b"\n".join([each[at:at + LINE] for each in report.split(b"\n") for at in range(0, max(len(each), 1), LINE)])


def is_automatic(header: bytes) -> bool:
    """Whether no person waits for this message to arrive: a list sent it, or a program."""           # RFC 3834 2
    for line in header.replace(b"\n ", b" ").replace(b"\n\t", b" ").lower().split(b"\n"):
        name, _, value = line.partition(b":")
        name = name.rstrip()
        word = value.partition(b";")[0].partition(b"(")[0].strip()
        if ((name == b"auto-submitted" and word != b"no") or name.startswith(b"list-")
                or (name == b"precedence" and word in (b"bulk", b"junk", b"list"))):
            return True
    return False


def _is_status(code: bytes, kind: bytes) -> bool:
    parts = code.split(b".")
    return len(parts) == 3 and parts[0] == kind and all(each.isdigit() and len(each) <= 3 for each in parts)


def _said(report: bytes) -> bytes:
    """What the other host said, b"" if no host did."""
    return report.partition(SAID)[2].partition(LEFT)[0].removesuffix(EXPIRED)


def _host(report: bytes) -> bytes:
    """Who said it, by the report of a vq-remote: `HOST does not like recipient.`, `Connected to HOST but`; else b""."""
    before, said, _ = report.partition(SAID)
    line = before.removesuffix(b"\n").rpartition(b"\n")[2].removeprefix(b"Connected to ")
    host = line.partition(b" ")[0].rstrip(b".")
    if not said or host.translate(None, HOST) or (b"." not in host and b":" not in host):
        return b""
    if b":" in host:
        return b"[IPv6:%s]" % host
    return host if host.translate(None, b"0123456789.") else b"[%s]" % host


def _remote(report: bytes) -> bytes:
    """Who refused it, in which words."""
    fields = b""
    host = _host(report)
    if host:
        fields = b"Remote-MTA: dns; %s\n" % host
    lines = [each.rstrip(b"\r").translate(PRINTABLE) for each in _said(report).split(b"\n") if each.strip()]
    if lines:
        fields += b"Diagnostic-Code: smtp; %s\n" % b"\n  ".join(lines)
    return fields


def _printable(text: bytes) -> bytes:
    return text.rstrip(b"\r").translate(NO_CONTROLS)


def _address(address: bytes) -> bytes:
    """An address with its type."""
    if address.isascii():
        return b"rfc822; " + _quoted(address)
    try:
        text = address.decode()
    except UnicodeDecodeError:
        return b"rfc822; " + _quoted(address).translate(PRINTABLE)
    return b"utf-8; " + b"".join(                                                       # RFC 6533 3
        b"%c" % each if 32 < each < 127 and each not in b"\\+=" else b"\\x{%X}" % each for each in map(ord, text))


def _quoted(address: bytes) -> bytes:
    return quoting.quote(address.translate(NO_CONTROLS))
