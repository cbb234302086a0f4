"""vq-auth: answer one attempt to log in.

SYNOPSIS    vq-auth

READS       0   a local socket: questions
WRITES      0   the answers
            2   the log: who logged in, who was refused and why

What `vq-service auth` does for vq-smtpd, for an installation under a single user: there is no right to
cross, so vq-smtpd starts it.  doc/LOGINS.md says who is asked about a login, and how long somebody waits
who guesses.

CONTROL FILES
            loginlimits loginseparators loginsources me minuid passwordscheme popdomains virtualdomains virtualroot

EXIT        0   the other end is gone
            111 trouble

RUNS AS     the installation's user

STANDARDS   RFC 5802, RFC 7677
"""

from vqmail import codes
from vqmail.formats import base64
from vqmail.logins import account, admission, authentication, guessing, scramsecret
from vqmail.proto import scram
from vqmail.unix import calls, limits, log, timed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.formats import scramkeys
    from vqmail.unix.chain import Env

NONCE = 18                      # random bytes of ours
SECONDS = 300                   # for the client's next message
WRONG = authentication.Answer(codes.PASSWORD_WRONG, b"", b"")


def main(argv: "list[bytes]", _env: "Env") -> int:
    """Serve until the other end is gone, or has its answer."""
    if len(argv) != 1:
        raise codes.GiveUp("usage: vq-auth, with a socket at descriptor 0")
    limits.no_core()
    conversation = None
    while True:
        timed.wait_for_input(0, SECONDS)
        packet = calls.read(0, authentication.LIMIT)
        if not packet:
            return codes.OK
        question = authentication.parse(packet)
        if question.kind == authentication.CHECK:
            answer = check(question)
        elif conversation is None:
            assert question.client is not None
            conversation = Scram(question.client)
            answer = conversation.first(question.secret)
            timed.pause(conversation.seconds)
        else:
            answer = conversation.final(question.secret)
        try:
            calls.write(0, authentication.encode(answer))
        except BrokenPipeError:                 # it did not wait
            return codes.OK


def check(question: authentication.Question) -> authentication.Answer:
    """The answer to a name and a password, after the waiting that it has to put up with."""
    assert question.client is not None
    verdict = admission.check(question.name, question.secret, question.challenge, question.client)
    return decided(question.client, verdict, question.name)


def decided(client: account.Client, verdict: admission.Verdict, name: bytes) -> authentication.Answer:
    """The answer that a verdict makes; it is logged."""
    try:
        address = verdict.account.address() if verdict.account is not None else b""
    except codes.Failure as failure:
        verdict, address = admission.trouble(failure), b""
    log.line(b"auth", admission.line(client, verdict, name))
    return authentication.Answer(verdict.code, address, b"")


class Scram:
    """One login by SCRAM-SHA-256.  Only virtual users can have what it needs.  `seconds` is how long the answer to the
    first message is to be kept back; `name` and `stored` are what the keys are made of that challenge() wants."""

    def __init__(self, client: account.Client) -> None:
        self.seconds = 0
        self.name = self.stored = b""
        self._client = client
        self._message = b""
        self._name = b""
        self._found: admission.Found | None = None
        self._server: scram.Server | None = None

    def first(self, message: bytes) -> authentication.Answer:
        """The answer to the client-first: a challenge, also for a name that there is not."""
        answer = self.refusal(message)
        if answer is not None:
            return answer
        try:
            return self.challenge(scramsecret.keys(self.name, self.stored))
        except codes.Failure as failure:
            return decided(self._client, admission.trouble(failure), self._name)

    def refusal(self, message: bytes) -> "authentication.Answer | None":
        """The answer to the client-first if it is no challenge."""
        try:
            said = scram.opening(message)
        except ValueError:
            return WRONG
        self._name = said.name
        try:
            if said.authorization not in (b"", said.name):
                return WRONG                    # nobody may act as somebody else
            self.name = admission.named(said.name, self._client)
            gate = guessing.gate(self.name, self._client.ip)
            if gate.locked:
                return decided(self._client, admission.locked(gate), said.name)
            self.seconds = gate.seconds
            self._found = admission.virtual_user(said.name, self._client)
        except codes.Failure as failure:
            return decided(self._client, admission.trouble(failure), said.name)
        self.stored = (self._found.stored if self._found else None) or b""
        self._message = message
        return None

    def challenge(self, keys: "scramkeys.Keys") -> authentication.Answer:
        """The answer to the client-first, with what scramsecret.keys() makes of `name` and `stored`."""
        nonce = base64.encode(calls.urandom(NONCE))
        self._server = scram.Server(keys.iterations, keys.salt, keys.stored_key, keys.server_key, nonce)
        return authentication.Answer(authentication.MORE, b"", self._server.first(self._message))

    def final(self, message: bytes) -> authentication.Answer:
        """The answer to the client-final: who he is, and the server's proof, which he is to be told before that."""
        server, self._server = self._server, None
        if server is None:
            return WRONG
        said = server.final(message)
        try:
            verdict = admission.proved(self._name, message, said is not None, self._found, self._client)
        except codes.Failure as failure:
            verdict = admission.trouble(failure)
        answer = decided(self._client, verdict, self._name)
        return authentication.Answer(answer.code, answer.name, said or b"") if answer.code == codes.OK else answer
