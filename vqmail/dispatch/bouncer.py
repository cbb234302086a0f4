"""Bounces: a paragraph for each recipient that failed, one message when all are done (QMAIL interface 9)."""

import time

from vqmail import codes
from vqmail.formats import bounce, date822, sendlog
from vqmail.store import control, queue, submit
from vqmail.unix import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env


class Bouncer:
    """Who bounces come from, and where those that bounce themselves go."""

    def __init__(self, env: "Env") -> None:
        self._env = env
        self._who = control.line(b"bouncefrom")
        self._host = control.line(b"bouncehost")
        self._double_to = b"%s@%s" % (control.line(b"doublebounceto"), control.line(b"doublebouncehost"))

    def add(self, number: int, recipient: bytes, report: bytes) -> None:
        """Note that `recipient` failed for good; on the disk when this returns, OSError if it cannot be."""
        queue.add_bounce(number, bounce.paragraph(recipient, report))

    def send(self, number: int, sender: bytes) -> "list[bytes]":
        """Queue the bounce of message `number`, if anything of it failed, and remove its paragraphs.

        Returns log lines.  OSError if it could not be queued; then nothing is changed.
        """
        paragraphs = queue.read_bounce(number)
        if paragraphs is None:
            return []
        envelope = bounce.envelope(sender, self._double_to)
        if envelope is None:
            queue.remove_bounce(number)
            return [sendlog.triple(number)]
        bounce_sender, recipient = envelope
        now = time.time()
        message_id = b"%d.%d.bounce@%s" % (now, number, self._host)
        try:
            with submit.Submission(self._env) as message:
                message.write(bounce.beginning(bounce_sender, recipient, date822.header(now), self._who, self._host,
                                               message_id))
                message.write(paragraphs)
                message.write(bounce.ending(sender))
                self._copy(number, message)
                answer = message.finish(bounce_sender, [recipient])
                qp = message.qp
        except codes.Failure as failure:
            raise OSError(0, str(failure)) from None
        if answer:
            raise OSError(0, answer[1:].decode("ascii", "replace"))
        queue.remove_bounce(number)
        return [sendlog.bounced(number, qp)]

    def _copy(self, number: int, message: submit.Submission) -> None:
        file = calls.open(queue.split(b"mess", number), calls.O_RDONLY | calls.O_CLOEXEC)
        try:
            while data := calls.read(file, queue.PIECE):
                message.write(data)
        finally:
            calls.close(file)
