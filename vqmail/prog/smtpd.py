"""vq-smtpd: receive mail by SMTP.

SYNOPSIS    vq-smtpd

READS       0   the client
WRITES      1   the client
            2   the log: one line for each message, each refused recipient, and the end of the connection

Receives messages over SMTP and hands them to the queue; says 250 only when a message is on the disk.
It accepts recipients at domains in control/rcpthosts and control/morercpthosts.cdb.  Without the
file rcpthosts it accepts nothing from strangers.  A recipient whom nobody here would get is refused
at once, and so is one whose mailbox is too full for what MAIL announced, or for the message as large
as it turns out to be, if that can be told in time.  A message in which a line does not end in CR LF
is refused and the connection closed: such a line is how one message is made to look like two.

ENVIRONMENT TCPREMOTEIP TCPREMOTEHOST TCPREMOTEINFO TCPLOCALIP TCPLOCALHOST, as tcpserver sets them; without
                            them, as under inetd or systemd, the connection is asked for its addresses
            RELAYCLIENT     the client may send anywhere; its value is appended to each recipient
            DATABYTES       instead of control/databytes
            QMAILQUEUE      run this program to queue a message

CONTROL FILES
            badmailfrom databytes localiphost me morercpthosts.cdb rcpthosts smtpgreeting timeoutsmtpd
            envnoathost locals percenthack virtualdomains virtualroot (does the recipient exist?)

EXIT        0   the client said QUIT
            1   the connection ended otherwise, or a control file cannot be read
            111 trouble of our own; what was not answered is not accepted

RUNS AS     qmaild

STANDARDS   RFC 5321, 1870 (SIZE), 2034 (ENHANCEDSTATUSCODES), 2920 (PIPELINING), 6152 (8BITMIME);
            qmail-smtpd(8)
"""

import time

from vqmail import codes
from vqmail.formats import header, quoting
from vqmail.proto import reply, smtp
from vqmail.store import control, reception
from vqmail.unix import calls, inetd, log, receive, send, timed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vqmail.store import resolver
    from vqmail.unix.chain import Env

PIECE = 65536                   # bytes of one read
LINGER = 5                      # seconds
LONGEST = 86400                 # seconds of a session; vq-clean takes a queue file of 36 hours for abandoned
FILES = (*reception.FILES, b"smtpgreeting", b"timeoutsmtpd")     # what Settings are made of
LOGGED = 50                     # refused recipients of one connection that get a line of their own


def main(argv: "list[bytes]", env: "Env") -> int:
    """Talk to the client on 0 and 1 until the end."""
    name = log.name_of(argv)
    env = inetd.environment(0, env)
    try:
        settings = Settings()
    except codes.Failure as failure:
        log.line(name, str(failure))
        _say_goodbye(reply.NO_CONTROLS)
        return codes.SESSION_BROKEN
    conversation = Conversation(settings, env, name, b"pid %d" % calls.getpid())
    deadline = time.monotonic() + LONGEST
    client = receive.Receiver(0), send.Sender(1)
    try:
        data = _exchange(conversation, client, settings.seconds)
        while data is not None:
            conversation.receive(data)
            while conversation.complete:
                conversation.queue()
            data = _exchange(conversation, client, max(min(settings.seconds, deadline - time.monotonic()), 0))
    finally:
        conversation.close()
        for each in client:
            each.close()
    return codes.OK if conversation.ended == smtp.QUIT.reason else codes.SESSION_BROKEN


def _exchange(conversation: "Conversation", client: "tuple[receive.Receiver, send.Sender]",
              seconds: float) -> "bytes | None":
    """Say what is to be said and wait for the client; None when the session is over."""
    receiver, sender = client
    try:
        sender.write_all(conversation.output(), seconds)
        if not conversation.ended:
            return receiver.read(PIECE, seconds)
        if conversation.hung_up:
            _linger()
    except TimeoutError:
        conversation.end(b"timeout")
        _say_goodbye(reply.TIMEOUT)
    except OSError:
        conversation.end(b"lost")
    return None


def _say_goodbye(text: bytes) -> None:
    sender = send.Sender(1)
    try:
        sender.write_all(text, 1)
    except OSError:                             # not interested; a timeout is one of these too
        return
    finally:
        sender.close()


def _linger() -> None:
    """Hear the client out for a little: closing now would make the kernel drop our last words (RST)."""
    deadline = time.monotonic() + LINGER
    try:
        while time.monotonic() < deadline and timed.read(0, PIECE, 1):
            pass
    except OSError:                             # silent or gone
        return


class Settings(reception.Settings):
    """What the control files say.  TryLater if one cannot be read."""

    def __init__(self, shared: "resolver.Resolver | None" = None) -> None:
        super().__init__(shared)
        self.greeting = control.line(b"smtpgreeting")
        if not self.greeting:
            raise codes.TryLater("no name to greet with; put the name of this host into control/me")
        self.seconds = max(control.number(b"timeoutsmtpd"), 1)


class Conversation:
    """One session with all that is decided in it, but no I/O with the client: one process may hold many.

    receive() what came, b"" for the end of file; while `complete`, a message is there for queue(); then send
    output().  `ended` is why it is over, b"" as long as it is not; `hung_up` is whether it was us who ended it.
    """

    def __init__(self, settings: Settings, env: "Env", name: bytes, connection: bytes) -> None:
        self.ended = b""
        self.hung_up = False
        self.complete = False
        self._env = env
        self._name = name
        self._ip = env.get(b"TCPREMOTEIP", b"unknown")
        self._who = b"%s from %s" % (connection, header.safe(self._ip))
        self._client = reception.Client(settings, env)
        self._session = smtp.Session(settings.greeting, self._client.limit)
        self._message: reception.Message | None = None
        self._objection = b""
        self._accepted = self._refused = 0
        if not self._client.may_send:
            self._log(b"accepts no mail: there is no control/rcpthosts; put the domains to receive for into it")

    def receive(self, data: bytes) -> None:
        """Take what the client sent and do what it wants."""
        if not data:
            self.end(b"lost")
        self._session.receive(data)
        self._run()

    def output(self) -> bytes:
        """What to send to the client."""
        return self._session.output()

    def queue(self) -> None:
        """Hand the complete message to the queue, tell the client, and go on."""
        self.hand_over()
        self.queued()

    def hand_over(self) -> int:
        """Give the complete message to the queue.  Returns a descriptor that is ready when queued() need not wait,
        -1 if there is none."""
        assert self._message is not None
        self._objection = self._message.objection()
        if not self._objection and self._message.size > self._session.size:     # it is more than was announced
            self._objection = self._client.too_much(self._session.recipients, self._message.size)
        if self._objection:
            return -1
        return self._message.submission.begin(self._session.sender or b"", self._session.recipients)

    def queued(self) -> None:
        """Tell the client what became of the message, and go on."""
        assert self._message is not None
        sender, recipients = self._session.sender or b"", self._session.recipients
        objection = self._objection
        queued = self._message.submission.answer() if not objection else b""
        what = b"bytes %d sender <%s> recipients %d" % (self._message.size, quoting.quote(sender), len(recipients))
        if objection or queued:
            answer = reply.objection_to(objection) if objection else reply.queue(queued)
            self._log(b"refused message %s: %s" % (what, answer.rstrip()))
        else:
            qp = self._message.submission.qp
            self._accepted += 1
            answer = reply.QUEUED % (time.time(), qp)
            self._log(b"accepted message qp %d %s" % (qp, what))
        self._drop_message()
        self._session.finish(answer)
        self.complete = False
        self._run()

    def end(self, reason: bytes) -> None:
        """It is over."""
        if not self.ended:
            self.ended = reason
            self._log(b"end %s%s messages %d refused %d" % (
                reason, b"-in-message" if self._message else b"", self._accepted, self._refused))

    def close(self) -> None:
        """Let go of everything; a message that is not queued never will be."""
        self._drop_message()
        self._client.close()

    def _drop_message(self) -> None:
        message, self._message = self._message, None
        if message:
            message.close()

    def _run(self) -> None:
        """Go on until the session is over, a message is complete, or there is nothing left to do."""
        while not self.ended and not self.complete:
            event = self._session.next_event()
            if event is smtp.NEED_DATA:
                return
            ACTIONS[type(event)](self, event)

    def _mail(self, _event: smtp.Mail) -> None:
        self._session.accept()                  # a sender that we do not want is refused with its recipients

    def _rcpt(self, event: smtp.Rcpt) -> None:
        sender, recipient = self._session.sender or b"", self._client.recipient(event.recipient)
        try:
            objection = self._client.objection(sender, recipient, self._session.size)
            if not objection:
                self._session.accept(recipient)
                return
            refusal = reply.objection_to(objection)
        except (codes.Failure, OSError) as failure:
            self._log(reception.failure(failure))
            refusal = reply.CANNOT_LOOK
        self._refused += 1
        if self._refused <= LOGGED:
            self._log(b"refused recipient <%s> from <%s>: %s" % (
                quoting.quote(recipient), quoting.quote(sender), refusal.rstrip()))
        self._session.refuse(refusal)

    def _data(self, _event: smtp.Data) -> None:
        try:
            trace = reception.trace(self._env, self._session.helo, b"ESMTP" if self._session.extended else b"SMTP")
            self._message = reception.Message(self._env, self._client.limit, trace)
        except (codes.Failure, OSError) as failure:
            self._log(reception.failure(failure))
            self._session.refuse(reply.NO_QUEUE)
            return
        self._session.accept()

    def _text(self, event: smtp.Text) -> None:
        if self._message:
            self._message.write(event.text)

    def _complete(self, _event: smtp.End) -> None:
        self.complete = True

    def _over(self, event: smtp.Closed) -> None:
        self.hung_up = event is not smtp.QUIT
        self.end(event.reason)

    def _log(self, text: bytes) -> None:
        log.line(self._name, b"%s %s" % (self._who, text))


ACTIONS: "dict[type, Callable[[Conversation, Any], None]]" = {
    smtp.Mail: Conversation._mail,
    smtp.Rcpt: Conversation._rcpt,
    smtp.Data: Conversation._data,
    smtp.Text: Conversation._text,
    smtp.End: Conversation._complete,
    smtp.Closed: Conversation._over,
}
