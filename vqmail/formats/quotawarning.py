"""What a user is told when the mailbox is nearly full, and what a sender is told when it is full."""

from vqmail.formats import date822, header

LIMIT = 8192                    # bytes of the text that a domain's owner wrote
REFUSAL_LIMIT = 1000
NAME = bytes(range(33, 58)) + bytes(range(59, 127))         # what a field name is made of (RFC 5322 2.2)
PRINTABLE = bytes(each if 32 <= each < 127 else ord(" ") for each in range(256))
REFUSAL = b"user is over quota"
TEXT = b"""\
Your mailbox %s is %d per cent full.

When it is full, new mail for you goes back to its senders. Please fetch
and delete, or delete on the server, what you no longer need.
"""


def warning(address: bytes, per_cent: int, own: bytes, now: float, unique: bytes) -> bytes:
    """The message that warns `address`; `own` is the domain owner's text, with a header or without, b"" if there is
    none; `unique` makes its Message-ID."""
    name, _, host = header.safe(address).rpartition(b"@")
    host = host or b"localhost"
    head, text = _parts(own[:LIMIT])
    if not text and not head:
        text = TEXT % (b"%s@%s" % (name, host), per_cent)
    if not _has(head, b"from"):
        head += b"From: postmaster@%s\n" % host
    if not _has(head, b"to"):
        head += b"To: %s@%s\n" % (name, host)
    if not _has(head, b"subject"):
        head += b"Subject: Your mailbox is %d per cent full\n" % per_cent
    if not _has(head, b"date"):
        head += b"Date: " + date822.sent(now) + b"\n"
    if not _has(head, b"message-id"):
        head += b"Message-ID: <%s.%s@%s>\n" % (date822.compact(now), unique, host)
    if not _has(head, b"auto-submitted"):
        head += b"Auto-Submitted: auto-generated\n"         # RFC 3834 5
    return b"Return-Path: <>\n" + head + b"\n" + text


def refusal(own: bytes, *, later: bool) -> str:
    """What is said of a message that does not fit; `own` is the domain owner's text, b"" if there is none."""
    text = b" ".join(own[:REFUSAL_LIMIT].translate(PRINTABLE).split()) or REFUSAL
    return "%s (#%s.2.2)" % (text.decode(), 4 if later else 5)


def _parts(text: bytes) -> "tuple[bytes, bytes]":
    """(header, body); there is no header if the first line is not one of its lines."""
    text = text.replace(b"\r\n", b"\n")
    first, colon, _ = text.partition(b"\n")[0].partition(b":")
    if not colon or not first or first.translate(None, NAME):
        return b"", text
    head, _, body = text.partition(b"\n\n")
    return head.rstrip(b"\n") + b"\n", body


def _has(head: bytes, name: bytes) -> bool:
    return (b"\n" + head.lower()).find(b"\n" + name + b":") >= 0
