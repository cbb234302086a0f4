"""vq-queue: put one message into the queue.

SYNOPSIS    vq-queue

READS       0   the message, to its end
            1   the envelope: F sender NUL, T recipient NUL ..., NUL

Takes a message and its envelope, and exits 0 when both are on the disk; from then on the message is
the server's responsibility.  It is read completely before the envelope, so a caller may write one
after the other.  Without the envelope's final NUL nothing is queued.

Nothing here is set-uid: the message is handed to the local service `vq-service queue`, which runs
under the right user and knows from the kernel who the caller is.  The owner of a single-user
installation writes the queue directly.

ENVIRONMENT QMAILQUEUE is not looked at: this is the program that others name there.

EXIT        0   queued
            11  an address is longer than 1002 bytes
            51  no memory      52  the service did not answer
            53  write error    54  read error, or the envelope has no end
            61  the service cannot be reached
            63 64 65 66  cannot create pid, mess, intd, todo
            81  internal error 91  the envelope is not one

RUNS AS     anybody

STANDARDS   qmail-queue(8), envelopes(5)
"""

from vqmail import codes
from vqmail.formats import queuejob
from vqmail.store import roles, submit
from vqmail.unix import log, sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

def main(argv: "list[bytes]", env: "Env") -> int:  # noqa: ARG001  every program has this shape
    """Queue what comes on 0 and 1."""
    if roles.single_user():
        from vqmail.store import direct         # the queue itself; elsewhere it is the service that needs it

        return direct.descriptors(0, 1)
    try:
        service = sockets.connect(submit.SOCKET)
    except OSError as error:
        log.line(b"vq-queue", "no queue service at %s: %s; is the service `queue` up?" % (
            submit.SOCKET.decode(), error.strerror))
        return codes.QUEUE_NO_HOME
    try:
        sockets.send(service, queuejob.PIPES, [0, 1])
        code, _ = queuejob.decode_answer(service.recv(64))
        return code
    except (OSError, ValueError):               # the service died or was stopped: it did not say yes
        return codes.QUEUE_READ_ERROR
    finally:
        service.close()
