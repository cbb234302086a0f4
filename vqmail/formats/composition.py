"""What vq-inject makes of the header of a message: the envelope, and the header as it goes out (QMAIL interface 15.1).

    taken away      Bcc Resent-Bcc Return-Path Content-Length
    completed       the addresses in REWRITTEN
    put on top      Date Message-ID From, and a Cc if there is no To; a message that is resent gets their Resent- forms

A message is resent if it has one of the fields RESENT: then those, and no others, name its recipients.
"""

from vqmail.formats import addresses, completion, fields, quoting
from vqmail.record import Record

TO = (b"to", b"cc", b"bcc", b"apparently-to")
RESENT_TO = (b"resent-to", b"resent-cc", b"resent-bcc")
RESENT = (*RESENT_TO, b"resent-sender", b"resent-from", b"resent-reply-to", b"resent-date", b"resent-message-id")
REWRITTEN = (b"to", b"cc", b"apparently-to", b"reply-to", b"from", b"sender", b"errors-to", b"return-receipt-to",
             b"resent-to", b"resent-cc", b"resent-reply-to", b"resent-from", b"resent-sender")
REMOVED = (b"bcc", b"resent-bcc", b"content-length")
ONCE = (b"to", b"cc", b"reply-to")              # RFC 5322 3.6; several are made one
NOBODY = b"Cc: recipient list not shown: ;\n"
RECIPIENT_LIMIT = 100000

COMMENT, NO_RETURN_PATH, NO_FROM, NO_MESSAGE_ID, PER_RECIPIENT, PER_MESSAGE = b"c", b"s", b"f", b"i", b"r", b"m"

TYPE_CHECKING = False
if TYPE_CHECKING:
    Fields = list[tuple[bytes, bytes]]


class Unsendable(ValueError):
    """The message cannot go out as it is; the text says which field, or argument, and why."""


class Order(Record):
    """What the command line says.  `letters` are those of QMAILINJECT, `sender` is None without -f."""

    __slots__ = ("letters", "sender", "from_header", "recipients")
    letters: "frozenset[bytes]"
    sender: "bytes | None"
    from_header: bool
    recipients: "list[bytes]"


class Writer(Record):
    """Who writes: in From, and in the envelope.  A host may be b""."""

    __slots__ = ("user", "host", "name", "sender_user", "sender_host")
    user: bytes
    host: bytes
    name: bytes
    sender_user: bytes
    sender_host: bytes


class Stamp(Record):
    """When: the date, what goes into the brackets of Message-ID, and what makes the sender of a message unique."""

    __slots__ = ("date", "message_id", "unique")
    date: bytes
    message_id: bytes
    unique: bytes


class Composer:
    """Makes one message: compose(), then `header`, `sender` and `recipients` are there.

    `lists` are the addresses of mailing lists, in lower case, that get a Mail-Followup-To.
    """

    def __init__(self, order: Order, hosts: completion.Hosts, writer: Writer, stamp: Stamp,
                 lists: "list[bytes]") -> None:
        self.header = b""
        self.sender = b""
        self.recipients: list[bytes] = []
        self._order = order
        self._hosts = hosts
        self._writer = writer
        self._stamp = stamp
        self._lists = lists
        self._seen: set[tuple[bytes, bytes]] = set()
        self._return_path: bytes | None = None
        self._shown: dict[bytes, bytes] = {}    # whom To and Cc name

    def compose(self, given: "list[bytes]") -> None:
        """Do it for the fields `given`.  Unsendable if a recipient or the sender cannot be understood."""
        named = [(fields.name(each), each) for each in given]
        resent = any(name in RESENT for name, _ in named)
        for each in self._order.recipients:
            self._add(self._understood(addresses.raw, each, b"recipient"))
        kept = self._go_through(named, resent)
        self.sender = self._sender()
        _refuse_controls(self.sender)
        kept = self._missing({name for name, _ in kept}, resent) + kept
        self.header = b"".join([field for _, field in kept]) + b"\n"

    def _go_through(self, named: "Fields", resent: bool) -> "Fields":
        """The fields that stay, as they stay; collects the recipients."""
        wanted = (RESENT_TO if resent else TO) if self._order.from_header else ()
        kept: Fields = []
        places: dict[bytes, int] = {}           # in `kept`, of those of ONCE that may be added to
        more: dict[int, list[bytes]] = {}       # what is to be added to them
        for name, field in named:
            found = self._parsed(name, field, name in wanted)
            if name in wanted and found:
                for each in found.addresses:
                    self._add(each)
            if name == b"return-path":
                self._return(field)
            elif name in REMOVED or name == self._unwanted(name, resent):
                continue
            elif found is None:
                kept.append((name, field))
            else:
                start = field[:field.index(b":") + 1]
                text = completion.rewrite(fields.value(field), found, self._hosts, len(start))
                self._show(name, found)
                if name in places and text.strip():
                    more.setdefault(places[name], []).append(text)
                elif name not in places:
                    places[name] = len(kept)
                    kept.append((name, start + text + b"\n"))
                if found.is_open or name not in ONCE:
                    places.pop(name, None)
        for place, texts in more.items():
            name, field = kept[place]
            kept[place] = name, _joined(field, texts)
        return kept

    def _parsed(self, name: bytes, field: bytes, needed: bool) -> "addresses.List | None":
        """The addresses of the field, None if it has none or they cannot be understood and are not `needed`."""
        if not needed and name not in REWRITTEN:
            return None
        try:
            return addresses.parse(fields.value(field))
        except addresses.Malformed as why:
            if needed:
                raise Unsendable("%s: %s" % (field.partition(b":")[0].decode("ascii"), why)) from None
            return None

    def _return(self, field: bytes) -> None:
        if self._return_path is None and self._order.sender is None and NO_RETURN_PATH not in self._order.letters:
            self._return_path = self._hosts.envelope(
                self._understood(addresses.one, fields.value(field), b"Return-Path"))

    def _unwanted(self, name: bytes, resent: bool) -> bytes:
        """`name`, if it is that of a field which the letters tell to drop."""
        bare = name.removeprefix(b"resent-") if resent else name
        if resent and bare == name:
            return b""
        if (bare == b"from" and NO_FROM in self._order.letters) or (
                bare == b"message-id" and NO_MESSAGE_ID in self._order.letters):
            return name
        return b""

    def _add(self, address: addresses.Address) -> None:
        recipient = self._hosts.envelope(address)
        key = address.local, self._hosts.complete(address.domain).lower()
        if not recipient or key in self._seen:
            return
        if len(self.recipients) >= RECIPIENT_LIMIT:
            raise Unsendable("more than %d recipients" % RECIPIENT_LIMIT)
        self._seen.add(key)
        self.recipients.append(recipient)

    def _show(self, name: bytes, found: addresses.List) -> None:
        if name in (b"to", b"cc") and self._lists:
            for each in found.addresses:
                address = self._hosts.envelope(each)
                if address:
                    self._shown.setdefault(address.lower(), quoting.quote(address))

    def _sender(self) -> bytes:
        order, writer = self._order, self._writer
        if order.sender is not None:
            if order.sender in (b"", b"<>"):
                return b""
            return self._hosts.envelope(self._understood(addresses.raw, order.sender, b"-f"))
        verp = PER_RECIPIENT in order.letters
        if self._return_path is not None:
            return self._return_path + b"-@[]" if verp and self._return_path else self._return_path
        user = writer.sender_user
        if PER_MESSAGE in order.letters:
            user += b"-" + self._stamp.unique
        host = self._hosts.complete(writer.sender_host)
        return user + b"-@" + host + b"-@[]" if verp else user + b"@" + host

    def _missing(self, names: "set[bytes]", resent: bool) -> "Fields":
        """What goes on top."""
        prefix = b"resent-" if resent else b""
        start = b"Resent-" if resent else b""
        top: Fields = []
        if prefix + b"date" not in names:
            top.append((b"", start + b"Date: %s\n" % self._stamp.date))
        if prefix + b"message-id" not in names:
            top.append((b"", start + b"Message-ID: <%s>\n" % self._stamp.message_id))
        if prefix + b"from" not in names:
            top.append((b"", start + self._from()))
        if prefix + b"to" not in names and prefix + b"cc" not in names:
            top.append((b"", start + NOBODY))
        if not resent and b"mail-followup-to" not in names and any(each in self._shown for each in self._lists):
            top.append((b"", b"Mail-Followup-To: %s\n" % b",\n  ".join(self._shown.values())))
        return top

    def _from(self) -> bytes:
        writer = self._writer
        address = quoting.quote(writer.user + b"@" + self._hosts.complete(writer.host))
        _refuse_controls(address)
        if not writer.name:
            return b"From: %s\n" % address
        if COMMENT in self._order.letters:
            return b"From: %s %s\n" % (address, quoting.comment(writer.name))
        return b"From: %s <%s>\n" % (quoting.phrase(writer.name), address)

    @staticmethod
    def _understood(parse: "object", text: bytes, where: bytes) -> addresses.Address:
        try:
            return parse(text)  # type: ignore[operator, no-any-return]
        except addresses.Malformed as why:
            raise Unsendable("%s: %s" % (where.decode(), why)) from None


def _joined(field: bytes, texts: "list[bytes]") -> bytes:
    """The address field `field` with the lists `texts` behind its own."""
    before = field.rstrip(b", \t\n")
    lists = [core for each in texts[:-1] if (core := each.lstrip(b" \t\n").rstrip(b", \t\n"))]
    comma = b"" if before.endswith(b":") else b","
    return b"%s%s\n %s\n" % (before, comma, b",\n ".join([*lists, texts[-1].strip(b" \t\n")]))


def _refuse_controls(address: bytes) -> None:
    if any(each < 32 or each == 127 for each in address):
        raise Unsendable("a control character in the sender's name or host")
