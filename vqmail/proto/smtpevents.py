"""What an SMTP client wants: the events of proto/smtp.py.  A client that logs in makes those of proto/sasl.py, too."""

from vqmail.record import Record


class Terms(Record):
    """What a session offers, and what it demands first.

        starttls        the connection can be secured
        secured         it is already
        tls_first       it must be, before anything else
        login_first     nobody may send who has not logged in
        mechanisms      ways to log in, of sasl.MECHANISMS
        locked          there will be some, but not before the connection is secured
        nonce           makes the challenges of this connection, which must not have been anybody's before
    """

    __slots__ = ("starttls", "secured", "tls_first", "login_first", "mechanisms", "locked", "nonce")
    starttls: bool
    secured: bool
    tls_first: bool
    login_first: bool
    mechanisms: "tuple[bytes, ...]"
    locked: bool
    nonce: bytes


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


class StartTls(Record):
    """The client wants the connection to be secured (RFC 3207)."""


class Closed(Record):
    """The session is over; `reason` is a word for the log."""

    __slots__ = ("reason",)
    reason: bytes


class NeedData(Record):
    """There is no more in what was received."""


OPEN = Terms(starttls=False, secured=False, tls_first=False, login_first=False, mechanisms=(), locked=False, nonce=b"")
NEED_DATA = NeedData()
DATA = Data()
END = End()
START_TLS = StartTls()
QUIT = Closed(b"quit")
BARE_NEWLINE = Closed(b"bare-newline")
TOO_MANY_ERRORS = Closed(b"too-many-errors")
EARLY_DATA = Closed(b"early-data")
SECURING = Closed(b"starttls")
