"""Takes connections and has them served: by workers that have the program loaded, or each by a child.

This process reads no byte of a client's and looks nothing up; it does as little as it can for a connection.
"""

import _signal
import errno
import gc
import time

from vqmail import codes
from vqmail.formats import job
from vqmail.unix import calls, chain, fd, log, loop, sockets
from vqmail.warm import connection, crew, pool, registry, session, sessions, stale, worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

    from vqmail.unix.chain import Env
    from vqmail.warm.tcpoptions import Options

CREW = 2                        # processes that serve many connections each
SPARE = 4                       # idle workers that are kept however long there is nothing to do
IDLE = 60.0                     # seconds that the others are kept
DEATHS = 10                     # workers that may die in a second; then we take a breath
BREATH = 1.0                    # seconds
AT_ONCE = 8                     # connections taken before they are served: each holds a descriptor meanwhile
SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Server:
    """The connections that are open, and who serves them."""

    def __init__(self, options: "Options", listener: "socket", env: "Env") -> None:
        chain.make_resident(registry.network())
        self._options = options
        self._listener = listener
        self._connections = connection.Connections(options, listener.family, env)
        self._loop = loop.Loop()
        umask = calls.umask(0o077)
        calls.umask(umask)
        self._pool = pool.Pool(self._loop, options.limit,
                               lambda sock: worker.serve(sock, self._connections.run, b".", umask), go_on=self._go_on)
        # who has logged in goes on in a process of his own uid, which never held another's password
        self._sessions = pool.Pool(self._loop, options.limit,
                                   lambda sock: worker.serve(sock, worker.go_on, b"/", umask))
        # a program that mostly waits for its clients is served by a few processes, all clients together
        self._crew = crew.Crew(self._loop, min(CREW, options.limit),
                               lambda sock: sessions.serve(sock, self._connections)) if self._many(env) else None
        self._children: set[int] = set()
        self._running = 0
        self._lines: list[bytes] = []
        self._stopping = False
        self._listening = False
        self._paused_until = 0.0
        self._trim_at = 0.0
        self._deaths = (0, 0.0)                 # of workers: how many before that moment
        self._library = stale.Watch()

    def _many(self, env: "Env") -> bool:
        """Whether one process can serve many clients: nothing in it has to wait for anybody but them."""
        return (self._connections.is_program(session.NAME) and self._connections.quick and b"QMAILQUEUE" not in env)

    def run(self) -> int:
        """Accept until told to stop.  Who is being served then is served on, by the workers or children alone."""
        self._loop.watch_signal(_signal.SIGTERM, self._stop)
        if not self._connections.warm:
            self._loop.watch_signal(_signal.SIGCHLD, self._reap)
        gc.collect()
        gc.freeze()
        self._say_status()
        while not self._stopping:
            seconds = self._regulate(time.monotonic())
            self._write_log()
            self._loop.turn(seconds)
        self._write_log()
        return codes.OK

    def _stop(self) -> None:
        self._stopping = True

    def _regulate(self, now: float) -> "float | None":
        """Listen or not, as things are; how long to wait for something to happen."""
        deaths, since = self._deaths
        if self._dead() - deaths >= DEATHS and now >= self._paused_until:
            log.line(connection.NAME, "warning: %d workers died in a second; no connection is taken for the next"
                     % (self._dead() - deaths))
            self._paused_until = now + BREATH
        if now >= since + BREATH:
            self._deaths = (self._dead(), now)
        listen = self._running < self._options.limit and now >= self._paused_until
        if listen != self._listening:
            self._listening = listen
            if listen:
                self._loop.watch(self._listener.fileno(), self._accept)
            else:
                self._loop.forget(self._listener.fileno())
        if now < self._paused_until:
            return self._paused_until - now
        if self._pool.idle() <= SPARE and not self._sessions.idle():
            return None
        if now >= self._trim_at:
            self._trim_at = now + IDLE / 10
            self._pool.trim(SPARE, now - IDLE)
            self._sessions.trim(0, now - IDLE)
        return IDLE / 10

    def _dead(self) -> int:
        """How many workers have died."""
        return self._pool.deaths + self._sessions.deaths + (self._crew.deaths if self._crew is not None else 0)

    def _accept(self) -> None:
        taken: list[tuple[int, tuple[str, int]]] = []
        if self._library.changed():
            self._stopping = True               # but whoever waits at the door is let in
            if not self._options.quiet:
                log.line(connection.NAME, "the library was renewed; leaving, to be started again")
        while self._running < self._options.limit and len(taken) < AT_ONCE:
            try:
                taken.append(sockets.accept_from_afar(self._listener))
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in SCARCE:
                    log.line(connection.NAME, "warning: cannot take a connection: %s; is the limit of open files or of "
                             "memory too low for -c %d?" % (error.strerror, self._options.limit))
                    self._paused_until = time.monotonic() + BREATH
                    break
                continue                        # that client is gone already
            self._running += 1
            self._say_status()
        self._write_log()                       # before the lines of those who serve them
        for descriptor, remote in taken:
            if self._connections.warm:
                self._hand_over(descriptor, remote)
            else:
                self._start(descriptor, remote)

    def _hand_over(self, descriptor: int, remote: "tuple[str, int]") -> None:
        pid = 0

        def done(code: int) -> None:
            self._ended(pid, code << 8 if code >= 0 else -code)

        if self._crew is not None:
            pid = self._crew.submit(connection.announce(remote), descriptor, done)
        else:
            pid = self._pool.submit(None, connection.announce(remote), [descriptor], done)
        if not pid:                             # no process to be had; the pool has said why
            self._paused_until = time.monotonic() + BREATH

    def _go_on(self, packet: bytes, descriptors: "list[int]", done: "Callable[[int], None]") -> None:
        """Have a session go on as its user."""
        uid, gid, _, _ = job.decode_session(packet)
        self._sessions.submit((uid, gid), packet, descriptors, done)

    def _start(self, descriptor: int, remote: "tuple[str, int]") -> None:
        try:
            pid = calls.fork()
        except OSError as error:
            log.line(connection.NAME, "warning: dropping connection, unable to fork: %s" % error.strerror)
            calls.close(descriptor)
            self._ended(0, 0)
            return
        if pid:
            self._children.add(pid)
            calls.close(descriptor)
            return
        try:
            pool.forget_signals()
            self._listener.close()              # looking up may take longer than a restart of ours
            self._connections.become(remote, descriptor)
        finally:
            calls._exit(codes.TEMPORARY)        # never back into the parent's loop

    def _reap(self) -> None:
        while self._children:
            pid, status = calls.waitpid(-1, calls.WNOHANG)
            if pid == 0:
                return
            if pid in self._children:
                self._children.discard(pid)
                self._ended(pid, status)

    def _ended(self, pid: int, status: int) -> None:
        """The connection that `pid` served is over; 0: it never began."""
        self._running -= 1
        if pid and self._options.verbose:
            self._lines.append(b"tcpserver: end %d status %d\n" % (pid, status))
        self._say_status()

    def _say_status(self) -> None:
        if self._options.verbose:
            self._lines.append(b"tcpserver: status: %d/%d\n" % (self._running, self._options.limit))

    def _write_log(self) -> None:
        lines, self._lines = self._lines, []
        if lines:
            try:
                fd.write_all(2, b"".join(lines))
            except OSError:                     # nobody reads the log: no reason not to serve
                return
