"""What the servers of QMTP and QMQP share: a client that sends netstrings, its messages one after the other on their
way into the queue, and their story in the log.
"""

import time

from vqmail import codes
from vqmail.formats import header, netstring, objection, quoting
from vqmail.store import control, reception
from vqmail.unix import calls, log, stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vqmail.unix.chain import Env

    Letter = Callable[[bytes], bytes]

LARGEST = 200_000_000           # bytes of a netstring: qmail's limit
ADDRESS_LIMIT = 999             # bytes: qmail's limit
LONGEST = 3600                  # seconds of a session
LOGGED = 50                     # refused recipients of one connection that get a line of their own
QUIT = b"quit"


def serve(argv: "list[bytes]", env: "Env", protocol: bytes, letter: "Letter",
          talk: "Callable[[Transfer], None]") -> int:
    """Have talk() talk to the client at 0 and 1; the exit code.  TryLater if a control file cannot be read.

    `letter` puts an objection, or what a queue said, into words for the client: D or Z and a text.
    """
    transfer = Transfer(argv, env, protocol, letter)
    reason, code = QUIT, codes.OK
    try:
        talk(transfer)
    except stream.Over as over:
        reason, code = over.reason, codes.TEMPORARY if over.reason == b"timeout" else codes.SESSION_BROKEN
    except netstring.Unfinished:
        reason, code = b"lost", codes.SESSION_BROKEN
    except netstring.TooLong as error:
        reason, code = b"too-long: " + str(error).encode(), codes.TEMPORARY
    except netstring.Malformed as error:
        reason, code = b"malformed: " + str(error).encode(), codes.PERMANENT
    finally:
        transfer.close()
    transfer.log(b"end %s messages %d refused %d" % (reason, transfer.accepted, transfer.refused))
    return code


class Transfer:
    """One connection.  `input` is what the client sends, `client` what it may do; `accepted` messages and `refused`
    recipients are counted."""

    def __init__(self, argv: "list[bytes]", env: "Env", protocol: bytes, letter: "Letter") -> None:
        self.client = reception.Client(reception.Settings(), env)
        self.stream = stream.Stream(max(control.number(b"timeoutsmtpd"), 1), LONGEST)
        self.input = netstring.Decoder(self.stream.read)
        self.accepted = self.refused = 0
        self._env = env
        self._protocol = protocol
        self._letter = letter
        self._name = log.name_of(argv)
        self._who = b"pid %d from %s" % (calls.getpid(), header.safe(env.get(b"TCPREMOTEIP", b"unknown")))
        self._message: reception.Message | None = None

    def log(self, text: bytes) -> None:
        """A line in the log that says who the client is."""
        log.line(self._name, b"%s %s" % (self._who, text))

    def begin(self) -> None:
        """A message begins.  If there is no queue it goes nowhere, and finish() says so."""
        try:
            self._message = reception.Message(
                self._env, self.client.limit, reception.trace(self._env, b"", self._protocol))
        except (codes.Failure, OSError) as failure:
            self.log(reception.failure(failure))

    def size(self) -> int:
        """How long the message is so far."""
        return self._message.size if self._message else 0

    def write(self, text: bytes) -> None:
        """Append to the message."""
        if self._message:
            self._message.write(text)

    def address(self) -> "bytes | None":
        """The address that comes next; None if it is not one that we can handle."""
        address = self.input.whole(ADDRESS_LIMIT, LARGEST)
        return address if address is not None and is_fit(address) else None

    def refuse(self, sender: bytes, recipient: bytes, answer: bytes) -> None:
        """Say in the log that this one does not get it."""
        self.refused += 1
        if self.refused <= LOGGED:
            self.log(b"refused recipient <%s> from <%s>: %s" % (
                quoting.quote(recipient), quoting.quote(sender), answer))

    def finish(self, sender: bytes, recipients: "list[bytes]") -> "tuple[int, bytes]":
        """Have the message queued.  (qp, b"") when it is on the disk, else (0, D or Z and why)."""
        message, self._message = self._message, None
        if message is None:
            return 0, self._letter(objection.NO_QUEUE)
        try:
            answer = message.objection() or message.submission.finish(sender, recipients)
        finally:
            message.close()
        what = b"bytes %d sender <%s> recipients %d" % (message.size, quoting.quote(sender), len(recipients))
        if answer:
            answer = self._letter(answer)
            self.log(b"refused message %s: %s" % (what, answer))
            return 0, answer
        self.accepted += 1
        self.log(b"accepted message qp %d %s" % (message.submission.qp, what))
        return message.submission.qp, b""

    def drop(self) -> None:
        """Forget the message: it is not going to be queued."""
        message, self._message = self._message, None
        if message:
            message.close()

    def close(self) -> None:
        """Let go of everything; a message that is not queued never will be."""
        self.drop()
        self.client.close()
        self.stream.close()


def is_fit(address: bytes) -> bool:
    """Whether no byte of it can end a record of the queue, or a line."""
    return not any(byte < 32 or byte == 127 for byte in address)


def clock() -> int:
    """The time that an answer names."""
    return int(time.time())
