"""A POP3 session's words (RFC 1939, 2449, 3206): every reply, and the machine that knows what was said after the login.

It takes one line after the other, and ends with QUIT.  The machine for what comes before the login is in pop3login.
"""

from vqmail.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LINE_LIMIT = 512                # bytes of a line: RFC 2449 4 asks for 255, a login may be an address of 254
NUMBER_LIMIT = 9                # digits of a number


class Reply(Record):
    """Nothing but an answer is wanted."""

    __slots__ = ("text",)
    text: bytes


class Quit(Record):
    """The client says goodbye."""


class Stat(Record):
    """How many messages are there, how many octets have they?"""


class List(Record):
    """The octets of the message `index`, or of each that is not deleted if that is None."""

    __slots__ = ("index",)
    index: "int | None"


class Uidl(Record):
    """The unique-id of the message `index`, or of each that is not deleted if that is None."""

    __slots__ = ("index",)
    index: "int | None"


class Retrieve(Record):
    """The message `index`; no more than its header and `lines` lines of its body, if that is not None."""

    __slots__ = ("index", "lines", "verb")
    index: int
    lines: "int | None"
    verb: bytes


QUIT = Quit()
STAT = Stat()
OK = b"+OK \r\n"
BYE = b"+OK see you\r\n"
OK_NUMBERS = b"+OK %d %d\r\n"
NUMBERS = b"%d %d\r\n"
NUMBER_AND_NAME = b"%d %s\r\n"
OCTETS = b"+OK %d octets\r\n"
END = b".\r\n"
FAILED = b"-ERR [AUTH] authorization failed\r\n"
TRY_LATER = b"-ERR [SYS/TEMP] cannot look that up now, try again later\r\n"
CRASHED = b"-ERR [SYS/TEMP] aack, child crashed\r\n"
NO_MAILDIR = b"-ERR this user has no $HOME/Maildir\r\n"
TOO_LONG = b"-ERR line too long\r\n"
SYNTAX = b"-ERR syntax error\r\n"
UNKNOWN = b"-ERR unimplemented\r\n"
FIRST_LOGIN = b"-ERR authorization first\r\n"
USER_FIRST = b"-ERR USER first\r\n"
DELETED = b"-ERR already deleted\r\n"
FROM_ONE = b"-ERR messages are counted from 1\r\n"
NOT_SO_MANY = b"-ERR not that many messages\r\n"
STLS_READY = b"+OK begin TLS\r\n"
NO_STLS = b"-ERR there is no TLS here, or it has begun\r\n"
NO_TLS_NOW = b"-ERR [SYS/TEMP] there is no TLS just now, try again later\r\n"
NOT_IN_CLEAR = b"-ERR not without TLS: use STLS, or the port of POP3 over TLS\r\n"
TOO_OFTEN = b"-ERR [AUTH] too many logins failed\r\n"
TOO_SOON = b"-ERR [LOGIN-DELAY] %d seconds must lie between two logins\r\n"
NO_MECHANISM = b"-ERR there is no such mechanism; see CAPA\r\n"
CHALLENGE = b"+ %s\r\n"
CANCELLED = b"-ERR cancelled\r\n"
MALFORMED = b"-ERR malformed answer\r\n"
GONE = b"-ERR unable to open that message\r\n"
NOT_ALL_DELETED = b"-ERR [SYS/TEMP] some deleted messages could not be removed\r\n"

COMMANDS = [b"TOP", b"UIDL"]
CODES = [b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING", b"UTF8"]      # RFC 2449 6, RFC 3206 6, RFC 6856 2
NAME = [b"IMPLEMENTATION vqmail"]


def keeps(expire: bytes, delay: int) -> "list[bytes]":
    """What CAPA says of mail that is `expire` days old, or b"NEVER"; and of the `delay` between two logins."""
    days = expire if expire.isdigit() else b"NEVER"
    return [b"EXPIRE " + days] + [b"LOGIN-DELAY %d" % delay] * (delay > 0)      # RFC 2449 6.5, 6.7


FOR_EVER = keeps(b"", 0)


def greeting(words: bytes) -> bytes:
    """What the server says first; with a challenge in `words` a client may use APOP (RFC 1939 7)."""
    return b"+OK %s\r\n" % words


def multiline(first: bytes, lines: "Iterable[bytes]") -> bytes:
    """A reply of several short lines, its end included."""
    return b"+OK %s\r\n%s.\r\n" % (first, b"".join([each + b"\r\n" for each in lines]))


class LineTooLong(Exception):
    """The client sent a line longer than any command."""


class Lines:
    """What the client sent, line by line."""

    def __init__(self) -> None:
        self._begun = b""
        self._whole: list[bytes] = []           # the next one is the last

    def receive(self, data: bytes) -> None:
        """Take what was read."""
        *whole, self._begun = (self._begun + data).split(b"\n")
        self._whole = whole[::-1] + self._whole if self._whole else whole[::-1]

    def next(self) -> "bytes | None":
        """The next line without its end; None if more must be read.  LineTooLong."""
        if not self._whole:
            if len(self._begun) >= LINE_LIMIT:
                raise LineTooLong
            return None
        line = self._whole.pop()
        if len(line) >= LINE_LIMIT:
            raise LineTooLong
        return line


# verb: how many numbers it needs, and how many it takes
ARGUMENTS = {b"STAT": (0, 0), b"LIST": (0, 1), b"UIDL": (0, 1), b"RETR": (1, 2), b"TOP": (2, 2), b"DELE": (1, 1),
             b"NOOP": (0, 0), b"RSET": (0, 0), b"LAST": (0, 0), b"CAPA": (0, 0), b"QUIT": (0, 0)}


class Transaction:
    """A session over `count` messages: which are marked as deleted, and what is asked about which."""

    def __init__(self, count: int, keeps: "list[bytes]" = FOR_EVER) -> None:
        self.count = count
        self._keeps = keeps
        self.deleted: set[int] = set()          # indexes: message 1 is 0
        self._last = 0

    def here(self) -> "Iterator[int]":
        """The indexes of the messages that are not deleted."""
        deleted = self.deleted
        return (each for each in range(self.count) if each not in deleted)

    def command(self, line: bytes) -> "Reply | Stat | List | Uidl | Retrieve | Quit":
        """What the client wants with `line`."""
        verb, argument = split(line)
        if verb not in ARGUMENTS:
            return Reply(UNKNOWN)
        least, most = ARGUMENTS[verb]
        words = argument.split()
        if not least <= len(words) <= most or not all(_is_number(each) for each in words):
            return Reply(SYNTAX)
        if not words:
            return self._of_all(verb)
        index = int(words[0]) - 1
        if index < 0:
            return Reply(FROM_ONE)
        if index >= self.count:
            return Reply(NOT_SO_MANY)
        if index in self.deleted:
            return Reply(DELETED)
        if verb == b"LIST":                                             # RFC 1939 5
            return List(index)
        if verb == b"UIDL":                                             # RFC 1939 7
            return Uidl(index)
        if verb != b"TOP":
            self._last = max(self._last, index + 1)
        if verb == b"DELE":
            self.deleted.add(index)
            return Reply(OK)
        # RETR with a second number is TOP, as ever
        return Retrieve(index, int(words[1]) if len(words) > 1 else None, verb)

    def _of_all(self, verb: bytes) -> "Reply | Stat | List | Uidl | Quit":
        if verb == b"STAT":
            return STAT
        if verb == b"LIST":
            return List(None)
        if verb == b"UIDL":
            return Uidl(None)
        if verb == b"QUIT":
            return QUIT
        if verb == b"LAST":                                             # RFC 1460 5
            return Reply(b"+OK %d\r\n" % self._last)
        if verb == b"CAPA":                                             # RFC 2449 5
            return Reply(multiline(b"what I can do", [*COMMANDS, *CODES, *self._keeps, *NAME]))
        if verb == b"RSET":
            self.deleted.clear()
            self._last = 0
        return Reply(OK)


def split(line: bytes) -> "tuple[bytes, bytes]":
    """(verb in capitals, argument) of a line."""
    verb, _, argument = without_end(line).partition(b" ")
    return verb.upper(), argument.strip(b" ")


def without_end(line: bytes) -> bytes:
    """A line without CR LF, or LF."""
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _is_number(word: bytes) -> bool:
    return word.isdigit() and len(word) <= NUMBER_LIMIT
