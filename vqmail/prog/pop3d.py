"""vq-pop3d: let a POP3 client fetch and delete the messages of a maildir.

SYNOPSIS    vq-pop3d maildir

READS       0   the client, who has logged in already
            maildir, relative to the home in which the program is started
            (made if it is missing: a user may log in before the first message comes)
WRITES      1   the client
            2   the log: one line at the end of the session
            maildir

Lists new/ and cur/ in the order of arrival; sizes are octets as they go over the line.  Messages are
deleted by QUIT and by nothing else: a connection that breaks changes nothing.  What was listed and not
deleted counts as seen.  A message that another program renames meanwhile is found again.

A message whose name tells its octets (,W=) is not opened before it is fetched.  What has to be counted
is kept in the file vqpop3sizes of maildir; of messages that have ,S= alone, the size of the file, no
more than 1000 are counted in a session, and that size does for the others.

UIDL has the name of the file, as qmail-pop3d's.  The file uidlstyle in maildir, or control/uidlstyle,
may say `tpop3d` (the MD5 of that) or `dovecot` (what dovecot-uidlist says, which is kept in vqpop3uidl).

With control/logindelay a user who comes again too soon is told so, and nothing else.

ENVIRONMENT USER TCPREMOTEIP VQ_PID     for the log: who it is, and the connection's number where that is not ours

CONTROL FILES
            logindelay popexpire uidlstyle

EXIT        0   the session is over, however it ended; or there was none, for there is no maildir or a control
                file cannot be read, and the client was told
            1   started as root: the client was told nothing, vq-popup does that
            100 wrong usage: the same

RUNS AS     the user

STANDARDS   RFC 1939, 2449 (EXPIRE, LOGIN-DELAY), 3206, 6856 (messages go as they are); RFC 1460's LAST; qmail-pop3d(8)
"""

import time

from vqmail import codes
from vqmail.formats import header, wire
from vqmail.proto import pop3
from vqmail.store import control, mailbox, maildir, popfile
from vqmail.unix import calls, fd, log, send, timed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vqmail.unix.chain import Env

SECONDS = 1200                  # without a command, then the session is over (RFC 1939 3: at least 600)
PIECE = 4096                    # bytes of one read
GATHER = 65536                  # bytes of replies that are sent together
ROOT = 1


class Unreadable(Exception):
    """A message, or what is left of it, cannot be read."""


def main(argv: "list[bytes]", env: "Env") -> int:
    """Serve the client until the end."""
    if len(argv) != 2:
        raise codes.GiveUp("usage: vq-pop3d maildir")
    name = log.name_of(argv)
    if calls.getuid() == 0:
        log.line(name, "not as root: vq-checkpassword starts this program as the user")
        return ROOT
    who = b"pid %s from %s user %s" % (
        env.get(b"VQ_PID") or b"%d" % calls.getpid(), header.safe(env.get(b"TCPREMOTEIP", b"unknown")),
        env.get(b"USER", b"?"))
    client = send.Sender(1)
    try:
        delay = control.number(b"logindelay")
        keeps = pop3.keeps(control.line(b"popexpire"), delay)
        box = _open(argv[1])
        early = delay > 0 and popfile.too_soon(argv[1].rstrip(b"/") + b"/", delay, time.time())
    except codes.Failure as failure:
        log.line(name, b"%s %s" % (who, str(failure).encode("utf-8", "replace")))
        _try_to_say(client, pop3.TRY_LATER)
    except OSError as error:
        log.line(name, b"%s cannot list %s: %s" % (who, argv[1], _reason(error)))
        _try_to_say(client, pop3.NO_MAILDIR)
    else:
        if early:
            log.line(name, b"%s refused: it logged in less than %d seconds ago" % (who, delay))
            _try_to_say(client, pop3.TOO_SOON % delay)
            return codes.OK
        box.clean(time.time())
        session = Session(box, client, keeps, lambda text: log.line(name, b"%s %s" % (who, text)))
        how = session.serve()
        box.keep()
        log.line(name, b"%s end %s messages %d retrieved %d deleted %d" % (
            who, how, box.count, session.retrieved, session.removed))
    finally:
        client.close()
    return codes.OK


def _open(path: bytes) -> mailbox.Mailbox:
    """The mailbox; a new user's, who has no mail yet, is made, as delivery would make it."""
    try:
        return mailbox.Mailbox(path)
    except FileNotFoundError:
        maildir.make(path.rstrip(b"/"))
        return mailbox.Mailbox(path)


class Session:
    """The TRANSACTION state over one mailbox.  `complain` writes to the log."""

    def __init__(self, box: mailbox.Mailbox, client: send.Sender, keeps: "list[bytes]",
                 complain: "Callable[[bytes], None]") -> None:
        self.retrieved = self.removed = 0
        self._box = box
        self._client = client
        self._complain = complain
        self._state = pop3.Transaction(box.count, keeps)
        self._lines = pop3.Lines()
        self._parts: list[bytes] = []
        self._size = 0

    def serve(self) -> bytes:
        """Answer until the end; how it ended."""
        try:
            self._say(pop3.OK)                                          # the answer to PASS
            while True:
                line = self._next_line()
                if line is None:
                    return b"lost"
                wanted = self._state.command(line)
                if isinstance(wanted, pop3.Quit):
                    self._quit()
                    return b"quit"
                self._answer(wanted)
        except pop3.LineTooLong:
            _try_to_say(self._client, b"".join(self._parts) + pop3.TOO_LONG)
            return b"line-too-long"
        except TimeoutError:                                            # in silence: RFC 1939 3
            return b"timeout"
        except Unreadable as error:             # in the middle of a message: all we can do is not to end it
            self._complain(str(error).encode())
            return b"unreadable"
        except OSError:
            return b"lost"

    def _next_line(self) -> "bytes | None":
        """The client's next line, None at the end."""
        while (line := self._lines.next()) is None:
            self._flush()               # what was asked together is answered together (RFC 2449 6.8)
            data = timed.read(0, PIECE, SECONDS)
            if not data:
                return None
            self._lines.receive(data)
        return line

    def _answer(self, wanted: object) -> None:
        box = self._box
        if isinstance(wanted, pop3.Reply):
            self._say(wanted.text)
        elif isinstance(wanted, pop3.Stat):                             # RFC 1939 5
            here = list(self._state.here())
            self._say(pop3.OK_NUMBERS % (len(here), sum(map(box.octets, here))))
        elif isinstance(wanted, pop3.List):
            self._table(wanted.index, pop3.NUMBERS, box.octets)
        elif isinstance(wanted, pop3.Uidl):                             # RFC 1939 7
            try:
                ids = box.unique_ids()
            except codes.TryLater as error:     # better none than others: clients would fetch all mail again
                self._complain(str(error).encode())
                self._say(pop3.TRY_LATER)
            else:
                self._table(wanted.index, pop3.NUMBER_AND_NAME, ids.__getitem__)
        elif isinstance(wanted, pop3.Retrieve):
            self._retrieve(wanted)

    def _table(self, index: "int | None", form: bytes, tell: "Callable[[int], int | bytes]") -> None:
        if index is not None:
            self._say(b"+OK " + form % (index + 1, tell(index)))
            return
        self._say(pop3.OK)
        for each in self._state.here():
            self._say(form % (each + 1, tell(each)))
        self._say(pop3.END)

    def _retrieve(self, wanted: pop3.Retrieve) -> None:
        number = -1
        try:
            number = self._box.open(wanted.index)
            pieces = _pieces(number)
            piece = next(pieces, b"")
        except (OSError, Unreadable) as error:
            self._complain(b"message %d: %s" % (wanted.index + 1, _reason(error)))
            self._say(pop3.GONE)
        else:
            self._say(pop3.OCTETS % self._box.octets(wanted.index))
            self._send(piece, pieces, None if wanted.lines is None else wire.Top(wanted.lines))
            self.retrieved += wanted.verb == b"RETR"
        finally:
            if number >= 0:
                calls.close(number)

    def _send(self, piece: bytes, following: "Iterator[bytes]", top: "wire.Top | None") -> None:
        stuffer = wire.Stuffer()
        while piece:
            self._say(stuffer.feed(piece if top is None else top.feed(piece)))
            if top is not None and top.complete:
                break
            piece = next(following, b"")
        self._say(stuffer.end())

    def _quit(self) -> None:                                            # RFC 1939 6
        failures = self._box.finish(self._state.deleted)
        self.removed = max(len(self._state.deleted) - len(failures), 0)
        if failures:
            self._complain(b"%d messages could not be removed: %s" % (len(failures), _reason(failures[0])))
        self._say(pop3.NOT_ALL_DELETED if failures else pop3.BYE)
        self._flush()

    def _say(self, text: bytes) -> None:
        """Send `text`, soon."""
        self._parts.append(text)
        self._size += len(text)
        if self._size >= GATHER:
            self._flush()

    def _flush(self) -> None:
        text, self._parts, self._size = b"".join(self._parts), [], 0
        self._client.write_all(text, SECONDS)


def _pieces(number: int) -> "Iterator[bytes]":
    try:
        yield from fd.pieces(number)
    except OSError as error:
        raise Unreadable(error.strerror) from None


def _reason(error: Exception) -> bytes:
    return str(getattr(error, "strerror", None) or error).encode()


def _try_to_say(client: send.Sender, text: bytes) -> None:
    try:
        client.write_all(text, 1)
    except OSError:
        return
