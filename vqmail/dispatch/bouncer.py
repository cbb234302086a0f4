"""What is written to senders: bounces, when all recipients are done, and that a message waits (QMAIL interface 9)."""

import time

from vqmail import codes
from vqmail.formats import bounce, date822, dsn, header, quoting, sendlog
from vqmail.store import control, lost, queue, queued, submit
from vqmail.unix import calls, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vqmail.unix.chain import Env

HEADER_LIMIT = 1 << 20          # bytes of a header that goes back without its message


class Bouncer:
    """Who bounces come from, where those that bounce themselves go, and how much of the message they carry."""

    def __init__(self, env: "Env") -> None:
        self._env = env
        self._host = control.line(b"bouncehost")
        self._from = b"%s@%s" % (control.line(b"bouncefrom"), self._host)
        to = control.line(b"doublebounceto")
        self._double_to = b"%s@%s" % (to, control.line(b"doublebouncehost")) if to else b""
        self._limit = control.number(b"bouncemaxbytes")

    def add(self, number: int, recipient: bytes, report: bytes) -> None:
        """Note that `recipient` failed for good; on the disk when this returns, OSError if it cannot be."""
        queued.add_bounce(number, bounce.paragraph(recipient, report))

    def send(self, number: int, sender: bytes, birth: int) -> "list[bytes]":
        """Queue the bounce of message `number`, if anything of it failed, and remove its paragraphs.

        Returns log lines.  OSError if it could not be queued; then nothing is changed.
        """
        try:
            paragraphs = queued.open_bounce(number)
        except FileNotFoundError:
            return []
        try:
            envelope = bounce.envelope(sender, self._double_to)
            if sender == bounce.DOUBLE:
                lines = self._keep(number, paragraphs, birth)
            elif envelope is None:
                lines = [sendlog.double(number)]
            else:
                with _Original(number, bounce.person(sender), self._limit) as original:
                    qp = self._queue(*envelope, self._bounce(envelope, original, paragraphs, birth))
                lines = [sendlog.bounced(number, qp)]
        finally:
            calls.close(paragraphs)
        queued.remove_bounce(number)
        return lines

    def delay(self, number: int, sender: bytes, birth: int, until: int,
              waiting: "list[tuple[bytes, bytes]]") -> "list[bytes]":
        """Tell the sender of message `number` who has not got it yet: `waiting`, addresses with their last reports.

        Returns log lines; none when the message is such that nobody wants to know.  OSError as with send().
        """
        if not sender or sender == bounce.DOUBLE or sender != bounce.person(sender):
            return []
        with _Original(number, sender, -1) as original:
            if dsn.is_automatic(original.header):
                return []
            return [sendlog.delayed(number, self._queue(b"", sender, self._delay(original, birth, until, waiting)))]

    def _keep(self, number: int, paragraphs: int, birth: int) -> "list[bytes]":
        """Put aside what can go to nobody; log lines."""
        envelope = (bounce.DOUBLE, self._double_to or self._from)
        with _Original(number, bounce.DOUBLE, lost.SIZE) as original:
            try:
                path = lost.keep(int(time.time()), number, _blocks(self._bounce(envelope, original, paragraphs, birth)))
            except FileNotFoundError:           # an installation of old, or the queue of qmail
                return [sendlog.triple(number), sendlog.alert(
                    "a bounce that even the postmaster did not get is lost: no queue/lost; run setup")]
        return [sendlog.triple(number), sendlog.alert(
            "a bounce that even the postmaster did not get is kept in %s; see control/doublebounceto" % path.decode(
                "utf-8", "replace"))]

    def _bounce(self, envelope: "tuple[bytes, bytes]", original: "_Original", paragraphs: int,
                birth: int) -> "Iterator[bytes]":
        sender, recipient = envelope
        double = sender == bounce.DOUBLE
        plain = all(each.isascii() for each in fd.pieces(paragraphs))
        boundary = self._boundary()
        yield self._header(recipient, bounce.SUBJECT, boundary, plain=plain and original.plain)
        yield bounce.preamble(self._host)
        yield dsn.part(boundary, dsn.text_type(plain=plain), plain=plain)
        yield bounce.introduction(self._host, double=double)
        yield from fd.pieces(paragraphs)
        yield bounce.break_line(original.kind, double=double)
        yield dsn.part(boundary, dsn.STATUS, plain=True)
        yield dsn.about_message(self._host, date822.header(birth), original.number, original.sender)
        for address, report in bounce.paragraphs(fd.pieces(paragraphs)):
            yield dsn.failed(address, report)
        yield from original.part(boundary)

    def _delay(self, original: "_Original", birth: int, until: int,
               waiting: "list[tuple[bytes, bytes]]") -> "Iterator[bytes]":
        plain = all(address.isascii() and report.isascii() for address, report in waiting)
        boundary = self._boundary()
        yield self._header(original.sender, dsn.DELAY_SUBJECT, boundary, plain=plain and original.plain)
        yield dsn.part(boundary, dsn.text_type(plain=plain), plain=plain)
        yield dsn.delay_text(self._host, date822.header(until), waiting)
        yield dsn.part(boundary, dsn.STATUS, plain=True)
        yield dsn.about_message(self._host, date822.header(birth), original.number, original.sender)
        for address, report in waiting:
            yield dsn.delayed(address, report, date822.header(until))
        yield from original.part(boundary)

    def _boundary(self) -> bytes:
        """Nobody can have known it when he wrote what stands between: 128 random bits."""
        return b"=_%s" % calls.urandom(16).hex().encode()

    def _header(self, recipient: bytes, subject: bytes, boundary: bytes, *, plain: bool) -> bytes:
        now = time.time()
        message_id = b"%d.%s.bounce@%s" % (now, calls.urandom(6).hex().encode(), self._host)
        return dsn.header(date822.header(now), self._from, recipient, subject, message_id, boundary, plain=plain)

    def _queue(self, sender: bytes, recipient: bytes, pieces: "Iterable[bytes]") -> int:
        """Queue a message of ours; its qp.  OSError if that cannot be done."""
        try:
            with submit.Submission(self._env) as message:
                for each in _blocks(pieces):
                    message.write(each)
                answer = message.finish(sender, [recipient])
                qp = message.qp
        except codes.Failure as failure:
            raise OSError(0, str(failure)) from None
        if answer:
            raise OSError(0, answer[1:].decode("ascii", "replace"))
        return qp


class _Original:
    """mess/N as it goes back: all of it, or its header if it is longer than `limit` bytes (0: never, -1: always)."""

    def __init__(self, number: int, sender: bytes, limit: int) -> None:
        self.number = number
        self.sender = sender
        self._file = calls.open(queue.split(b"mess", number), calls.O_RDONLY | calls.O_CLOEXEC)
        self.header = b""
        self.kind = dsn.WHOLE
        try:
            if limit and calls.fstat(self._file).st_size > limit:
                self.kind = dsn.HEADER
                self.header = _header(self._file, min(limit, HEADER_LIMIT) if limit > 0 else HEADER_LIMIT)
            self.plain = sender.isascii() and all(each.isascii() for each in self._pieces())
        except OSError:
            calls.close(self._file)
            raise

    def __enter__(self) -> "_Original":
        return self

    def __exit__(self, *_: object) -> None:
        calls.close(self._file)

    def part(self, boundary: bytes) -> "Iterator[bytes]":
        """The last part of the notification."""
        yield dsn.part(boundary, self.kind, plain=self.plain)
        yield header.return_path(quoting.quote(self.sender))
        yield from self._pieces()
        yield dsn.end(boundary)

    def _pieces(self) -> "Iterable[bytes]":
        return fd.pieces(self._file) if self.kind == dsn.WHOLE else [self.header]


def _header(file: int, limit: int) -> bytes:
    """The header of the message open as `file`; of one that is longer than `limit` the lines that fit."""
    found = header.Header(limit)
    for piece in fd.pieces(file):
        found.feed(piece)
        if found.complete:
            break
    text = found.text[:limit]
    return text if text.endswith(b"\n") else text[:text.rfind(b"\n") + 1]


def _blocks(pieces: "Iterable[bytes]") -> "Iterator[bytes]":
    """The same bytes in fewer pieces: each may become a system call."""
    gathered: list[bytes] = []
    size = 0
    for each in pieces:
        gathered.append(each)
        size += len(each)
        if size >= queue.PIECE:
            yield b"".join(gathered)
            gathered, size = [], 0
    yield b"".join(gathered)
