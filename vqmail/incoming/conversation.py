"""One SMTP session with all that is decided in it, but no I/O with the client.

receive() what came, b"" for the end of file, and then, until there is nothing `pending`:

    wait until `not_before`, if that is still to come
    start(descriptor)           `descriptor` is the client's; returns one to wait for, -1 if there is no need, or
                                BUSY: begin again with `not_before`
    send output()               before the wait
    go_on()                     and `plain`, unless it is -1, is in the client's place from now on

then send output().  `ended` is why it is over, b"" as long as it is not; `hung_up` is whether it was us who ended it.
What may be pending: the queue's answer, that of who checks a login, a handshake, or the second before a refusal.
"""

import time

from vqmail import codes
from vqmail.formats import header, quoting
from vqmail.incoming import letter, settings
from vqmail.proto import reply, sasl, smtp, smtpevents
from vqmail.store import reception, secure
from vqmail.unix import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vqmail.incoming import login
    from vqmail.record import Record
    from vqmail.store import submission
    from vqmail.unix.chain import Env

LOGGED = 50                     # refused recipients of one connection that get a line of their own
FAILURES = 3                    # wrong passwords in one connection
BUSY = -2                       # a service is too busy to be called
AGAIN = 0.05                    # seconds until it is called again
PATIENCE = 10                   # seconds until it is given up

MESSAGE, LOGIN, HANDSHAKE, REFUSAL = "message", "login", "handshake", "refusal"


class Conversation:
    """One session.  `program` is the checkpassword program that checks logins, [] for the auth service."""

    def __init__(self, controls: settings.Settings, env: "Env", name: bytes, connection: bytes,
                 program: "list[bytes] | None" = None) -> None:
        self.ended = b""
        self.hung_up = False
        self.pending = ""
        self.not_before = 0.0
        self._give_up = 0.0                     # when to try no longer to call a service
        self.plain = -1
        self._settings = controls
        self._program = program or []
        self._first = env                       # what was known before the client said anything
        self._env = env
        self._name = name
        self._ip = env.get(b"TCPREMOTEIP", b"unknown")
        self._who = b"%s from %s" % (connection, header.safe(self._ip))
        self._client = reception.Client(controls, env)
        self._policy: submission.Policy | None = None
        terms = self._terms()
        self._greeting = controls.greeting_at(env.get(b"TCPLOCALIP", b""))
        self._session = smtp.Session(self._greeting, self._client.limit, terms)
        self._message: letter.Letter | None = None
        self._upgrade: secure.Upgrade | None = None
        self._attempt: login.Attempt | None = None
        self._begun = 0                         # which AUTH it is
        self._step: Record | None = None
        self._answer = b""                      # what is said after the second
        self._accepted = self._refused = self._failed = 0
        if not (self._client.may_send or terms.mechanisms or terms.locked):
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

    def start(self, descriptor: int) -> int:
        """Begin what is pending.  Returns a descriptor that is ready when go_on() need not wait, -1 or BUSY."""
        try:
            return STARTS[self.pending](self, descriptor)
        except BlockingIOError:                 # nobody else is to wait meanwhile: there may be other sessions here
            now = time.monotonic()
            self._give_up = self._give_up or now + PATIENCE
            if now < self._give_up:
                self.not_before = now + AGAIN
                return BUSY
            self._log(b"a service is too busy to be called")
            return -1

    def go_on(self) -> None:
        """Finish what is pending, and go on with what the client said."""
        pending, self.pending = self.pending, ""
        self.not_before = self._give_up = 0.0
        FINISHES[pending](self)
        self._run()

    def end(self, reason: bytes) -> None:
        """It is over."""
        if not self.ended:
            self.ended = reason
            if self._session.turned_away and self._policy is None:
                self._log(b"wanted to send without a login: %s" % self._session.turned_away.rstrip())
            self._log(b"end %s%s messages %d refused %d" % (
                reason, b"-in-message" if self._message else b"", self._accepted, self._refused))

    def close(self) -> None:
        """Let go of everything; a message that is not queued never will be."""
        self._drop_message()
        self._drop_attempt()
        if self._upgrade is not None:
            self._upgrade.close()
        self._client.close()

    def _run(self) -> None:
        """Go on until the session is over, something is pending, or there is nothing left to do."""
        while not self.ended and not self.pending:
            event = self._session.next_event()
            if event is smtpevents.NEED_DATA:
                return
            ACTIONS[type(event)](self, event)

    # ---- who it is ----

    def _terms(self) -> smtpevents.Terms:
        return settings.terms(self._settings, self._env, program=bool(self._program))

    def _secure(self, _event: smtpevents.StartTls) -> None:
        self.pending = HANDSHAKE

    def _start_handshake(self, descriptor: int) -> int:
        try:
            self._upgrade = secure.Upgrade(descriptor, 0)
        except BlockingIOError:
            raise
        except (codes.Failure, OSError) as failure:
            self._log(b"no TLS: " + reception.failure(failure))
            return -1
        self._session.accept()                  # the service waits for the client, who waits for this
        return self._upgrade.fileno()

    def _finish_handshake(self) -> None:
        upgrade, self._upgrade = self._upgrade, None
        if upgrade is None:
            self._session.refuse(reply.NO_TLS_NOW)
            return
        try:
            self.plain, variables = upgrade.answer()
        except secure.Failed as failed:
            self._log(b"no TLS: " + str(failed).encode("utf-8", "replace"))
            self.end(b"tls-failed")
            return
        finally:
            upgrade.close()
        # RFC 3207 4.2: nothing that was said in the clear counts; so everything begins again
        self._env = self._first | variables
        self._client = reception.Client(self._settings, self._env)
        self._policy = None
        self._drop_attempt()
        self._session = smtp.Session(self._greeting, self._client.limit, self._terms(), greeted=True)

    def _ask(self, event: "Record") -> None:
        if self._begun != self._session.attempts:       # the one before was cancelled half-way: it counts for nothing
            self._drop_attempt()
            self._begun = self._session.attempts
        self._step, self.pending = event, LOGIN

    def _start_login(self, _descriptor: int) -> int:
        assert self._step is not None
        if self._attempt is None:
            from vqmail.incoming import login   # and all about sending as somebody: strangers never log in

            self._attempt = login.Attempt(self._env, self._program)
        return self._attempt.ask(self._step)

    def _finish_login(self) -> None:
        assert self._attempt is not None
        answer = self._attempt.answer()
        if self._attempt.goes_on(answer):
            self._session.challenge(answer.more)
            return
        attempt = self._attempt
        self._drop_attempt()
        if answer.code == codes.OK:
            self._let_in(attempt, answer.name)
            return
        refused = attempt.is_refused(answer)
        self._failed += refused
        self._answer = reply.LOGIN_FAILED if refused else reply.LOGIN_TROUBLE
        self._log(attempt.complaint(answer))
        self.pending, self.not_before = REFUSAL, attempt.not_before()

    def _let_in(self, attempt: "login.Attempt", name: bytes) -> None:
        try:
            self._policy = attempt.policy(name, self._settings.resolver)
        except (codes.Failure, OSError) as failure:
            self._log(reception.failure(failure))
            self._session.refuse(reply.LOGIN_TROUBLE)
            return
        # as after a login every qmail has it: he may send anywhere, and whoever queues the message knows who he is
        self._env = self._env | {b"RELAYCLIENT": b"", b"TCPREMOTEINFO": name, b"SMTPAUTHUSER": name}
        self._client = reception.Client(self._settings, self._env)
        self._log(b"login <%s>%s" % (header.safe(name), b" over TLS" if secure.SECURED in self._env else b""))
        self._session.logged_in(name)

    def _finish_refusal(self) -> None:
        if self._failed >= FAILURES:
            self._session.hang_up(b"too-many-logins", reply.TOO_MANY_LOGINS)
        else:
            self._session.refuse(self._answer)

    def _drop_attempt(self) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.close()

    # ---- what it sends ----

    def _mail(self, event: smtpevents.Mail) -> None:
        # a stranger's sender that we do not want is refused with its recipients
        refusal = self._refusal(lambda: self._policy.sender(event.sender) if self._policy else b"")
        if refusal:
            self._refuse(b"sender <%s>" % quoting.quote(event.sender), refusal)
        else:
            self._session.accept(self._policy.complete(event.sender) if self._policy else None)

    def _rcpt(self, event: smtpevents.Rcpt) -> None:
        sender, recipient = self._session.sender or b"", event.recipient
        if self._policy is not None:
            recipient = self._policy.recipient(recipient)
        recipient = self._client.recipient(recipient)
        refusal = self._refusal(lambda: self._client.objection(sender, recipient, self._session.size))
        if refusal:
            self._refuse(b"recipient <%s> from <%s>" % (quoting.quote(recipient), quoting.quote(sender)), refusal)
        else:
            self._session.accept(recipient)

    def _refusal(self, question: "Callable[[], bytes]") -> bytes:
        """The reply to an objection, b"" if there is none."""
        try:
            found = question()
        except (codes.Failure, OSError) as failure:
            self._log(reception.failure(failure))
            return reply.CANNOT_LOOK
        return reply.objection_to(found) if found else b""

    def _refuse(self, what: bytes, refusal: bytes) -> None:
        self._refused += 1
        if self._refused <= LOGGED:
            self._log(b"refused %s: %s" % (what, refusal.rstrip()))
        self._session.refuse(refusal)

    def _data(self, _event: smtpevents.Data) -> None:
        try:
            self._message = letter.Letter(self._env, self._session, self._client, self._policy)
        except (codes.Failure, OSError) as failure:
            self._log(reception.failure(failure))
            self._session.refuse(reply.NO_QUEUE)
            return
        self._session.accept()

    def _text(self, event: smtpevents.Text) -> None:
        if self._message:
            self._message.write(event.text)

    def _complete(self, _event: smtpevents.End) -> None:
        self.pending = MESSAGE

    def _hand_over(self, _descriptor: int) -> int:
        assert self._message is not None
        return self._message.hand_over()

    def _queued(self) -> None:
        """Tell the client what became of the message."""
        assert self._message is not None
        if self._message.trouble:
            self._log(self._message.trouble)
        accepted, answer, line = self._message.answer()
        self._accepted += accepted
        self._log(line)
        self._drop_message()
        self._session.finish(answer)

    def _drop_message(self) -> None:
        message, self._message = self._message, None
        if message:
            message.close()

    def _over(self, event: smtpevents.Closed) -> None:
        self.hung_up = event is not smtpevents.QUIT
        self.end(event.reason)

    def _log(self, text: bytes) -> None:
        log.line(self._name, b"%s %s" % (self._who, text))


ACTIONS: "dict[type, Callable[[Conversation, Any], None]]" = {
    smtpevents.Mail: Conversation._mail,
    smtpevents.Rcpt: Conversation._rcpt,
    smtpevents.Data: Conversation._data,
    smtpevents.Text: Conversation._text,
    smtpevents.End: Conversation._complete,
    smtpevents.StartTls: Conversation._secure,
    smtpevents.Closed: Conversation._over,
    sasl.Check: Conversation._ask,
    sasl.Relay: Conversation._ask,
}
STARTS: "dict[str, Callable[[Conversation, int], int]]" = {
    MESSAGE: Conversation._hand_over,
    LOGIN: Conversation._start_login,
    HANDSHAKE: Conversation._start_handshake,
    REFUSAL: lambda _self, _descriptor: -1,
}
FINISHES: "dict[str, Callable[[Conversation], None]]" = {
    MESSAGE: Conversation._queued,
    LOGIN: Conversation._finish_login,
    HANDSHAKE: Conversation._finish_handshake,
    REFUSAL: Conversation._finish_refusal,
}
