"""A POP3 session's words (RFC 1939, 2449, 3206): the machine that knows what was said and what may be answered.

AUTHORIZATION ends with a Login, TRANSACTION with QUIT or the end of the connection.  The machine takes one line
after the other; who reads them never takes more than it needs, for the next program goes on where this one stops.
"""

from vqmail.record import Record

LINE_LIMIT = 255                # bytes of a command line, CR LF included (RFC 2449 4)
NUMBER_LIMIT = 9                # digits of a message number


class Login(Record):
    """The client says who it is.  `secret` is the password, or the digest if `apop`."""

    __slots__ = ("user", "secret", "apop")
    user: bytes
    secret: bytearray
    apop: bool


class Reply(Record):
    """Nothing but an answer is wanted."""

    __slots__ = ("text",)
    text: bytes


class Quit(Record):
    """The client says goodbye."""


QUIT = Quit()
OK = b"+OK \r\n"
BYE = b"+OK see you\r\n"
FAILED = b"-ERR [AUTH] authorization failed\r\n"
TRY_LATER = b"-ERR [SYS/TEMP] cannot look that up now, try again later\r\n"
CRASHED = b"-ERR [SYS/TEMP] aack, child crashed\r\n"
NO_MAILDIR = b"-ERR this user has no $HOME/Maildir\r\n"
TIMEOUT = b"-ERR [SYS/TEMP] timeout\r\n"
TOO_LONG = b"-ERR line too long\r\n"
SYNTAX = b"-ERR syntax error\r\n"
UNKNOWN = b"-ERR unimplemented\r\n"
FIRST_LOGIN = b"-ERR authorization first\r\n"
USER_FIRST = b"-ERR USER first\r\n"
DELETED = b"-ERR already deleted\r\n"
FROM_ONE = b"-ERR messages are counted from 1\r\n"
NOT_SO_MANY = b"-ERR not that many messages\r\n"
GONE = b"-ERR unable to open that message\r\n"
NOT_ALL_DELETED = b"-ERR some deleted messages could not be removed\r\n"

CAPABILITIES = (b"TOP", b"UIDL", b"USER", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING", b"EXPIRE NEVER",
                b"IMPLEMENTATION vqmail")


def greeting(text: bytes) -> bytes:
    """What the server says first; a challenge in <> in it offers APOP (RFC 1939 7)."""
    return b"+OK %s\r\n" % text


def multiline(first: bytes, lines: "tuple[bytes, ...] | list[bytes]") -> bytes:
    """A reply of several short lines, its end included."""
    return b"+OK %s\r\n%s.\r\n" % (first, b"".join([each + b"\r\n" for each in lines]))


class Authorization:
    """One session up to the moment when the password is to be checked."""

    def __init__(self) -> None:
        self._user: bytes | None = None

    def command(self, line: bytes) -> "Login | Reply | Quit":
        """What the client wants with `line`."""
        verb, argument = _split(line)
        if verb == b"USER":                                             # RFC 1939 7
            if not argument:
                return Reply(SYNTAX)
            self._user = argument
            return Reply(OK)
        if verb == b"PASS":
            if self._user is None:
                return Reply(USER_FIRST)
            # a password may have spaces, at its ends too: only the first space is ours
            return Login(self._user, bytearray(line.rstrip(b"\r\n")[5:]), False) if argument else Reply(SYNTAX)
        if verb == b"APOP":
            user, _, digest = argument.rpartition(b" ")
            return Login(user.strip(b" "), bytearray(digest), True) if user else Reply(SYNTAX)
        if verb == b"CAPA":                                             # RFC 2449 5
            return Reply(multiline(b"what I can do", CAPABILITIES))
        if verb == b"QUIT":
            return QUIT
        return Reply(OK if verb == b"NOOP" else FIRST_LOGIN)


class Command(Record):
    """`verb` with its numbers; both None where the client gave none."""

    __slots__ = ("verb", "number", "lines")
    verb: bytes
    number: "int | None"
    lines: "int | None"


# verb: how many numbers it needs, and how many it takes
ARGUMENTS = {b"STAT": (0, 0), b"LIST": (0, 1), b"UIDL": (0, 1), b"RETR": (1, 2), b"TOP": (2, 2), b"DELE": (1, 1),
             b"NOOP": (0, 0), b"RSET": (0, 0), b"LAST": (0, 0), b"CAPA": (0, 0), b"QUIT": (0, 0)}


def command(line: bytes) -> "Command | Reply":
    """What the client wants in TRANSACTION."""
    verb, argument = _split(line)
    if verb not in ARGUMENTS:
        return Reply(UNKNOWN)
    least, most = ARGUMENTS[verb]
    words = argument.split()
    if not least <= len(words) <= most or not all(_is_number(each) for each in words):
        return Reply(SYNTAX)
    numbers = [int(each) for each in words] + [None, None]
    return Command(verb, numbers[0], numbers[1])


def _split(line: bytes) -> "tuple[bytes, bytes]":
    verb, _, argument = line.rstrip(b"\r\n").partition(b" ")
    return verb.upper(), argument.strip(b" ")


def _is_number(word: bytes) -> bool:
    return word.isdigit() and len(word) <= NUMBER_LIMIT
