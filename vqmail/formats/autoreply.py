"""Automatic answers: which messages get one, and what it looks like (RFC 3834).

A message is answered if it was written by a person to just this address: it has an envelope sender that is no
program's, no list's and not ourselves, nothing in its header says that a program sent it, and To or Cc names us.
"""

from vqmail.formats import addresses, fields, header, quoting

NOBODY = (b"", b"#@[]")
PROGRAMS = (b"mailer-daemon", b"postmaster", b"listserv", b"majordomo", b"mailman", b"noreply", b"no-reply",
            b"donotreply", b"do-not-reply", b"bounce", b"bounces")
BEGINNINGS = (b"owner-", b"bounce-", b"bounces-", b"bounce+", b"bounces+", b"request-", b"srs0=", b"srs1=")
ENDINGS = (b"-request", b"-owner", b"-bounce", b"-bounces", b"-return", b"-confirm", b"-noreply")
INSIDE = (b"-return-", b"-bounces+", b"-bounces-", b"-owner-")
PRECEDENCES = (b"bulk", b"junk", b"list", b"auto_reply")
SUPPRESSIONS = (b"all", b"autoreply", b"oof", b"none")      # the last one means nothing is suppressed
LIST_FIELDS = (b"list-", b"mailing-list", b"x-mailing-list", b"x-ml-name", b"x-list", b"feedback-id")
NAMED_IN = (b"to", b"cc", b"bcc", b"resent-to", b"resent-cc", b"resent-bcc", b"apparently-to")
# fields that are ours to write, whatever the message file says; an answer goes to nobody else
OURS = (b"to", b"cc", b"bcc", b"resent-to", b"resent-cc", b"resent-bcc", b"apparently-to", b"date", b"message-id",
        b"auto-submitted", b"in-reply-to", b"references", b"return-path", b"delivered-to", b"received", b"sender",
        b"precedence", b"resent-from", b"resent-date", b"resent-message-id", b"resent-sender",
        b"disposition-notification-to", b"return-receipt-to", b"errors-to", b"mbox-line")
CONTROLS = bytes([*range(32), 127])
PRINTABLE = bytes(range(33, 127))
HIGH = bytes(range(128, 256))
ADDRESSES = (b"from", b"reply-to")
SUBJECT_LIMIT = 200
ID_LIMIT = 500                  # bytes of a Message-ID that is repeated
REFERENCES = 10                 # of them


def objection(sender: bytes, head: bytes, ours: "list[bytes]") -> str:
    """Why a message from `sender` with the header `head` gets no answer from us, whose addresses are `ours`; "" if it
    gets one."""
    local, _, domain = sender.lower().rpartition(b"@")
    if sender in NOBODY or not domain:
        return "its sender is nobody"
    if not local or sender.translate(None, PRINTABLE):
        return "its sender is no address"
    if (local in PROGRAMS or local.startswith(BEGINNINGS) or local.endswith(ENDINGS)
            or any(each in local for each in INSIDE)):
        return "its sender is a program or a list"
    if any(_is(each, local, domain) for each in ours):
        return "its sender is this address itself"
    why = _automatic(head)
    if why:
        return why
    for name in NAMED_IN:                                                               # RFC 3834 2
        for value in header.values(head, name):
            try:
                found = addresses.parse(value).addresses
            except addresses.Malformed:
                continue
            if any(_is(each, one.local.lower(), one.domain.lower()) for each in ours for one in found):
                return ""
    return "neither To nor Cc names this address"


def _automatic(head: bytes) -> str:
    for line in head.split(b"\n"):
        name = fields.name(line) if line[:1] not in (b" ", b"\t") else b""
        if name.startswith(LIST_FIELDS):
            return "it is from a list (%s)" % name.decode("ascii", "replace")
    for value in header.values(head, b"auto-submitted"):
        if _word(value) != b"no":
            return "a program sent it (Auto-Submitted)"
    for value in header.values(head, b"precedence"):
        if _word(value) in PRECEDENCES:
            return "it is bulk mail (Precedence)"
    for value in header.values(head, b"x-auto-response-suppress"):
        words = [each.strip().lower() for each in value.split(b",")]
        if any(each in SUPPRESSIONS[:-1] for each in words):
            return "it wants no answer (X-Auto-Response-Suppress)"
    for value in header.values(head, b"content-type"):
        if _word(value) in (b"multipart/report", b"message/delivery-status", b"message/disposition-notification"):
            return "it is a report"
    if any(_word(each) == b"yes" for each in header.values(head, b"x-spam-flag")):
        return "it is spam"
    if header.values(head, b"x-autoreply") or header.values(head, b"x-autorespond"):
        return "a program sent it (X-Autoreply)"
    return ""


def letter(head: bytes, sender: bytes, address: bytes, text: bytes, date: bytes, identifier: bytes) -> bytes:
    """The answer to `sender` from `address`: `text`, which may begin with header lines of its own."""
    given, body = _split(text)
    names = {fields.name(each) for each in given}
    lines = [b"Date: " + date, b"Message-ID: <%s>" % identifier]
    if b"from" not in names:
        lines.append(b"From: <%s>" % quoting.quote(address))
    lines.append(b"To: <%s>" % quoting.quote(sender))
    if b"subject" not in names:
        lines.append(b"Subject: " + _subject(head))
    lines.append(b"Auto-Submitted: auto-replied")                                       # RFC 3834 5.1
    message_ids = _ids(header.values(head, b"message-id"))
    if len(message_ids) == 1:
        before = _ids(header.values(head, b"references")) or _ids(header.values(head, b"in-reply-to"))
        before = [each for each in before if each != message_ids[0]]
        chain = [*(before if len(before) < REFERENCES else [before[0], *before[2 - REFERENCES:]]), message_ids[0]]
        lines += [b"In-Reply-To: " + message_ids[0], b"References: " + b"\n ".join(chain)]
    if b"mime-version" not in names:
        lines.append(b"MIME-Version: 1.0")
    if b"content-type" not in names:
        lines.append(b"Content-Type: text/plain; charset=" + _charset(body))
        if b"content-transfer-encoding" not in names:
            lines.append(b"Content-Transfer-Encoding: " + (b"7bit" if body.isascii() else b"8bit"))
    return b"\n".join(lines) + b"\n" + b"".join(given) + b"\n" + body


def _split(text: bytes) -> "tuple[list[bytes], bytes]":
    """(header lines, body) of a message file: a header is only what an empty line ends."""
    text = text.replace(b"\r\n", b"\n").replace(b"\0", b"")
    if text and not text.endswith(b"\n"):
        text += b"\n"
    if text.startswith(b"\n"):
        return [], text[1:]
    reader = fields.Reader(max(len(text), 1) + 1)
    try:
        reader.feed(text)
    except fields.TooLarge:                     # not with such a limit
        return [], text
    if not reader.complete or reader.stray or not reader.fields():
        return [], text
    return [_ascii(each) for each in reader.fields() if fields.name(each) not in OURS], reader.rest


def _ascii(field: bytes) -> bytes:
    """A header line of a message file, of which every byte above 127 is in an encoded word."""
    if field.isascii():
        return field
    name, _, value = field.partition(b":")
    value = b" ".join(value.split())
    if fields.name(field) in ADDRESSES and b"<" in value:
        words, _, rest = value.rpartition(b"<")
        return name + b": " + _encoded(words.strip(b' "')) + b" <" + rest.translate(None, HIGH) + b"\n"
    return name + b": " + _encoded(value) + b"\n"


def _encoded(text: bytes) -> bytes:
    """`text`, UTF-8 or else ISO 8859-1, as encoded words if it is not ASCII."""
    if text.isascii():
        return text
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        text = text.decode("iso-8859-1").encode("utf-8")
    return quoting.phrase(text).replace(b"?= =?", b"?=\n =?")                          # RFC 2047 2


def _subject(head: bytes) -> bytes:
    found = header.values(head, b"subject")
    subject = b" ".join((found[0] if found else b"").split()).translate(None, CONTROLS)
    if len(subject) > SUBJECT_LIMIT:            # between words: an encoded one must not be cut
        subject = subject[:SUBJECT_LIMIT + 1].rpartition(b" ")[0]
    if not subject:
        subject = b"your message"
    return _encoded(subject) if subject[:3].lower() == b"re:" else b"Re: " + _encoded(subject)


def _ids(values: "list[bytes]") -> "list[bytes]":
    """The Message-IDs in `values` that may be repeated."""
    return [each for value in values for each in value.split()
            if each.startswith(b"<") and each.endswith(b">") and 2 < len(each) <= ID_LIMIT
            and not each.translate(None, PRINTABLE) and each.count(b"<") == each.count(b">") == 1]


def _charset(body: bytes) -> bytes:
    if body.isascii():
        return b"us-ascii"
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return b"iso-8859-1"
    return b"utf-8"


def _word(value: bytes) -> bytes:
    """The first word of a field, without parameters and comments."""
    return value.partition(b";")[0].partition(b"(")[0].strip().lower()


def _is(address: bytes, local: bytes, domain: bytes) -> bool:
    """Whether the lower-case parts are those of `address`."""
    return address.lower() == local + b"@" + domain
