"""One message from its DATA until the queue has answered."""

import time

from vqmail import codes
from vqmail.formats import header, objection, quoting
from vqmail.proto import reply
from vqmail.store import reception, secure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.proto import smtp
    from vqmail.store import submission
    from vqmail.unix.chain import Env


class Letter:
    """The message of `session`; `policy` is what a login may do, None for a stranger.  TryLater or OSError if the queue
    cannot be reached."""

    def __init__(self, env: "Env", session: "smtp.Session", client: reception.Client,
                 policy: "submission.Policy | None") -> None:
        self.trouble = b""                      # of ours, for the log
        self._session = session
        self._client = client
        self._policy = policy
        self._objection = b""
        seen, helo = policy.client(env, session.helo) if policy else (env, session.helo)
        trace = reception.trace(seen, helo, protocol(env, extended=session.extended, logged_in=policy is not None))
        self._message = reception.Message(env, client.limit, trace, policy.header() if policy else None)

    def write(self, text: bytes) -> None:
        """Append to it."""
        self._message.write(text)

    def hand_over(self) -> int:
        """Give it to the queue.  Returns a descriptor that is ready when answer() need not wait, or -1."""
        self._objection = self._unfit()
        if self._objection:
            return -1
        return self._message.begin(self._session.sender or b"", self._session.recipients)

    def answer(self) -> "tuple[bool, bytes, bytes]":
        """(whether it is queued, what to tell the client, what to tell the log)."""
        sender, recipients = self._session.sender or b"", self._session.recipients
        queued = self._message.submission.answer() if not self._objection else b""
        what = b"bytes %d sender <%s> recipients %d" % (self._message.size, quoting.quote(sender), len(recipients))
        if self._policy is not None:
            what += b" login <%s>" % header.safe(self._session.login)
        if self._objection or queued:
            answer = reply.objection_to(self._objection) if self._objection else reply.queue(queued)
            return False, answer, b"refused message %s: %s" % (what, answer.rstrip())
        qp = self._message.submission.qp
        return True, reply.QUEUED % (time.time(), qp), b"accepted message qp %d %s" % (qp, what)

    def close(self) -> None:
        """Let go of it; if it is not queued yet it never will be."""
        self._message.close()

    def _unfit(self) -> bytes:
        """Why it must not be queued, or b""."""
        session = self._session
        found = self._message.objection()
        if not found and self._message.size > session.size:                     # it is more than was announced
            found = self._client.too_much(session.recipients, self._message.size)
        if found or self._policy is None:
            return found
        try:
            return self._policy.room(len(session.recipients))
        except (codes.Failure, OSError) as failure:
            self.trouble = reception.failure(failure)
            return objection.NO_QUEUE


def protocol(env: "Env", *, extended: bool, logged_in: bool) -> bytes:          # RFC 3848
    """What the trace line says of how it came."""
    kind = (b"ESMTP" if extended or logged_in else b"SMTP") if secure.SECURED not in env else b"ESMTPS"
    if logged_in:
        kind += b"A"
    if secure.SECURED not in env:
        return kind
    cipher = b" ".join(header.safe(env.get(each) or b"unknown") for each in (secure.SECURED, b"SSL_CIPHER"))
    return b"%s (%s)" % (kind, cipher)
