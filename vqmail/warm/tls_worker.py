"""A worker of the TLS service: many connections in one loop (tls_connection.py).  A fault costs one of them."""

import time

from vqmail.unix import log, loop, tls
from vqmail.warm import door, tls_connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

    from vqmail.store.certificates import Certificates

CLIENTS = 2000                  # at once, in one worker
EACH = 5                        # descriptors that a connection may need at once
SPARE = 50                      # descriptors that are not connections'
EVERY = 1.0                     # seconds between two looks at who takes too long


class Worker:
    """All connections of this process.  `gate` tells, by its end, that others take the next ones."""

    def __init__(self, listener: "socket", gate: int, certificates: "Certificates", callers: "frozenset[int]",
                 files: int) -> None:
        tls.silence()
        self._loop = loop.Loop()
        self._certificates = certificates
        self._callers = callers
        self._most = min(CLIENTS, (files - SPARE) // EACH)
        self._connections: set[tls_connection.Connection] = set()
        self._door = door.Door(self._loop, listener, gate, self._enter)

    def run(self) -> None:
        """Until the gate is closed, and then until the last connection is over."""
        while self._door.open or self._connections:
            self._loop.turn(EVERY if self._connections else None)
            now = time.monotonic()
            for each in [each for each in self._connections if now >= each.deadline]:
                each.late()

    def _enter(self, sock: "socket", uid: int) -> bool:
        context = self._certificates.default()
        if uid not in self._callers or context is None:
            log.line(b"tls", "uid %d may not use this service" % uid)
            sock.close()
        else:
            channel = tls.Channel(context, b"", server=True)
            self._connections.add(tls_connection.Connection(self._loop, sock, channel, self._over))
        return len(self._connections) < self._most      # or the next ones wait, or another worker takes them

    def _over(self, connection: tls_connection.Connection) -> None:
        self._connections.discard(connection)
        self._door.room()
