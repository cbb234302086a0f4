"""A process that sends one message after another to other hosts, and keeps a connection for the next one.

A job is vq-remote's arguments, with the message and a place for its report as descriptors.  $QMAILREMOTE names a
program to run instead, as qmail-rspawn would: that one is executed, and knows of no earlier message.
"""

from vqmail import codes
from vqmail.formats import job
from vqmail.outgoing import delivery, kept, mx, route
from vqmail.store import current
from vqmail.unix import calls, child, fd, log, sockets, timed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

    from vqmail.unix.chain import Env

IDLE = 5.0                      # seconds a connection waits for the next message
USES = 100                      # messages over one connection: other senders want the host, too
JOBS = 5_000                    # then it retires
PROGRAM = b"QMAILREMOTE"


def serve(sock: "socket") -> None:
    """Do jobs from `sock` until its other end is closed.  Never returns."""
    _let_go_of_channel()
    names = mx.Names()
    connections = kept.Kept(IDLE, USES)
    routes = current.Current(route.Tables, route.FILES)
    for left in range(JOBS - 1, -1, -1):
        try:
            packet, descriptors = _next(sock, connections)
            if not packet:
                break
            code = _send(packet, descriptors, names, connections, routes)
            sockets.send(sock, b"%d" % code if left else b"%d last" % code)
        except OSError:
            break                               # whoever asked is gone
    connections.close()
    calls._exit(codes.OK)


def _let_go_of_channel() -> None:
    """0 and 1 are vq-rspawn's: vq-send is to hear from nobody else, and to see it when vq-rspawn is gone."""
    null = calls.open(b"/dev/null", calls.O_RDWR | calls.O_CLOEXEC)
    calls.dup2(null, 0, inheritable=True)
    calls.dup2(null, 1, inheritable=True)
    calls.close(null)


def _next(sock: "socket", connections: kept.Kept) -> "tuple[bytes, list[int]]":
    try:
        timed.wait_for_input(sock.fileno(), IDLE)
    except TimeoutError:
        connections.close()                     # nobody likes to be kept waiting
    return sockets.receive(sock)


def _send(packet: bytes, descriptors: "list[int]", names: mx.Names, connections: kept.Kept,
          routes: current.Current) -> int:
    message, report = descriptors
    try:
        argv, env, _ = job.decode(packet)
        if PROGRAM in env:
            return _run([env[PROGRAM], *argv[1:]], env, message, report)
        fd.write_all(report, delivery.deliver(argv[1], argv[2], argv[3:], message, names, connections,
                                               routes=routes.get))
    except Exception as bug:  # noqa: BLE001  the message waits, and the next one may fare better
        log.line(b"vq-rspawn", "%s: %s" % (type(bug).__name__, bug))
        return codes.TEMPORARY
    finally:
        calls.close(message)
        calls.close(report)
    return codes.OK


def _run(argv: "list[bytes]", env: "Env", message: int, report: int) -> int:
    try:
        return child.wait(child.start(argv, env, {0: message, 1: report, 2: 2}))
    except OSError as error:
        log.line(b"vq-rspawn", "cannot start %s: %s" % (argv[0].decode("utf-8", "replace"), error.strerror))
        return codes.TEMPORARY
