"""Enter one message into the queue right here: in an installation under a single user there is no right to cross."""

import time

from vqmail import codes
from vqmail.formats import envelope
from vqmail.store import queue
from vqmail.unix import calls, log


class Direct:
    """One message, as submit.Submission wants it.  queue.Refused."""

    def __init__(self) -> None:
        uid = calls.getuid()
        self._entry: queue.Entry | None = queue.Entry(uid, b"by uid %d" % uid, calls.getpid(), time.time())
        self._failure = 0
        self._text = b""

    def write(self, data: bytes) -> None:
        """Append to the message."""
        if self._entry is not None and not self._failure:
            try:
                self._entry.write(data)
            except queue.Refused as refused:
                self._failure = refused.code

    def begin(self, text: bytes) -> int:
        """Give the envelope; there is nothing to wait for."""
        self._text = text
        return -1

    def answer(self) -> "tuple[int, int, bytes]":
        """(vq-queue's exit code, qp, no words of its own)."""
        entry, self._entry = self._entry, None
        assert entry is not None
        code = self._failure
        if not code:
            code = enter(entry, self._text)
        else:
            entry.abandon()
        return code, entry.qp, b""

    def close(self) -> None:
        """Let go; what was not finished is not queued."""
        if self._entry is not None:
            self._entry.abandon()


def enter(entry: queue.Entry, text: bytes) -> int:
    """Queue one complete message with the envelope `text`; vq-queue's exit code."""
    try:
        entry.envelope(*envelope.decode(text))
        (_, refused), = queue.commit([entry], None)
    except envelope.TooLong:
        entry.abandon()
        return codes.QUEUE_ADDRESS_TOO_LONG
    except envelope.Unfinished:
        entry.abandon()
        return codes.QUEUE_READ_ERROR
    except ValueError:
        entry.abandon()
        return codes.QUEUE_ENVELOPE_FORMAT
    except queue.Refused as why:
        entry.abandon()
        refused = why
    return refused.code if refused else codes.OK


def descriptors(message: int, recipients: int) -> int:
    """Queue the message and the envelope that come on these descriptors; vq-queue's exit code."""
    uid = calls.getuid()
    try:
        entry = queue.Entry(uid, b"by uid %d" % uid, calls.getpid(), time.time())
    except queue.Refused as refused:
        log.line(b"vq-queue", str(refused))
        return refused.code
    try:
        while piece := calls.read(message, queue.PIECE):
            entry.write(piece)
        collector = envelope.Collector()
        while (piece := calls.read(recipients, queue.PIECE)) and not collector.feed(piece):
            pass
    except queue.Refused as refused:
        log.line(b"vq-queue", str(refused))
        entry.abandon()
        return refused.code
    except envelope.TooLong:
        entry.abandon()
        return codes.QUEUE_ADDRESS_TOO_LONG
    except OSError:
        entry.abandon()
        return codes.QUEUE_READ_ERROR
    return enter(entry, collector.text())
