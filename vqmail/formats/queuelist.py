"""The lines of vq-qread (QMAIL interface 17):

    d Mon yyyy hh:mm:ss GMT  #NUMBER  BYTES  <SENDER> [ bouncing][ todo]
    [  done]\\tlocal\\tADDRESS
    [  done]\\tremote\\tADDRESS

Bytes outside 32..126 show as underscores: a sender cannot forge a line nor move a cursor.  The word todo is ours: the
message was not preprocessed, it may be in its first attempt.
"""

from vqmail.formats import date822, jsonline, paint
from vqmail.record import Record

CHANNEL = (b"local", b"remote")
TABLE = bytes(each if 32 <= each <= 126 else ord("_") for each in range(256))


class Listed(Record):
    """One message as it was found.  `recipients` are (channel, address, whether it is done)."""

    __slots__ = ("number", "birth", "size", "sender", "bouncing", "todo", "recipients")
    number: int
    birth: int
    size: int
    sender: bytes
    bouncing: bool
    todo: bool
    recipients: "list[tuple[int, bytes, bool]]"

    def pending(self) -> int:
        """How many recipients are not done."""
        return sum(not done for _, _, done in self.recipients)


def text(message: Listed, *, colours: bool = False) -> bytes:
    """The lines of one message."""
    date = date822.header(message.birth).rpartition(b" ")[0]
    flags = ((paint.paint(b" bouncing", paint.RED, wanted=colours) if message.bouncing else b"")
             + (paint.paint(b" todo", paint.YELLOW, wanted=colours) if message.todo else b""))
    sender = message.sender.translate(TABLE)
    lines = [b"%s GMT  #%d  %d  <%s> %s\n" % (date, message.number, message.size, sender, flags)]
    for channel, address, done in message.recipients:
        start = paint.paint(b"  done", paint.GREEN, wanted=colours) if done else b""
        lines.append(b"%s\t%s\t%s\n" % (start, CHANNEL[channel], address.translate(TABLE)))
    return b"".join(lines)


def json(message: Listed) -> bytes:
    """One message as a line of JSON."""
    return jsonline.encode({
        b"number": message.number, b"arrived": message.birth, b"bytes": message.size, b"sender": message.sender,
        b"bouncing": message.bouncing, b"todo": message.todo,
        b"recipients": [{b"channel": CHANNEL[channel], b"address": address, b"done": done}
                        for channel, address, done in message.recipients]}) + b"\n"


def trouble(number: int, why: str) -> bytes:
    """The line that stands in the place of a message that cannot be read."""
    return b"warning: trouble with #%d: %s\n" % (number, why.encode("utf-8", "replace").translate(TABLE))


def total(messages: int, pending: int, size: int) -> bytes:
    """The last line, for whoever sits at the terminal."""
    return b"total: %d message%s, %d recipient%s to do, %d bytes\n" % (
        messages, b"" if messages == 1 else b"s", pending, b"" if pending == 1 else b"s", size)
