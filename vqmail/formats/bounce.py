"""A bounce that programs can read (QSBMF; QMAIL interface 9).

    paragraph       <address>:\\n report, no empty line in it, \\n
    message         header, "Hi. This is the", the paragraphs, a break line, the message that came back
"""

from vqmail.formats import quoting

BREAK = b"--- Below this line is a copy of the message.\n\n"
BREAK_DOUBLE = b"--- Below this line is the original bounce.\n\n"
DOUBLE = b"#@[]"                # the sender of a bounce's bounce: when that bounces too, enough is enough


def paragraph(recipient: bytes, report: bytes) -> bytes:
    """What is said of one recipient; always ends with an empty line, and has no other."""
    text = b"<%s>:\n%s" % (recipient.replace(b"\n", b"_"), report)
    while b"\n\n" in text:
        text = text.replace(b"\n\n", b"\n/")
    return text.rstrip(b"\n") + b"\n\n"


def envelope(sender: bytes, double_to: bytes) -> "tuple[bytes, bytes] | None":
    """(sender, recipient) of the bounce of a message from `sender`; None when there is to be none."""
    if sender == DOUBLE:
        return None
    if not sender:
        return DOUBLE, double_to
    if sender.endswith(b"-@[]"):
        return b"", sender.removesuffix(b"-@[]")
    return b"", sender


def beginning(sender: bytes, recipient: bytes, date: bytes, who: bytes, host: bytes, message_id: bytes) -> bytes:
    """The header and the first paragraph; `sender` is the bounce's own, from envelope()."""
    head = (b"Date: %s\nFrom: %s\nTo: %s\nSubject: failure notice\nMessage-ID: <%s>\n"
            b"Auto-Submitted: auto-replied\n\n") % (
        date, quoting.quote(b"%s@%s" % (who, host)), quoting.quote(recipient), message_id)
    if sender == DOUBLE:
        return head + (b"Hi. This is the qmail-send program at %s.\n"
                       b"A bounce that I sent could not be delivered.\n\n" % host)
    return head + (b"Hi. This is the qmail-send program at %s.\n"
                   b"Your message could not be delivered to the addresses below, and I have given up.\n"
                   b"What each of them answered follows its name.\n\n" % host)


def ending(original_sender: bytes) -> bytes:
    """What stands between the paragraphs and the message that came back."""
    line = BREAK if original_sender else BREAK_DOUBLE
    return line + b"Return-Path: <%s>\n" % quoting.quote(original_sender).replace(b"\n", b"_")
