"""vq-service: run one of the local services that take the place of set-uid programs.

SYNOPSIS    vq-service queue
            vq-service virtmailfilter
            vq-service admin
            vq-service auth
            vq-service tls

WRITES      2   the log

Listens on a local socket in run/ and does what the command of the same name is asked for:

    queue           vq-queue: puts messages into the queue, many with one flush of the disk
    virtmailfilter  looks up a virtual user and delivers under the user's own uid
    admin           vq-domain, vq-user, vq-alias, vq-passwd: for the owners of domains, limited to their own
    auth            tells vq-smtpd who may log in, for its uid reads no password;
                    closes addresses that POP before SMTP opened (vq-clearopensmtp)
    tls             secures connections for vq-tls, vq-smtpd and vq-popup

Who the caller is comes from the kernel, not from the caller.  While a service is down its command
fails for now, and nothing is lost.

Ends after TERM, and to be started again when setup has renewed the library; callers that are
connected then are served on.

The certificates of tls are control/servercert.pem and, for clients that ask for NAME, by SNI,
control/servercerts/NAME.pem, where NAME may be *.DOMAIN.  Each holds the certificate, the chain above
it and the key, and belongs to root, mode 400.  A renewed file is in use within seconds; connections
go on as they began.  One that cannot be used is logged, and the one before it stays.  One that ends
within two weeks, or has ended, is used, and the log says so once a day.

FILES       run/queue/socket, run/virtmailfilter/socket, run/admin/socket, run/auth/socket,
            run/auth/guesses, run/tls/socket

CONTROL FILES
            servercert.pem servercerts (tls)
            loginlimits loginseparators loginsources me minuid opensmtp passwordscheme popdomains
            virtualdomains virtualroot (auth)

EXIT        0   stopped by TERM, or the library was renewed
            100 wrong usage
            111 cannot start; one of its processes died

RUNS AS     root; queue becomes the queue's owner at once, virtmailfilter becomes each user in a
            process of its own, admin and auth stay root; tls keeps the keys as root, and what talks
            to clients is vqtls
"""

import _signal
import gc

from vqmail import codes
from vqmail.store import opensmtp
from vqmail.unix import calls, chain, log
from vqmail.warm import admin_service, auth_service, filter_service, queue_service, registry, stale, tls_service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

LOOK = 5                        # seconds between two looks at the library

SERVICES = {
    b"queue": (queue_service.listen, queue_service.serve, queue_service.PROCESSES),
    b"virtmailfilter": (filter_service.listen, filter_service.serve, 1),
    b"admin": (admin_service.listen, admin_service.serve, 1),
    b"auth": (auth_service.listen, auth_service.serve, 1),
    b"tls": (tls_service.listen, tls_service.serve, 1),
}

CHORES = {b"auth": opensmtp.expire}     # what else there is to do at each look, while the service serves


def main(argv: "list[bytes]", env: "Env") -> int:
    """Serve until TERM."""
    if len(argv) != 2 or argv[1] not in SERVICES:
        raise codes.GiveUp("usage: vq-service %s" % "|".join(each.decode() for each in SERVICES))
    listen, serve, processes = SERVICES[argv[1]]
    try:
        listener = listen()
    except OSError as error:
        raise codes.TryLater("cannot listen: %s; is run/ there and ours? run make check-setup" % error) from None
    chain.make_resident(registry.programs())
    gc.collect()
    gc.freeze()
    children: list[int] = []
    alive, ours = calls.pipe2(calls.O_CLOEXEC)      # its end tells the children that we are gone, whatever killed us
    library = stale.Watch()

    def look(*_: object) -> None:
        if library.changed():
            log.line(b"vq-service", b"%s: the library was renewed; leaving, to be started again" % argv[1])
            stop()
        if argv[1] in CHORES:
            CHORES[argv[1]]()
        _signal.alarm(LOOK)

    def stop(*_: object) -> None:
        for each in children:
            calls.kill(each, _signal.SIGTERM)   # they finish what they have
        calls._exit(codes.OK)

    for number in range(processes):
        pid = calls.fork()
        if pid == 0:
            calls.close(ours)
            calls._exit(_child(serve, listener, number, alive))
        children.append(pid)
    _signal.signal(_signal.SIGTERM, stop)
    _signal.signal(_signal.SIGALRM, look)
    _signal.alarm(LOOK)
    log.line(b"vq-service", b"%s: ready, pid %d" % (argv[1], calls.getpid()))
    pid, status = calls.waitpid(-1, 0)          # they do not end: one that does takes all down, to be started afresh
    children.remove(pid)
    for each in children:
        calls.kill(each, _signal.SIGTERM)
    log.line(b"vq-service", "%s: process %d ended with status %d" % (argv[1].decode(), pid, status))
    return codes.TEMPORARY


def _child(serve: "object", listener: "object", number: int, alive: int) -> int:
    _signal.signal(_signal.SIGTERM, _signal.SIG_DFL)
    outcome = chain.run(lambda _argv, _env: serve(listener, number, alive), [b"vq-service"], {})  # type: ignore[operator]
    return outcome if isinstance(outcome, int) else codes.TEMPORARY
