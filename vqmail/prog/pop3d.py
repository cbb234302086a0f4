"""vq-pop3d: let a POP3 client fetch and delete the messages of a maildir.

SYNOPSIS    vq-pop3d maildir

READS       0   the client, who has logged in already
            maildir, relative to the home in which the program is started
WRITES      1   the client
            2   the log: one line at the end of the session

Lists new/ and cur/ in the order of arrival; sizes are octets as they go over the line.  Messages are
deleted by QUIT and by nothing else: a connection that breaks changes nothing.  What was listed and not
deleted counts as seen.

ENVIRONMENT USER TCPREMOTEIP    for the log

EXIT        0   the session is over, however it ended
            1   started as root
            100 wrong usage

RUNS AS     the user

STANDARDS   RFC 1939, 2449, 1939's LAST as qmail-pop3d(8) has it
"""

import time

from vqmail import codes
from vqmail.formats import header, wire
from vqmail.proto import pop3
from vqmail.store import mailbox
from vqmail.unix import calls, log, timed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

SECONDS = 1200
ROOT = 1
GATHER = 32768                  # bytes of replies that are sent together
SLICE = 4096                    # what a descriptor that is ready takes at once


def main(argv: "list[bytes]", env: "Env") -> int:
    """Serve the client until the end."""
    if len(argv) != 2:
        raise codes.GiveUp("usage: vq-pop3d maildir")
    if calls.getuid() == 0:
        log.line(b"vq-pop3d", "not as root: vq-checkpassword starts this program as the user")
        _refuse(pop3.NO_MAILDIR)
        return ROOT
    who = b"pid %d from %s user %s" % (
        calls.getpid(), header.safe(env.get(b"TCPREMOTEIP", b"unknown")), env.get(b"USER", b"?"))
    try:
        box = mailbox.Mailbox(argv[1])
    except OSError as error:
        log.line(b"vq-pop3d", b"%s cannot open %s: %s" % (who, argv[1], str(error.strerror).encode()))
        _refuse(pop3.NO_MAILDIR)
        return codes.OK
    box.clean(time.time())
    session = Session(box)
    try:
        how = session.serve()
    except TimeoutError:
        how = b"timeout"
    except OSError:
        how = b"lost"
    log.line(b"vq-pop3d", b"%s end %s messages %d retrieved %d deleted %d" % (
        who, how, len(box.messages), session.retrieved, session.deleted))
    return codes.OK


def _refuse(text: bytes) -> None:
    try:
        Output().now(text)
    except OSError:
        return


class Output:
    """Replies on their way to the client: those to commands that came together leave together (RFC 2449 6.8)."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, text: bytes) -> None:
        """Say `text`, soon."""
        self._parts.append(text)
        self._size += len(text)
        if self._size >= GATHER:
            self.flush()

    def flush(self) -> None:
        """Send what was said."""
        text, self._parts, self._size = b"".join(self._parts), [], 0
        for at in range(0, len(text), SLICE):
            timed.write_all(1, text[at:at + SLICE], SECONDS)

    def now(self, text: bytes) -> None:
        """Say `text` at once."""
        self.add(text)
        self.flush()


class Session:
    """The TRANSACTION state over one mailbox."""

    def __init__(self, box: mailbox.Mailbox) -> None:
        self.retrieved = self.deleted = 0
        self._box = box
        self._output = Output()
        self._last = 0
        self._rest = b""

    def serve(self) -> bytes:
        """Answer until QUIT; how it ended."""
        self._output.now(pop3.OK)               # the answer to PASS
        while True:
            data = timed.read(0, 4096, SECONDS)
            if not data:
                return b"lost"
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                command = pop3.command(line) if len(line) < pop3.LINE_LIMIT else pop3.Reply(pop3.TOO_LONG)
                if isinstance(command, pop3.Reply):
                    self._output.add(command.text)
                elif command.verb == b"QUIT":
                    self._quit()
                    return b"quit"
                else:
                    HANDLERS[command.verb](self, command)
            if len(self._rest) > pop3.LINE_LIMIT:
                self._output.now(pop3.TOO_LONG)
                return b"line-too-long"
            self._output.flush()

    def _quit(self) -> None:
        failed = self._box.finish()
        if failed:
            self._output.add(pop3.NOT_ALL_DELETED)
        else:
            self._output.add(pop3.BYE)
        self._output.flush()

    def _stat(self, _: pop3.Command) -> None:                                       # RFC 1939 5
        here = [each for each in self._box.messages if not each.deleted]
        self._output.add(b"+OK %d %d\r\n" % (len(here), sum(self._octets(each) for each in here)))

    def _list(self, command: pop3.Command) -> None:
        self._table(command, lambda each: b"%d" % self._octets(each))

    def _uidl(self, command: pop3.Command) -> None:                                 # RFC 1939 7
        self._table(command, mailbox.unique_id)

    def _table(self, command: pop3.Command, tell: "object") -> None:
        if command.number is not None:
            message = self._message(command.number)
            if message is not None:
                self._output.add(b"+OK %d %s\r\n" % (command.number, tell(message)))  # type: ignore[operator]
            return
        self._output.add(b"+OK \r\n")
        for number, message in enumerate(self._box.messages, 1):
            if not message.deleted:
                self._output.add(b"%d %s\r\n" % (number, tell(message)))  # type: ignore[operator]
        self._output.add(b".\r\n")

    def _retr(self, command: pop3.Command) -> None:
        assert command.number is not None
        message = self._message(command.number)
        if message is None:
            return
        try:
            pieces = self._box.pieces(message)
            first = next(pieces, b"")
            self._output.add(b"+OK %d octets\r\n" % self._octets(message))
            self.retrieved += command.verb == b"RETR"
            self._last = max(self._last, command.number)
            self._send(first, pieces, command.lines)
        except (mailbox.Gone, FileNotFoundError):
            self._output.add(pop3.GONE)

    def _send(self, first: bytes, pieces: "object", lines: "int | None") -> None:
        stuffer = wire.Stuffer()
        piece = first
        head = b""
        while piece:
            if lines is not None:
                head += piece
                end = _end_of_top(head, lines)
                if end is not None:
                    self._output.add(stuffer.feed(head[:end]))
                    break
            else:
                self._output.add(stuffer.feed(piece))
            piece = next(pieces, b"")  # type: ignore[call-overload]
        else:
            self._output.add(stuffer.feed(head))
        self._output.add(stuffer.end())

    def _dele(self, command: pop3.Command) -> None:
        assert command.number is not None
        message = self._message(command.number)
        if message is not None:
            message.deleted = True
            self.deleted += 1
            self._last = max(self._last, command.number)
            self._output.add(pop3.OK)

    def _noop(self, _: pop3.Command) -> None:
        self._output.add(pop3.OK)

    def _rset(self, _: pop3.Command) -> None:
        for each in self._box.messages:
            each.deleted = False
        self._last = self.deleted = 0
        self._output.add(pop3.OK)

    def _last_seen(self, _: pop3.Command) -> None:
        self._output.add(b"+OK %d\r\n" % self._last)

    def _capa(self, _: pop3.Command) -> None:
        self._output.add(pop3.multiline(b"what I can do", pop3.CAPABILITIES))

    def _message(self, number: int) -> "mailbox.Message | None":
        """Message `number`; None after saying why there is none."""
        if number == 0:
            self._output.add(pop3.FROM_ONE)
        elif number > len(self._box.messages):
            self._output.add(pop3.NOT_SO_MANY)
        elif self._box.messages[number - 1].deleted:
            self._output.add(pop3.DELETED)
        else:
            return self._box.messages[number - 1]
        return None

    def _octets(self, message: mailbox.Message) -> int:
        try:
            return self._box.octets(message)
        except (mailbox.Gone, OSError):         # gone since the start: RETR will say so
            return 0


HANDLERS = {b"STAT": Session._stat, b"LIST": Session._list, b"UIDL": Session._uidl, b"RETR": Session._retr,
            b"TOP": Session._retr, b"DELE": Session._dele, b"NOOP": Session._noop, b"RSET": Session._rset,
            b"LAST": Session._last_seen, b"CAPA": Session._capa}


def _end_of_top(text: bytes, lines: int) -> "int | None":
    """Where the header, its empty line and `lines` lines of the body end in `text`; None if that is not in it yet."""
    at = 0 if text.startswith(b"\n") else text.find(b"\n\n") + 1
    if text.startswith(b"\r\n"):
        at = 0
    elif at == 0 and not text.startswith(b"\n"):
        crlf = text.find(b"\r\n\r\n")
        if crlf < 0:
            return None
        at = crlf + 2
    end = text.find(b"\n", at) + 1              # the empty line
    for _ in range(lines):
        following = text.find(b"\n", end) + 1
        if following == 0:
            return None
        end = following
    return end
