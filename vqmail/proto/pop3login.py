"""A POP3 session up to its login (RFC 1939, 2595, 5034).

Leads to a Login, and goes on if that fails.  Whoever reads the lines takes none too many: what follows the password is
for the next program, what follows STLS is for TLS.
"""

from vqmail.proto import pop3, sasl
from vqmail.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# SCRAM is none of them: a checkpassword program, which is to become the session, is asked once and answers yes or no
MECHANISMS = (sasl.PLAIN, sasl.LOGIN, sasl.CRAM_MD5)
LOGINS = (b"USER", b"PASS", b"APOP", b"AUTH")


class Offer(Record):
    """What a client may do before its login.  `stls`: ask for TLS; `login`: say who it is on this connection, by
    `mechanisms` of AUTH or otherwise.  `keeps` is said before the login and after it: see pop3.keeps()."""

    __slots__ = ("stls", "login", "mechanisms", "keeps")
    stls: bool
    login: bool
    mechanisms: "list[bytes]"
    keeps: "list[bytes]"


class Login(Record):
    """The client says who it is.  `secret` is the password, or a digest; `challenge` is what that was made for: None is
    what the greeting had."""

    __slots__ = ("user", "secret", "challenge")
    user: bytes
    secret: bytearray
    challenge: "bytes | None"

    def __repr__(self) -> str:
        return f"Login(user={self.user!r})"     # a secret must not get into a log by way of a traceback


class StartTls(Record):
    """The client wants to go on secured, after pop3.STLS_READY."""


START_TLS = StartTls()
ANYTHING = Offer(False, True, [], pop3.FOR_EVER)


class Authorization:
    """A session up to the moment when a password is to be checked, and again after a wrong one.

    `fresh` makes the challenges of CRAM-MD5, which must never be the same.
    """

    def __init__(self, offer: Offer = ANYTHING, fresh: "Callable[[], bytes]" = bytes) -> None:
        self._offer = offer
        self._fresh = fresh
        self._user: bytes | None = None
        self._exchange: sasl.Exchange | None = None

    @property
    def line_limit(self) -> int:
        """How long the next line may be, its end included."""
        return pop3.LINE_LIMIT if self._exchange is None else sasl.LINE_LIMIT + 2

    def command(self, line: bytes) -> "Login | pop3.Reply | StartTls | pop3.Quit":
        """What the client wants with `line`."""
        if self._exchange is not None:
            return self._next(self._exchange, self._exchange.step(pop3.without_end(line)))
        verb, argument = pop3.split(line)
        if verb in LOGINS and not self._offer.login:
            return pop3.Reply(pop3.NOT_IN_CLEAR)
        if verb == b"USER":                                             # RFC 1939 7
            if not argument:
                return pop3.Reply(pop3.SYNTAX)
            self._user = argument
            return pop3.Reply(pop3.OK)
        if verb == b"PASS":
            if self._user is None:
                return pop3.Reply(pop3.USER_FIRST)
            # a password may have spaces, at its ends too: only the first space is ours
            secret = bytearray(pop3.without_end(line)[len(b"PASS "):])
            return Login(self._user, secret, None) if secret else pop3.Reply(pop3.SYNTAX)
        if verb == b"APOP":
            user, _, digest = argument.rpartition(b" ")
            return Login(user.strip(b" "), bytearray(digest), None) if user else pop3.Reply(pop3.SYNTAX)
        if verb == b"AUTH":                                             # RFC 5034 4
            return self._auth(argument)
        return self._other(verb, argument)

    def _other(self, verb: bytes, argument: bytes) -> "pop3.Reply | StartTls | pop3.Quit":
        if verb == b"STLS":                                             # RFC 2595 4
            return pop3.Reply(pop3.SYNTAX) if argument else START_TLS if self._offer.stls else pop3.Reply(pop3.NO_STLS)
        if verb == b"CAPA":                                             # RFC 2449 5
            return pop3.Reply(pop3.multiline(b"what I can do", self._capabilities()))
        if verb == b"QUIT":
            return pop3.QUIT
        if verb == b"UTF8":                                             # RFC 6856 2.1: nothing is ever changed
            return pop3.Reply(pop3.SYNTAX if argument else pop3.OK)
        return pop3.Reply(pop3.OK if verb == b"NOOP" else pop3.FIRST_LOGIN)

    def _auth(self, argument: bytes) -> "Login | pop3.Reply":
        mechanism, _, initial = argument.partition(b" ")
        if not mechanism:                       # some clients ask so what there is
            return pop3.Reply(pop3.multiline(b"mechanisms", self._offer.mechanisms))
        if mechanism.upper() not in self._offer.mechanisms:
            return pop3.Reply(pop3.NO_MECHANISM)
        exchange = sasl.Exchange(mechanism.upper(), self._fresh())
        return self._next(exchange, exchange.begin(initial.strip(b" ") or None))

    def _next(self, exchange: sasl.Exchange, wanted: Record) -> "Login | pop3.Reply":
        if isinstance(wanted, sasl.Challenge):
            self._exchange = exchange
            return pop3.Reply(pop3.CHALLENGE % wanted.line())
        self._exchange = None
        if isinstance(wanted, sasl.Check):
            return Login(wanted.name, bytearray(wanted.secret), wanted.challenge)
        return pop3.Reply(pop3.CANCELLED if wanted == sasl.CANCELLED else pop3.MALFORMED)

    def _capabilities(self) -> "list[bytes]":
        """What is possible here and now."""
        offer = self._offer
        ways = [b"SASL " + b" ".join(offer.mechanisms)] if offer.mechanisms else []
        stls, login = [b"STLS"] * offer.stls, [b"USER", *ways] if offer.login else []
        return [*pop3.COMMANDS, *stls, *login, *pop3.CODES, *offer.keeps, *pop3.NAME]
