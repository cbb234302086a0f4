"""Logging in, the server's end (RFC 4422), whatever protocol carries it: SMTP's AUTH (RFC 4954), POP3's (RFC 5034).

begin() takes what stood behind the mechanism, step() each line that the client sends then, both in base64 as they
came; both say what is to be done:

    Challenge(text)                     send text in base64, and step() with the answer
    Check(name, secret, challenge)      is it he?  `secret` is a password, or a digest if there is a challenge
    Relay(message)                      for who knows the secrets (SCRAM); what he says is the next challenge
    CANCELLED, MALFORMED                it is over

Nothing here knows a password; nothing of the client's is kept when the exchange is over.
"""

from vqmail.formats import base64
from vqmail.record import Record

LINE_LIMIT = 2048               # bytes of one line in base64; a name and a password that we check have 512 together

PLAIN = b"PLAIN"
LOGIN = b"LOGIN"
CRAM_MD5 = b"CRAM-MD5"
SCRAM_SHA_256 = b"SCRAM-SHA-256"
MECHANISMS = (PLAIN, LOGIN, CRAM_MD5, SCRAM_SHA_256)

USERNAME = b"Username:"
PASSWORD = b"Password:"
CONTROLS = bytes(each for each in range(256) if each < 32 or each == 127)


class Challenge(Record):
    """The server says `text`."""

    __slots__ = ("text",)
    text: bytes

    def line(self) -> bytes:
        """The text as it is sent."""
        return base64.encode(self.text)


class Check(Record):
    """The client says it is `name`."""

    __slots__ = ("name", "secret", "challenge")
    name: bytes
    secret: bytes
    challenge: bytes

    def __repr__(self) -> str:
        return f"Check(name={self.name!r})"     # a secret must not get into a log by way of a traceback


class Relay(Record):
    """A message of a mechanism that another process speaks."""

    __slots__ = ("message",)
    message: bytes


class Over(Record):
    """The exchange failed before there was anything to check."""

    __slots__ = ("reason",)
    reason: bytes


CANCELLED = Over(b"cancelled")
MALFORMED = Over(b"malformed")


class Exchange:
    """One attempt.  `mechanism` is one of MECHANISMS; `challenge` is what CRAM-MD5 sends, new for each attempt."""

    def __init__(self, mechanism: bytes, challenge: bytes = b"") -> None:
        self.mechanism = mechanism
        self._challenge = challenge
        self._name: bytes | None = None         # LOGIN sends it first

    def begin(self, initial: "bytes | None") -> Record:
        """What to do first; `initial` is None if the client sent no initial response, b"=" if it sent an empty one."""
        if self.mechanism == CRAM_MD5:                                          # the server speaks first: RFC 2195 2
            return MALFORMED if initial is not None else Challenge(self._challenge)
        if initial is None:
            return Challenge(USERNAME if self.mechanism == LOGIN else b"")
        return self.step(b"" if initial == b"=" else initial)                   # RFC 4954 4

    def step(self, line: bytes) -> Record:
        """What to do about the client's answer."""
        if line == b"*":
            return CANCELLED                                                    # RFC 4954 4
        if len(line) > LINE_LIMIT:
            return MALFORMED
        try:
            message = base64.decode(line)
        except ValueError:
            return MALFORMED
        if base64.encode(message) != line:                      # nobody encodes it so
            return MALFORMED
        return STEPS[self.mechanism](self, message)

    def _plain(self, message: bytes) -> Record:                                 # RFC 4616 2
        identity, *fields = message.split(b"\0")
        if len(fields) != 2 or identity not in (b"", fields[0]):                # nobody may act as somebody else
            return MALFORMED
        return self._check(fields[0], fields[1])

    def _login(self, message: bytes) -> Record:
        if self._name is None:
            self._name = message
            return Challenge(PASSWORD)
        return self._check(self._name, message)

    def _cram_md5(self, message: bytes) -> Record:                              # RFC 2195 2
        name, _, digest = message.rpartition(b" ")
        if len(digest) != 32 or digest.strip(b"0123456789abcdefABCDEF"):
            return MALFORMED
        return self._check(name, digest.lower())

    def _scram(self, message: bytes) -> Record:
        return Relay(message)

    def _check(self, name: bytes, secret: bytes) -> Record:
        # a NUL would end the field in which a checkpassword program reads it, a newline the line of a log
        if not name or not secret or b"\0" in secret or name.translate(None, CONTROLS) != name:
            return MALFORMED
        return Check(name, secret, self._challenge if self.mechanism == CRAM_MD5 else b"")


STEPS = {
    PLAIN: Exchange._plain,
    LOGIN: Exchange._login,
    CRAM_MD5: Exchange._cram_md5,
    SCRAM_SHA_256: Exchange._scram,
}
