"""One SMTP session, the server's side (RFC 5321, 1870, 2034, 2920, 3207, 4954, 6152).

receive() takes what the client sent, next_event() says what it wants, and whoever drives the session answers:

    event           answer
    NEED_DATA       send output(), wait for the client, receive()
    Mail, Rcpt      accept() or refuse(reply)
    Data            accept() or refuse(reply): may the message come?
    Text            none: a piece of the message
    End             finish(reply)
    StartTls        accept(): this session is over, and another begins when the connection is secured; or refuse(reply)
    sasl.Check      logged_in(name) or refuse(reply): is it he?
    sasl.Relay      the same, or challenge(text)
    Closed          none: send output() and close; nothing more is ever read

The machine decides nothing about mail, but it does keep the order of commands and the limits of lines.
"""

from vqmail.proto import data, mailparameters, path, reply, sasl, smtpevents, smtplogin
from vqmail.record import Record

LINE_LIMIT = 4096               # bytes of a command with its end; 512 must be allowed           RFC 5321 4.5.3.1.4
RECIPIENTS_LIMIT = 20_000       # of one message; 100 must be allowed                            RFC 5321 4.5.3.1.8
ERRORS_LIMIT = 20               # commands without sense since the last message
BEFORE_TLS = (b"EHLO", b"HELO", b"NOOP", b"STARTTLS", b"QUIT")                                  # RFC 3207 4


class Session:
    """One connection.  `helo`, `extended`, `attempts` (to log in), `login` (b"" before it), `sender` (None before
    MAIL), `size` (0 unless MAIL announced one) and `recipients` say where it stands.  One that goes on over TLS is
    `greeted` already."""

    def __init__(self, greeting: bytes, size_limit: int = 0, terms: smtpevents.Terms = smtpevents.OPEN, *,
                 greeted: bool = False) -> None:
        self.helo = b""
        self.extended = False
        self.login = b""
        self.sender: bytes | None = None
        self.recipients: list[bytes] = []
        self.size = 0
        self.turned_away = b""              # what MAIL was answered with for want of a login
        self._greeting = greeting
        self._size_limit = size_limit
        self._terms = terms
        self._buffer = b""
        self._at = 0                        # the start of the next command in it
        self._skipping = False              # within a line that is too long
        self._content: data.Content | None = None
        self._exchange: sasl.Exchange | None = None
        self.attempts = 0
        self._asked: Record | None = None
        self._closed: smtpevents.Closed | None = None
        self._errors = 0
        self._output = [] if greeted else [reply.GREETING % greeting]

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

    def accept(self, address: "bytes | None" = None) -> None:
        """Yes to the last Mail, Rcpt, Data or StartTls; `address` is what to write down instead of
        what the client said."""
        asked, self._asked = self._asked, None
        if isinstance(asked, smtpevents.Mail):
            self.sender = asked.sender if address is None else address
            self._output.append(reply.MAIL_OK)
        elif isinstance(asked, smtpevents.Rcpt):
            self.recipients.append(asked.recipient if address is None else address)
            self._output.append(reply.RCPT_OK)
        elif isinstance(asked, smtpevents.StartTls):
            self._close(smtpevents.SECURING, reply.READY_FOR_TLS)       # what stands behind it is gone: RFC 3207 4.2
        else:
            self._content = data.Content()
            self._output.append(reply.GO_AHEAD)

    def refuse(self, answer: bytes) -> None:
        """No to the last question."""
        asked, self._asked, self._exchange = self._asked, None, None
        self._output.append(answer)
        if isinstance(asked, smtpevents.Data):
            self._reset()
            self._no_early_data()

    def challenge(self, text: bytes) -> None:
        """What the last Relay is answered with."""
        self._asked = None
        self._output.append(reply.CHALLENGE % sasl.Challenge(text).line())

    def logged_in(self, name: bytes) -> None:
        """The client is `name`."""
        self._asked = self._exchange = None
        self.login = name
        self._output.append(reply.LOGGED_IN)

    def hang_up(self, reason: bytes, answer: bytes) -> None:
        """Say `answer`, and no more."""
        self._asked = None
        self._close(smtpevents.Closed(reason), answer)

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
            elif self._exchange is not None:
                self._log_in(self._exchange.step(line.removesuffix(b"\r")))
            else:
                self._command(line.removesuffix(b"\r"))
        return self._closed

    def _command(self, line: bytes) -> None:
        verb, _, argument = line.partition(b" ")
        verb = verb.upper()
        if self._terms.tls_first and verb not in BEFORE_TLS:                    # RFC 3207 4
            self._bad(reply.TLS_FIRST)
        elif verb in reply.ALWAYS:
            self._output.append(reply.ALWAYS[verb])
        else:
            COMMANDS.get(verb, Session._unknown)(self, argument.strip(b" "))

    def _unfinished_line(self) -> Record:
        if len(self._buffer) - self._at > LINE_LIMIT:
            self._buffer, self._at = b"", 0
            if not self._skipping:
                self._skipping = True
                self._bad(reply.LINE_TOO_LONG)
        return self._closed or smtpevents.NEED_DATA

    def _more_content(self, content: data.Content) -> "Record | None":
        if content.rest is not None:                    # its last piece was given, now its end
            self._buffer, self._at, self._content = content.rest, 0, None
            self._asked = smtpevents.END
            return smtpevents.END
        if self._at == len(self._buffer):
            return smtpevents.NEED_DATA
        received, self._buffer, self._at = self._buffer[self._at:], b"", 0
        try:
            text = content.feed(received)
        except data.BareNewline:
            self._close(smtpevents.BARE_NEWLINE, reply.BARE_NEWLINE)
            return None
        return smtpevents.Text(text) if text else None

    def _ehlo(self, argument: bytes) -> None:                                   # RFC 5321 4.1.1.1
        offers = smtplogin.offers(self._terms, logged_in=bool(self.login))
        self._hello(argument, reply.EHLO % (self._greeting, self._size_limit, offers))
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
        refusal = smtplogin.mail(self._terms, logged_in=bool(self.login))
        if refusal:
            self.turned_away = refusal
            self._bad(refusal)
            return
        try:
            sender = path.reverse(argument)
            self.size = mailparameters.size(sender.parameters, self._size_limit, auth=bool(self._terms.mechanisms))
            self._asked = smtpevents.Mail(sender.address)
        except path.Refused as refused:
            self._output.append(refused.reply)

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
            self._asked = smtpevents.Rcpt(recipient.address)
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
            self._asked = smtpevents.DATA

    def _rset(self, _argument: bytes) -> None:                                  # RFC 5321 4.1.1.5
        self._reset()
        self._output.append(reply.FLUSHED)

    def _quit(self, _argument: bytes) -> None:                                  # RFC 5321 4.1.1.10
        self._close(smtpevents.QUIT, reply.BYE % self._greeting)

    def _starttls(self, argument: bytes) -> None:                               # RFC 3207 4
        refusal = smtplogin.starttls(self._terms, argument)
        if refusal:
            self._bad(refusal)
        else:
            self._asked = smtpevents.START_TLS

    def _auth(self, argument: bytes) -> None:                                   # RFC 4954 4
        word, given, initial = argument.partition(b" ")
        mechanism = word.upper()
        refusal = smtplogin.auth(self._terms, mechanism, logged_in=bool(self.login), sending=self.sender is not None)
        if refusal:
            self._bad(refusal)
            return
        self.attempts += 1
        host = self._greeting.partition(b" ")[0]
        self._exchange = sasl.Exchange(mechanism, b"<%s.%d@%s>" % (self._terms.nonce, self.attempts, host))
        self._log_in(self._exchange.begin(initial.lstrip(b" ") if given else None))

    def _log_in(self, step: Record) -> None:
        if isinstance(step, sasl.Challenge):
            self._output.append(reply.CHALLENGE % step.line())
        elif isinstance(step, sasl.Over):
            self._bad(reply.LOGIN_CANCELLED if step is sasl.CANCELLED else reply.LOGIN_MALFORMED)
        else:
            self._asked = step

    def _unknown(self, _argument: bytes) -> None:
        self._bad(reply.UNIMPLEMENTED)

    # ---- what they share ----

    def _reset(self) -> None:
        self.sender = None
        self.recipients = []
        self.size = 0

    def _bad(self, answer: bytes) -> None:
        self._exchange = None
        self._errors += 1
        if self._errors > ERRORS_LIMIT:     # a browser made to speak to us, or somebody who is guessing
            self._close(smtpevents.TOO_MANY_ERRORS, reply.TOO_MANY_ERRORS)
        else:
            self._output.append(answer)

    def _refuse_data(self, answer: bytes) -> None:
        self._output.append(answer)
        self._no_early_data()

    def _no_early_data(self) -> None:
        # DATA ends a group (RFC 2920 3.1).  What is here already is a message from somebody who did not wait for
        # our answer, and it was no: its lines must not be taken for commands.
        if self._at < len(self._buffer):
            self._close(smtpevents.EARLY_DATA, b"")

    def _close(self, reason: smtpevents.Closed, answer: bytes) -> None:
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
    b"QUIT": Session._quit,
    b"STARTTLS": Session._starttls,
    b"AUTH": Session._auth,
}
