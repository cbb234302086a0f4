"""One attempt to log in, in the middle of an SMTP session: whoever checks it is asked, and nobody waits but the client.

The auth service is asked (logins/authentication.py), or a checkpassword program, of which only the exit code counts.
"""

import time

from vqmail import codes
from vqmail.formats import checkpassword, header
from vqmail.logins import account, authentication
from vqmail.proto import sasl
from vqmail.store import submission
from vqmail.unix import calls, child, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.record import Record
    from vqmail.store import resolver
    from vqmail.unix.chain import Env

DEADLINE = 60                   # seconds that a checkpassword program may take
NO_SOONER = 1.0                 # seconds from the question to a no
PROGRAM_SAYS_NO = (codes.PASSWORD_WRONG, codes.PASSWORD_NOBODY)     # every other code is trouble
NO = authentication.Answer(codes.PASSWORD_WRONG, b"", b"")


class Attempt:
    """From AUTH until it is granted or refused.  `program` is a checkpassword program, [] for the auth service."""

    def __init__(self, env: "Env", program: "list[bytes]") -> None:
        self.name = b""                         # what the client says it is
        self._env = env
        self._program = program
        self._service: authentication.Exchange | None = None
        self._answer: authentication.Answer | None = None
        self._proved = b""                      # SCRAM: who he is, as soon as he has heard that we knew it, too
        self._asked = 0.0
        self._trouble = ""

    def ask(self, step: "Record") -> int:
        """Have a sasl.Check or sasl.Relay checked.  Returns a descriptor that is readable when answer() need not wait,
        -1 if there is none.  BlockingIOError while the service is too busy to be called: ask again."""
        self._asked = time.monotonic()
        try:
            return self._ask(step)
        except BlockingIOError:
            raise
        except (codes.Failure, OSError) as failure:
            self._trouble = str(failure)
            self._answer = authentication.TROUBLE
            return -1

    def _ask(self, step: "Record") -> int:
        if isinstance(step, sasl.Check):
            self.name = step.name
            if self._program:
                self._answer = self._run(step)
                return -1
            if self._service is None:
                self._service = authentication.Exchange(self._env, account.SMTP, 0)
            return self._service.check(step.name, step.secret, step.challenge)
        assert isinstance(step, sasl.Relay)
        if self._proved:
            self._answer = NO if step.message else authentication.Answer(codes.OK, self._proved, b"")
            return -1
        if self._service is None:
            self._service = authentication.Exchange(self._env, account.SMTP, 0)
        return self._service.scram(step.message)

    def answer(self) -> authentication.Answer:
        """What the answer is; see goes_on() and is_refused()."""
        answer, self._answer = self._answer, None
        if answer is None:
            assert self._service is not None
            answer = self._service.answer()
        if answer.code == codes.OK and answer.more:
            self._proved = answer.name                  # the server's own proof is to be told first: RFC 7677 3
            return authentication.Answer(authentication.MORE, b"", answer.more)
        return answer

    @staticmethod
    def goes_on(answer: authentication.Answer) -> bool:
        """Whether another step follows, with what there is `more` of it as its challenge."""
        return answer.code == authentication.MORE

    @staticmethod
    def is_refused(answer: authentication.Answer) -> bool:
        """Whether it is a no, and neither a yes nor trouble."""
        return answer.code == authentication.REFUSED

    def policy(self, name: bytes, shared: "resolver.Resolver") -> submission.Policy:
        """What `name`, who was let in, may send.  TryLater, OSError."""
        return submission.Policy(name, self._env, submission.Settings(shared))

    def complaint(self, answer: authentication.Answer) -> bytes:
        """What the log is told of an answer that is no yes."""
        name = header.safe(answer.name or self.name)
        if self.is_refused(answer):
            return b"login failed for <%s>" % name
        return b"login of <%s> could not be checked: %s" % (
            name, self._trouble.encode("utf-8", "surrogateescape") or b"%d" % answer.code)

    def not_before(self) -> float:
        """When a refusal may be told, by time.monotonic()."""
        return self._asked + NO_SOONER

    def close(self) -> None:
        """Let go of whoever was asked."""
        if self._service is not None:
            self._service.close()
            self._service = None

    def _run(self, step: sasl.Check) -> authentication.Answer:
        try:
            secret = checkpassword.encode(step.name, step.secret, step.challenge)
        except ValueError:                              # more than there may be: nobody's password
            return NO
        there, here = calls.pipe2(calls.O_CLOEXEC)
        null = calls.open(b"/dev/null", calls.O_RDWR | calls.O_CLOEXEC)
        try:
            fd.write_all(here, secret)                  # 512 bytes at most: a pipe takes them at once
            calls.close(here)
            here = -1
            pid = child.start(self._program, self._env, {0: null, 1: null, 2: 2, 3: there}, seconds=DEADLINE)
            code = child.wait_within(pid, DEADLINE)
        finally:
            checkpassword.wipe(secret)
            for each in (there, here, null):
                if each >= 0:
                    calls.close(each)
        if code == codes.OK:
            return authentication.Answer(codes.OK, step.name, b"")
        return NO if code in PROGRAM_SAYS_NO else authentication.Answer(codes.TEMPORARY, b"", b"")
