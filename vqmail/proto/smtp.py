"""One SMTP session, the server's side (RFC 5321, 1870, 2034, 2920, 6152).

receive() takes what the client sent, next_event() says what it wants, and whoever drives the session answers:

    event           answer
    NEED_DATA       send output(), wait for the client, receive()
    Mail, Rcpt      accept() or refuse(reply)
    Data            accept() or refuse(reply): may the message come?
    Text            none: a piece of the message
    End             finish(reply)
    Closed          none: send output() and close; nothing more is ever read

The machine decides nothing about mail, but it does keep the order of commands and the limits of lines.
"""

from vqmail.proto import data, path, reply
from vqmail.record import Record

LINE_LIMIT = 4096               # bytes of a command with its end; 512 must be allowed           RFC 5321 4.5.3.1.4
RECIPIENTS_LIMIT = 20_000       # of one message; 100 must be allowed                            RFC 5321 4.5.3.1.8
ERRORS_LIMIT = 20               # commands without sense since the last message


class Mail(Record):
    """The client wants to send a message from `sender`."""

    __slots__ = ("sender",)
    sender: bytes


class Rcpt(Record):
    """The client wants it to go to `recipient` too."""

    __slots__ = ("recipient",)
    recipient: bytes


class Data(Record):
    """Sender and recipients are known; the client wants to send the message."""


class Text(Record):
    """A piece of the message, its lines ending in LF."""

    __slots__ = ("text",)
    text: bytes


class End(Record):
    """The message is complete."""


class Closed(Record):
    """The session is over; `reason` is a word for the log."""

    __slots__ = ("reason",)
    reason: bytes


class NeedData(Record):
    """There is no more in what was received."""


NEED_DATA = NeedData()
DATA = Data()
END = End()
QUIT = Closed(b"quit")
BARE_NEWLINE = Closed(b"bare-newline")
TOO_MANY_ERRORS = Closed(b"too-many-errors")
EARLY_DATA = Closed(b"early-data")


class Session:
    """One connection.  `helo`, `extended`, `sender` (None before MAIL), `size` (0 unless MAIL announced one) and
    `recipients` say where it stands."""

    def __init__(self, greeting: bytes, size_limit: int = 0) -> None:
        self.helo = b""
        self.extended = False
        self.sender: bytes | None = None
        self.recipients: list[bytes] = []
        self.size = 0
        self._greeting = greeting
        self._size_limit = size_limit
        self._buffer = b""
        self._at = 0                        # the start of the next command in it
        self._skipping = False              # within a line that is too long
        self._content: data.Content | None = None
        self._asked: Mail | Rcpt | Data | End | None = None
        self._closed: Closed | None = None
        self._errors = 0
        self._output = [reply.GREETING % greeting]

    # ---- what the driver says ----

    def receive(self, received: bytes) -> None:
        """Take what came from the client."""
        if self._closed is None:
            self._buffer, self._at = self._buffer[self._at:] + received, 0

    def output(self) -> bytes:
        """All replies since the last call, in one piece (RFC 2920 3.2)."""
        text = b"".join(self._output)
        self._output.clear()
        return text

    def accept(self, recipient: "bytes | None" = None) -> None:
        """Yes to the last Mail, Rcpt or Data; `recipient` is what to write down instead of what the client said."""
        asked, self._asked = self._asked, None
        if isinstance(asked, Mail):
            self.sender = asked.sender
            self._output.append(reply.MAIL_OK)
        elif isinstance(asked, Rcpt):
            self.recipients.append(asked.recipient if recipient is None else recipient)
            self._output.append(reply.RCPT_OK)
        else:
            self._content = data.Content()
            self._output.append(reply.GO_AHEAD)

    def refuse(self, answer: bytes) -> None:
        """No to the last Mail, Rcpt or Data."""
        asked, self._asked = self._asked, None
        self._output.append(answer)
        if isinstance(asked, Data):
            self._reset()
            self._no_early_data()

    def finish(self, answer: bytes) -> None:
        """Say what became of the message after End."""
        self._asked = None
        self._errors = 0
        self._output.append(answer)
        self._reset()

    # ---- what the client says ----

    def next_event(self) -> Record:
        """What the client wants next, or NEED_DATA, or Closed for ever."""
        while self._closed is None:
            if self._asked is not None:
                return self._asked                      # not answered yet
            if self._content is not None:
                event = self._more_content(self._content)
                if event is not None:
                    return event
                continue
            end = self._buffer.find(b"\n", self._at)
            if end < 0:
                return self._unfinished_line()
            line, self._at = self._buffer[self._at:end], end + 1
            if self._skipping:
                self._skipping = False                  # the end of what was complained about
            elif len(line) >= LINE_LIMIT:
                self._bad(reply.LINE_TOO_LONG)
            else:
                verb, _, argument = line.removesuffix(b"\r").partition(b" ")
                COMMANDS.get(verb.upper(), Session._unknown)(self, argument.strip(b" "))
        return self._closed

    def _unfinished_line(self) -> Record:
        if len(self._buffer) - self._at > LINE_LIMIT:
            self._buffer, self._at = b"", 0
            if not self._skipping:
                self._skipping = True
                self._bad(reply.LINE_TOO_LONG)
        return self._closed or NEED_DATA

    def _more_content(self, content: data.Content) -> "Record | None":
        if content.rest is not None:                    # its last piece was given, now its end
            self._buffer, self._at, self._content = content.rest, 0, None
            self._asked = END
            return END
        if self._at == len(self._buffer):
            return NEED_DATA
        received, self._buffer, self._at = self._buffer[self._at:], b"", 0
        try:
            text = content.feed(received)
        except data.BareNewline:
            self._close(BARE_NEWLINE, reply.BARE_NEWLINE)
            return None
        return Text(text) if text else None

    def _ehlo(self, argument: bytes) -> None:                                   # RFC 5321 4.1.1.1
        self._hello(argument, reply.EHLO % (self._greeting, self._size_limit))
        self.extended = True

    def _helo(self, argument: bytes) -> None:                                   # RFC 5321 4.1.1.1
        self._hello(argument, reply.HELO % self._greeting)
        self.extended = False

    def _hello(self, argument: bytes, answer: bytes) -> None:
        self._reset()
        self.helo = argument
        self._output.append(answer)

    def _mail(self, argument: bytes) -> None:                                   # RFC 5321 4.1.1.2
        self._reset()                       # a second MAIL starts again, and what follows a bad one is not the first's
        try:
            sender = path.reverse(argument)
            for keyword, value in sender.parameters:
                self._mail_parameter(keyword, value)
            self._asked = Mail(sender.address)
        except path.Refused as refused:
            self._output.append(refused.reply)

    def _mail_parameter(self, keyword: bytes, value: bytes) -> None:
        if keyword == b"SIZE":                                                  # RFC 1870 4
            if not value.isdigit() or len(value) > 20:
                raise path.Refused(reply.PARAMETER_VALUE)
            if self._size_limit and int(value) > self._size_limit:              # RFC 1870 6.1
                raise path.Refused(reply.TOO_BIG)
            self.size = int(value)
        elif keyword == b"BODY":                                                # RFC 6152 2
            if value.upper() not in (b"7BIT", b"8BITMIME"):
                raise path.Refused(reply.PARAMETER_VALUE)
        else:
            raise path.Refused(reply.PARAMETER)                                 # RFC 5321 4.1.1.11

    def _rcpt(self, argument: bytes) -> None:                                   # RFC 5321 4.1.1.3
        if self.sender is None:
            self._output.append(reply.MAIL_FIRST)
            return
        try:
            recipient = path.forward(argument)
            if recipient.parameters:
                raise path.Refused(reply.PARAMETER)
            if len(self.recipients) >= RECIPIENTS_LIMIT:
                raise path.Refused(reply.TOO_MANY_RECIPIENTS)                   # RFC 5321 4.5.3.1.10
            self._asked = Rcpt(recipient.address)
        except path.Refused as refused:
            self._output.append(refused.reply)

    def _data(self, argument: bytes) -> None:                                   # RFC 5321 4.1.1.4
        if argument:
            self._refuse_data(reply.SYNTAX)
        elif self.sender is None:
            self._refuse_data(reply.MAIL_FIRST)
        elif not self.recipients:
            self._refuse_data(reply.RCPT_FIRST)
        else:
            self._asked = DATA

    def _rset(self, _argument: bytes) -> None:                                  # RFC 5321 4.1.1.5
        self._reset()
        self._output.append(reply.FLUSHED)

    def _vrfy(self, _argument: bytes) -> None:                                  # RFC 5321 3.5.3
        self._output.append(reply.VRFY)

    def _help(self, _argument: bytes) -> None:                                  # RFC 5321 4.1.1.8
        self._output.append(reply.HELP)

    def _noop(self, _argument: bytes) -> None:                                  # RFC 5321 4.1.1.9
        self._output.append(reply.NOOP)

    def _quit(self, _argument: bytes) -> None:                                  # RFC 5321 4.1.1.10
        self._close(QUIT, reply.BYE % self._greeting)

    def _unknown(self, _argument: bytes) -> None:
        self._bad(reply.UNIMPLEMENTED)

    # ---- what they share ----

    def _reset(self) -> None:
        self.sender = None
        self.recipients = []
        self.size = 0

    def _bad(self, answer: bytes) -> None:
        self._errors += 1
        if self._errors > ERRORS_LIMIT:     # a browser made to speak to us, or somebody who is guessing
            self._close(TOO_MANY_ERRORS, reply.TOO_MANY_ERRORS)
        else:
            self._output.append(answer)

    def _refuse_data(self, answer: bytes) -> None:
        self._output.append(answer)
        self._no_early_data()

    def _no_early_data(self) -> None:
        # DATA ends a group (RFC 2920 3.1).  What is here already is a message from somebody who did not wait for
        # our answer, and it was no: its lines must not be taken for commands.
        if self._at < len(self._buffer):
            self._close(EARLY_DATA, b"")

    def _close(self, reason: Closed, answer: bytes) -> None:
        self._closed = reason
        self._buffer, self._at, self._content = b"", 0, None
        self._output.append(answer)


COMMANDS = {
    b"EHLO": Session._ehlo,
    b"HELO": Session._helo,
    b"MAIL": Session._mail,
    b"RCPT": Session._rcpt,
    b"DATA": Session._data,
    b"RSET": Session._rset,
    b"VRFY": Session._vrfy,
    b"HELP": Session._help,
    b"NOOP": Session._noop,
    b"QUIT": Session._quit,
}
