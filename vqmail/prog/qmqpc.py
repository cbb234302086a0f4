"""vq-qmqpc: hand one message to the queue of another machine, by QMQP.

SYNOPSIS    vq-qmqpc

READS       0   the message, to its end
            1   the envelope: F sender NUL, T recipient NUL ..., NUL
WRITES      6   what the other machine says, if 6 is a pipe and the exit code 82
            2   the log: why a server was passed over or an exit code is not 0

Takes a message and its envelope as vq-queue does, and exits 0 when one of the servers in
control/qmqpservers has said that it is in its queue.  A machine without a queue has it in the place of
vq-queue: QMAILQUEUE names it.  Nothing is sent before all of the message and its envelope are there.

The servers are tried in the order of the file.  The next one is tried only if there is no connection to
the one before within 10 seconds; once anything was sent, a lost connection or 60 seconds of silence
end the attempt, for the message may be in that server's queue.

A message that comes through a pipe is kept in memory up to 1 MiB, and beyond in a file without a name in
/var/tmp or /tmp.

CONTROL FILES
            qmqpservers     one server a line, an IPv4 address or an IPv6 address, with a port behind a
                            colon if it is not 628: 10.0.0.1, 10.0.0.1:1628, fd00::1, [fd00::1]:1628

EXIT        0   queued there
            11  an address is longer than 1002 bytes
            31  refused for ever       71  refused for now
            82  the same, and the pipe at 6 says D or Z and why
            53  no room for the message
            54  read error, or the envelope has no end
            55  no server in control/qmqpservers, or the file cannot be read
            56  no socket
            72  the last server did not answer our call
            73  the last server refused our call
            74  the connection broke
            91  the envelope is not one

RUNS AS     anybody

STANDARDS   qmail-qmqpc(8), qmail-queue(8), envelopes(5); https://cr.yp.to/proto/qmqp.html
"""

import errno
import time

from vqmail import codes
from vqmail.formats import answers, envelope, ip, netstring, smtproutes
from vqmail.outgoing import connection
from vqmail.store import control
from vqmail.unix import calls, fd, log, spool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vqmail.unix.chain import Env

PORT = 628
CONNECT = 10                    # seconds
SILENCE = 60                    # seconds
LONGEST = 86400                 # seconds of one message, as vq-queue
PIECE = 65536
ANSWER_LIMIT = 10_000           # bytes
# what connect says where this machine has no socket or no way, not the other one no server
NO_SOCKET = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAFNOSUPPORT)


class Stop(Exception):
    """There is nothing more to be done; the exit code and why."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


def main(argv: "list[bytes]", env: "Env") -> int:  # noqa: ARG001  every program has this shape
    """Hand over what comes on 0 and 1."""
    message = spool.Spool()
    try:
        size = _read_message(message)
        sender, recipients = _read_envelope()
        tail = b"".join([netstring.encode(each) for each in (sender, *recipients)])
        head = b"%d:" % size
        whole = len(head) + size + 1 + len(tail)
        parts = b"%d:%s" % (whole, head), _pieces(message, size), b",%s," % tail
        server = _connect(_servers())
        try:
            return _report(_deliver(server, *parts))
        finally:
            server.close()
    except Stop as stop:
        log.line(log.name_of(argv), str(stop))
        return stop.code
    finally:
        message.close()


def _read_message(message: spool.Spool) -> int:
    """The size of the message, which is in `message` then unless descriptor 0 is a file."""
    try:
        status = calls.fstat(0)
        if status.st_mode & 0o170000 == 0o100000:
            return max(status.st_size - calls.lseek(0, 0, 1), 0)
        for piece in fd.rest(0):
            try:
                message.write(piece)
            except OSError as error:
                raise Stop(codes.QUEUE_WRITE_ERROR, "cannot keep the message: %s" % error.strerror) from None
    except OSError as error:
        raise Stop(codes.QUEUE_READ_ERROR, "cannot read the message: %s" % error.strerror) from None
    return message.size


def _pieces(message: spool.Spool, size: int) -> "Iterator[bytes]":
    """The `size` bytes of the message.  Stop if a file has become shorter meanwhile."""
    try:
        yield from message.pieces()
        left = size - message.size
        while left:
            piece = calls.read(0, min(left, PIECE))
            if not piece:
                raise Stop(codes.QUEUE_READ_ERROR, "the message lost its end while it was sent")
            left -= len(piece)
            yield piece
    except OSError as error:
        raise Stop(codes.QUEUE_READ_ERROR, "cannot read the message: %s" % error.strerror) from None


def _read_envelope() -> "tuple[bytes, list[bytes]]":
    collector = envelope.Collector()
    try:
        while (piece := calls.read(1, PIECE)) and not collector.feed(piece):
            pass
        return envelope.decode(collector.text())
    except OSError as error:
        raise Stop(codes.QUEUE_READ_ERROR, "cannot read the envelope: %s" % error.strerror) from None
    except envelope.TooLong:
        raise Stop(codes.QUEUE_ADDRESS_TOO_LONG, "an address is too long") from None
    except envelope.Unfinished:
        raise Stop(codes.QUEUE_READ_ERROR, "the envelope has no end: the caller gave up") from None
    except ValueError as error:
        raise Stop(codes.QUEUE_ENVELOPE_FORMAT, "bad envelope: %s" % error) from None


def _servers() -> "list[tuple[bytes, int]]":
    """(address, port) of each server."""
    servers = []
    try:
        lines = control.entries(b"qmqpservers") or ()
    except codes.Failure as failure:
        raise Stop(codes.QUEUE_NO_CONFIGURATION, str(failure)) from None
    for line in lines:
        try:
            host, port = smtproutes.whereto(line, PORT)
            if ip.pack(host) is None:
                raise ValueError("it is no IP address; names are not looked up")
            servers.append((host, port))
        except ValueError as error:
            log.line(b"vq-qmqpc", "control/qmqpservers: %s: passed over: %s" % (line.decode("utf-8", "replace"), error))
    if not servers:
        raise Stop(codes.QUEUE_NO_CONFIGURATION, "no server; put the address of one into control/qmqpservers")
    return servers


def _connect(servers: "list[tuple[bytes, int]]") -> connection.Connection:
    """A connection to the first server that answers."""
    code = codes.QUEUE_NO_NETWORK
    for host, port in servers:
        try:
            server = connection.Connection(host, port, b"", CONNECT)
        except OSError as error:
            timeout = isinstance(error, TimeoutError)
            why = error.strerror or "it did not answer in %d seconds" % CONNECT
            log.line(b"vq-qmqpc", "no connection to %s port %d: %s" % (host.decode(), port, why))
            code = codes.QUEUE_CONNECT_TIMEOUT if timeout else (
                codes.QUEUE_NO_NETWORK if error.errno in NO_SOCKET else codes.QUEUE_CONNECT_REFUSED)
            continue
        server.patience, server.deadline = SILENCE, time.monotonic() + LONGEST
        return server
    raise Stop(code, "none of the %d servers in control/qmqpservers answers" % len(servers))


def _deliver(server: connection.Connection, head: bytes, message: "Iterator[bytes]", tail: bytes) -> bytes:
    """Send it; the answer, which begins with K, D or Z."""
    try:
        server.write(head)
        for piece in message:
            if server.broken:
                break
            server.write(piece)
        server.write(tail)
        said = netstring.Decoder(lambda: server.read(time.monotonic() + SILENCE))
        answer = said.whole(ANSWER_LIMIT, ANSWER_LIMIT) or b""
    except (connection.Lost, OSError, ValueError) as error:
        raise Stop(codes.QUEUE_CONNECTION_BROKE, "the server did not say what became of it: %s" % error) from None
    if answer[:1] not in (b"K", b"D", b"Z") or (server.broken and answer[:1] == b"K"):
        raise Stop(codes.QUEUE_CONNECTION_BROKE, "the server's answer makes no sense: %r" % answer[:100])
    return answer


def _report(answer: bytes) -> int:
    """The exit code for the server's answer."""
    kind, why = answer[:1], answer[1:].rstrip()
    if kind == b"K":
        return codes.OK
    log.line(b"vq-qmqpc", b"the server refuses the message %s: %s" % (b"for ever" if kind == b"D" else b"for now", why))
    if len(why) > 1 and _is_pipe(6):
        try:
            fd.write_all(6, (kind + why)[:answers.CUSTOM_LIMIT])
        except OSError:                         # its reader has gone
            pass
        else:
            return codes.QUEUE_CUSTOM
    return codes.QUEUE_REFUSED if kind == b"D" else codes.QUEUE_REFUSED_FOR_NOW


def _is_pipe(number: int) -> bool:
    """Whether there is a pipe at `number`: whoever started us is one that reads it."""
    try:
        return calls.fstat(number).st_mode & 0o170000 == 0o010000
    except OSError:
        return False
