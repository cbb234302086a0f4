"""One SMTP session, the client's side (RFC 5321, 1870, 2920, 3207, 4954, 6152).

receive() takes what the server sent, next_event() says what is to be done, and whoever drives the session does it:

    event           answer
    NEED_DATA       send output(), wait for the server, receive()
    START_TLS       send nothing, make the connection a TLS one, then secured()
    READY           give(mail), or send GOODBYE and close
    TEXT            send the message and its final dot, then text_sent(); or text_broken()
    Done            what became of the mail; give(mail) again if `reusable`
    Refused         nothing: the server will not have us; send GOODBYE and close

A server that says what no server may say raises Nonsense.  One that hangs up is the driver's to notice: hung_up() tells
whether it had said enough, and `stage` how far it had come.
"""

from vqmail.formats import quoting
from vqmail.proto import login, replies
from vqmail.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from vqmail.proto.replies import Reply

    Steps = Generator["Record | None", "Reply", "Record"]

GROUP = 50                      # commands sent before the first answer is read: their answers fit into any buffer

# how far a session has come
GREETING, HELO, TLS, AUTH, MAIL, RCPT, DATA, SENT = range(8)
SIZE = 8                        # of a Done: not sent, the server takes no message of this size

GOODBYE = b"QUIT\r\n"
DATA_COMMAND = b"DATA\r\n"
RSET_COMMAND = b"RSET\r\n"
CLOSING = 421                   # the server will hang up, whatever it was asked                 RFC 5321 3.8


class HungUp(Exception):
    """Thrown into the session where it waits for a reply that will not come."""


class Mail(Record):
    """What to send: `size` octets as they go over the line, `eight_bit` if there are bytes above 127 among them."""

    __slots__ = ("sender", "recipients", "size", "eight_bit")
    sender: bytes
    recipients: "list[bytes]"
    size: int
    eight_bit: bool


class Wish(Record):
    """An event that has nothing more to say."""

    __slots__ = ("name",)
    name: str


class Refused(Record):
    """The session ended at `stage`, before any mail."""

    __slots__ = ("stage", "reply")
    stage: int
    reply: "Reply | None"


class Done(Record):
    """What became of a mail: it came as far as `stage`, where `reply` was the answer; `recipients` are the answers
    to each of them."""

    __slots__ = ("stage", "reply", "recipients")
    stage: int
    reply: "Reply"
    recipients: "list[Reply]"


NEED_DATA = Wish("need data")               # there is no more in what was received
START_TLS = Wish("start TLS")               # the server waits for a TLS handshake
READY = Wish("ready")                       # the server knows who we are
TEXT = Wish("text")                         # the server wants the message


class Session:
    """One connection to a server.

    With `tls` it is secured when the server offers that; `must` ends it when that cannot be.  With `user` it logs in.
    `encrypted` says that it was secured before its first byte.
    """

    def __init__(self, helo: bytes, *, tls: bool = True, must: bool = False, user: bytes = b"", password: bytes = b"",
                 encrypted: bool = False) -> None:
        self.stage = GREETING
        self._fit = False
        self.securing = False                   # TLS was begun, and nothing was heard in it yet
        self._helo = helo
        self._tls = tls
        self._must = must
        self._user = user
        self._password = password
        self._encrypted = encrypted
        self._offers: dict[bytes, list[bytes]] = {}
        self._replies = replies.Replies()
        self._output: list[bytes] = []
        self._event: Record | None = None
        self._mail: Mail | None = None
        self._unclean = False                   # a transaction was begun and not ended
        self._whole = False                     # all of the text was sent
        self._steps = self._session()
        next(self._steps)                       # to the point where it waits for the greeting

    @property
    def reusable(self) -> bool:
        """Whether another mail may be given.  Not to a server that said more than it was asked: the rest would be taken
        for its answers to that mail."""
        return self._fit and not self._replies.pending()

    # ---- what the driver says ----

    def receive(self, received: bytes) -> None:
        """Take what came from the server."""
        self._replies.feed(received)

    def output(self) -> bytes:
        """Everything that is to be sent now, in one piece."""
        text = b"".join(self._output)
        self._output.clear()
        return text

    def secured(self) -> None:
        """The connection is a TLS one from here on."""
        self._encrypted = True
        self._resume()

    def give(self, mail: Mail) -> None:
        """Have `mail` sent; at READY, or after a Done if the session is reusable."""
        self._mail = mail
        self._resume()

    def text_sent(self) -> None:
        """The message and its final dot are on their way."""
        self._whole = True
        self._resume()

    def text_broken(self) -> None:
        """The server stopped taking the message; it may have said why."""
        self._resume()

    def hung_up(self) -> "Done | None":
        """The server is gone.  What it said of the mail before that, if it was enough."""
        self._fit = False
        try:
            event = self._steps.throw(HungUp())
        except HungUp:
            return None
        return event if isinstance(event, Done) else None

    # ---- what is to be done ----

    def next_event(self) -> Record:
        """What is to be done next.  replies.Nonsense."""
        while self._event is None:
            reply = self._replies.next()
            if reply is None:
                return NEED_DATA
            if reply.code == CLOSING:
                self._fit = False
            self._event = self._steps.send(reply)
        return self._event

    def _resume(self) -> None:
        self._event = None
        self._event = next(self._steps)

    def _session(self) -> "Steps":
        """All of a session: yields None for the next reply, and events for the driver to answer."""
        greeting = yield None
        end = Refused(GREETING, greeting) if greeting.code != 220 else (yield from self._introduction())
        while end is not None:
            yield end                           # the last thing there is to say
        event: Record = READY
        while True:
            self.stage = MAIL
            yield event
            event = yield from self._transaction()

    def _ask(self, command: bytes) -> "Generator[Record | None, Reply, Reply]":
        self._output.append(command)
        reply = yield None
        return reply

    # ---- who we are ----

    def _introduction(self) -> "Generator[Record | None, Reply, Refused | None]":
        refused = yield from self._hello()
        if refused:
            return refused
        self.stage = TLS
        reply = None
        if self._tls and not self._encrypted and b"STARTTLS" in self._offers:                       # RFC 3207 4
            self.securing = True
            reply = yield from self._ask(b"STARTTLS\r\n")
            if reply.code == 220:
                if self._replies.pending():
                    raise replies.Nonsense("something between STARTTLS and the handshake")          # RFC 3207 6
                yield START_TLS
                self.stage = HELO
                refused = yield from self._hello()                                                  # RFC 3207 4.2
                self.securing = False
                if refused:
                    return refused
            elif reply.code == CLOSING:
                return Refused(TLS, reply)
            self.securing = False
        if not self._encrypted and (self._must or (reply and self._user)):
            return Refused(TLS, reply)          # no password in the clear to a host that says it can do TLS
        self.stage = AUTH
        if self._user:
            reply = yield from self._login()
            if reply is None or not reply.good:
                return Refused(AUTH, reply)
        self._fit = True
        return None

    def _hello(self) -> "Generator[Record | None, Reply, Refused | None]":
        self.stage = HELO
        reply = yield from self._ask(b"EHLO %s\r\n" % self._helo)                                   # RFC 5321 4.1.1.1
        self._offers = replies.offers(reply.text) if reply.good else {}
        if reply.bad:                                                                               # RFC 5321 3.2
            reply = yield from self._ask(b"HELO %s\r\n" % self._helo)
        return None if reply.good else Refused(HELO, reply)

    def _login(self) -> "Generator[Record | None, Reply, Reply | None]":
        """The answer to the last word of it; None if there is no way that both sides know."""
        reply = None
        words = login.words(self._offers.get(b"AUTH", []), self._user, self._password)
        line = next(words, None)
        while line is not None:
            reply = yield from self._ask(line + b"\r\n")
            if reply.code != 334:                                                                   # RFC 4954 4
                break
            try:
                line = words.send(reply.text[4:])
            except StopIteration:               # it asks for more than there is
                break
        return reply

    # ---- a mail ----

    def _transaction(self) -> "Generator[Record | None, Reply, Done]":
        mail = self._mail
        assert mail is not None
        self._whole = False
        limit = replies.size_limit(self._offers)
        if 0 < limit < mail.size:                                                                   # RFC 1870 6.1
            return Done(SIZE, replies.Reply(0, b"%d" % limit), [])
        begin = [RSET_COMMAND] if self._unclean else []
        commands = [*begin, self._mail_command(mail),
                    *[b"RCPT TO:<%s>\r\n" % quoting.quote(each) for each in mail.recipients], DATA_COMMAND]
        self._unclean = True
        answers = yield from self._commands(commands, len(begin))
        if begin and not answers[0].good:       # it may still have the recipients of the mail before
            return Done(MAIL, answers[0], [])
        answers = answers[len(begin):]
        go_ahead = answers[len(mail.recipients) + 1] if len(answers) > len(mail.recipients) + 1 else None
        recipients = answers[1:len(mail.recipients) + 1]
        recipients += recipients[-1:] * (len(mail.recipients) - len(recipients))    # 421 was for all that follow, too
        wanted = any(each.good for each in recipients)
        if go_ahead is not None and go_ahead.code == 354 and not wanted:
            yield from self._ask(b".\r\n")                                                          # RFC 2920 3.1
            self._unclean = False
        if not answers[0].good:
            return Done(MAIL, answers[0], [])
        if not wanted:
            return Done(RCPT, recipients[-1], recipients)
        if go_ahead is None or go_ahead.code != 354:
            return Done(DATA, go_ahead or answers[-1], recipients)
        if self._replies.pending():
            raise replies.Nonsense("an answer to the message before the message")
        self.stage = SENT
        yield TEXT
        final = yield None
        self._unclean = False
        if not self._whole:
            self._fit = False
            if final.good:
                raise replies.Nonsense("yes to half a message")
        return Done(SENT, final, recipients)

    def _mail_command(self, mail: Mail) -> bytes:
        size = b" SIZE=%d" % mail.size if b"SIZE" in self._offers else b""                          # RFC 1870 3
        body = b" BODY=8BITMIME" if mail.eight_bit and b"8BITMIME" in self._offers else b""         # RFC 6152 2
        return b"MAIL FROM:<%s>%s%s\r\n" % (quoting.quote(mail.sender), size, body)

    def _commands(self, commands: "list[bytes]", mail_at: int) -> "Generator[Record | None, Reply, list[Reply]]":
        """The answers to `commands`, up to the one after which the rest makes no sense."""
        width = GROUP if b"PIPELINING" in self._offers else 1                                       # RFC 2920 3.1
        answers: list[Reply] = []
        while len(answers) < len(commands):
            group = commands[len(answers):len(answers) + width]
            if group == [DATA_COMMAND] and not any(each.good for each in answers[mail_at + 1:]):
                break
            self._output += group
            for command in group:
                self.stage = _stage(command)
                try:
                    answers.append((yield None))
                except HungUp:
                    if not _settled(answers[mail_at:], len(commands) - mail_at - 2):
                        raise
                    return answers
                if answers[-1].code == CLOSING:
                    break
            if answers[-1].code == CLOSING or (len(answers) > mail_at and not answers[mail_at].good):
                break
        if len(answers) <= mail_at:             # RSET got a 421
            answers.append(answers[-1])
        return answers


def _settled(answers: "list[Reply]", recipients: int) -> bool:
    """Whether the answers to MAIL and RCPT say that there is nobody to whom the text could go."""
    return bool(answers) and (not answers[0].good or (
        len(answers) > recipients and not any(each.good for each in answers[1:])))


def _stage(command: bytes) -> int:
    return RCPT if command.startswith(b"RCPT") else DATA if command == DATA_COMMAND else MAIL
