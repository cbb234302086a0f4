"""A few processes, each of which serves many connections at once: for programs that mostly wait for their clients.

To a member goes `NUMBER SP what is to be done` with a descriptor; from it come lines, `NUMBER SP exit code`.
"""

from vqmail import codes
from vqmail.unix import calls, child, log, sockets
from vqmail.warm import pool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

    from vqmail.unix.loop import Loop


class _Member:
    __slots__ = ("jobs", "pid", "sock")

    def __init__(self, pid: int, sock: "socket") -> None:
        self.pid = pid
        self.sock = sock
        self.jobs: dict[int, Callable[[int], None]] = {}


class Crew:
    """`size` processes, each running `serve` on its socket, started when there is work.  `deaths` is how many ended."""

    def __init__(self, loop: "Loop", size: int, serve: "Callable[[socket], None]") -> None:
        self.deaths = 0
        self._loop = loop
        self._size = size
        self._serve = serve
        self._members: list[_Member] = []
        self._number = calls.getpid()           # what the log calls a connection: no two have the same for long

    def submit(self, what: bytes, descriptor: int, done: "Callable[[int], None]") -> int:
        """Have the connection `descriptor` served, which is ours from now on.  `done` gets the exit code, or minus the
        signal that took the process away.  Returns the connection's number; 0 if there is no process to be had.
        """
        one = self._least_busy()
        self._number += 1
        number = self._number
        try:
            if one is not None:
                sockets.send(one.sock, b"%d %b" % (number, what), [descriptor])
                one.jobs[number] = done
                return number
        except OSError as error:
            log.line(b"crew", "cannot hand a connection to process %d: %s" % (one.pid if one else 0, error.strerror))
        finally:
            calls.close(descriptor)
        done(codes.TEMPORARY)
        return 0

    def _least_busy(self) -> "_Member | None":
        if len(self._members) < self._size and all(each.jobs for each in self._members):
            started = pool.spawn(None, self._serve)
            if started is not None:
                one = _Member(*started)
                self._members.append(one)
                self._loop.watch(one.sock.fileno(), lambda: self._hear(one))
        return min(self._members, key=lambda each: len(each.jobs), default=None)

    def _hear(self, one: _Member) -> None:
        try:
            said = one.sock.recv(sockets.PACKET)
        except OSError:
            said = b""
        if not said:
            self._bury(one)
            return
        for line in said.splitlines():
            number, _, code = line.partition(b" ")
            done = one.jobs.pop(int(number), None)
            if done is not None:
                done(int(code))

    def _bury(self, one: _Member) -> None:
        """It is gone, and the connections it had with it."""
        self.deaths += 1
        self._members.remove(one)
        self._loop.forget(one.sock.fileno())
        one.sock.close()
        code = child.wait(one.pid)
        log.line(b"crew", "process %d ended with %d; %d connections are lost" % (one.pid, code, len(one.jobs)))
        for done in list(one.jobs.values()):
            done(code or codes.TEMPORARY)
