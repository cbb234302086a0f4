"""Asking the auth service whether somebody may log in: what vq-smtpd does, whose uid reads no password.

A question is one packet, fields with a NUL between them; a conversation is one connection to run/auth/socket:

    check NUL name NUL secret NUL challenge NUL service NUL secured NUL NAME=value NUL ...
    scram NUL service NUL secured NUL NAME=value NUL ... NUL NUL message
    scram NUL NUL message               what the client says next
    answer: code NUL name NUL more

Who is not answered, or cannot ask, is told 111: trouble, and no refusal.  In an installation under a single user there
is no uid to cross, and no service: a child of ours answers.
"""

from vqmail import codes, vqhome
from vqmail.logins import account
from vqmail.record import Record
from vqmail.store import roles
from vqmail.unix import child, log, sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Mapping

PROGRAM = vqhome.path(b"bin/vq-auth")
SOCKET = vqhome.path(b"run/auth/socket")
LIMIT = 8192                    # bytes of a question or an answer
MORE = 300                      # a code: `more` is the next challenge
REFUSED = codes.PASSWORD_WRONG
DEADLINE = 600                  # seconds that a child of ours may live
RUNNING = "is it running? svstat %s" % vqhome.path(b"service/auth").decode("utf-8", "replace")
PATIENCE = 2                    # seconds to reach the service
CHECK, SCRAM = b"check", b"scram"
END = b"\0\0"                   # before the message of SCRAM, which may hold any byte


class Answer(Record):
    """`code` 0: he is `name`, the address that people know; REFUSED; 111, trouble; MORE: `more` is the next challenge.

    With 0 `more` is the proof that SCRAM's client wants of the server: it is to be told first, b"" if there is none.
    """

    __slots__ = ("code", "name", "more")
    code: int
    name: bytes
    more: bytes


TROUBLE = Answer(codes.TEMPORARY, b"", b"")


class Question(Record):
    """What the service reads.  SCRAM has its message in `secret`; after the first one `client` is None."""

    __slots__ = ("kind", "name", "secret", "challenge", "client")
    kind: bytes
    name: bytes
    secret: bytes
    challenge: bytes
    client: "account.Client | None"

    def __repr__(self) -> str:
        return "Question(%r, %r)" % (self.kind, self.name)       # a secret must not get into a log


class Exchange:
    """One attempt to log in to `service`.  `env` is the session's.  With no `patience` (seconds) the first question is
    a BlockingIOError while the service is too busy to be called: ask again."""

    def __init__(self, env: "Mapping[bytes, bytes]", service: bytes, patience: int = PATIENCE) -> None:
        self._patience = patience
        self._client = account.Client.of(env, service)
        self._sock: socket | None = None
        self._pid = 0

    def check(self, name: bytes, secret: bytes, challenge: bytes) -> int:
        """Ask; returns a descriptor that is readable when answer() need not wait."""
        fields = (name, secret, challenge)
        if b"\0" in b"".join(fields):           # nobody's password
            fields = (b"", b"", b"")
        return self._send(packed(Question(CHECK, *fields, self._client)))

    def scram(self, message: bytes) -> int:
        """Hand on a message of the client's, and the next ones; returns a descriptor as check() does."""
        first = self._sock is None
        head = b"\0".join((SCRAM, *_of_client(self._client))) if first else SCRAM
        return self._send(head + END + message)

    def answer(self) -> Answer:
        """What the service says."""
        if self._sock is None:                  # too busy to be called, and given up
            return TROUBLE
        try:
            packet = self._sock.recv(LIMIT)
        except OSError:
            return TROUBLE
        code, _, rest = packet.partition(b"\0")
        name, found, more = rest.partition(b"\0")
        if not found or not code.isdigit():
            return TROUBLE
        return Answer(int(code), name, more)

    def close(self) -> None:
        """Be done with it, answered or not."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None
        if self._pid:
            pid, self._pid = self._pid, 0
            child.stop(pid)                     # nobody waits until it has thought, or slept, to its end

    def _send(self, packet: bytes) -> int:
        if self._sock is None:
            self._sock = self._connect()
            if self._sock is None:
                self._sock = _dead()
                return self._sock.fileno()
        try:
            if len(packet) <= LIMIT:
                sockets.send(self._sock, packet)
        except OSError as error:
            self._sock.close()
            log.line(b"auth", "cannot ask the auth service: %s; %s" % (log.reason(error), RUNNING))
            self._sock = _dead()
        if len(packet) > LIMIT:                 # nobody's password
            self._sock.close()
            self._sock = _refusal()
        return self._sock.fileno()

    def _connect(self) -> "socket | None":
        """The service, or a child; None if there is neither, as the log says."""
        try:
            if roles.single_user():
                return self._child()
            return sockets.connect(SOCKET, self._patience)
        except OSError as error:
            if isinstance(error, BlockingIOError) and not self._patience:
                raise
            log.line(b"auth", "cannot reach the auth service: %s; %s" % (log.reason(error), RUNNING))
            return None

    def _child(self) -> "socket":
        ours, theirs = sockets.pair()
        try:
            self._pid = child.start([PROGRAM], {b"PATH": b"/usr/bin:/bin"}, {0: theirs.fileno(), 2: 2},
                                    seconds=DEADLINE)
        finally:
            theirs.close()
        return ours


def parse(packet: bytes) -> Question:
    """The question.  ValueError if it is none."""
    if packet.startswith(SCRAM + b"\0"):
        head, found, message = packet.partition(END)
        fields = head.split(b"\0")
        if not found:
            raise ValueError("no message")
        return Question(SCRAM, b"", message, b"", _client(fields[1:]) if len(fields) > 1 else None)
    fields = packet.split(b"\0")
    if fields[0] != CHECK or len(fields) < 6:
        raise ValueError("no question")
    return Question(CHECK, fields[1], fields[2], fields[3], _client(fields[4:]))


def packed(question: Question) -> bytes:
    """The packet of a question of CHECK."""
    assert question.client is not None
    return b"\0".join((CHECK, question.name, question.secret, question.challenge, *_of_client(question.client)))


def encode(answer: Answer) -> bytes:
    """The packet of an answer."""
    return b"%d\0%s\0%s" % (answer.code, answer.name, answer.more)


def _of_client(client: account.Client) -> "list[bytes]":
    return [client.service or b"-", b"1" if client.secured else b"0",
            *(b"%s=%s" % each for each in client.env().items())]


def _client(fields: "list[bytes]") -> account.Client:
    if len(fields) < 2:
        raise ValueError("no client")
    env = {}
    for each in fields[2:]:
        name, _, value = each.partition(b"=")
        env[name] = value
    if fields[1] == b"1":
        env[account.SECURED] = b"1"
    return account.Client.of(env, fields[0])


def _dead() -> "socket":
    """A connection whose other end is gone."""
    ours, theirs = sockets.pair()
    theirs.close()
    return ours


def _refusal() -> "socket":
    ours, theirs = sockets.pair()
    sockets.send(theirs, encode(Answer(REFUSED, b"", b"")))
    theirs.close()
    return ours
