"""A client that speaks TLS from the first byte, until the session can begin: vq-tls in front of many sessions.

What prog/tls.py does for one client, driven by readiness, so that a door of TLS needs no process for each.
"""

import time

from vqmail import codes
from vqmail.prog import tls
from vqmail.store import secure
from vqmail.unix import calls, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from vqmail.unix.chain import Env
    from vqmail.unix.loop import Loop

    class Owner(Protocol):
        """Whoever has the loop."""

        loop: Loop

        def later(self, when: float, session: "Handshake") -> None: ...
        def over(self, number: int, code: int) -> None: ...

NAME = b"vq-tls"
AGAIN = 0.05                    # seconds until the service is called again that is too busy now


class Handshake:
    """The connection `descriptor`, ours from now on.  When it is secured `then` is called with the plain descriptor and
    the environment of the session."""

    def __init__(self, owner: "Owner", descriptor: int, number: int, env: "Env",
                 then: "Callable[[int, Env], None]") -> None:
        self._owner = owner
        self._descriptor = descriptor
        self._number = number
        self._env = tls.without_variables(env)
        self._then = then
        self._upgrade: secure.Upgrade | None = None
        now = time.monotonic()
        self._call_until = now + secure.CONNECT
        self._ends = now + secure.SECONDS

    def look(self, now: float) -> None:
        """End it if it takes too long."""
        if now >= self._ends:
            self._fail(secure.Failed("the client, or the service `tls`, took too long"))

    def wake(self) -> None:
        """Call the service, now or later."""
        if self._descriptor < 0:
            return
        now = time.monotonic()
        try:
            self._upgrade = secure.Upgrade(self._descriptor, 0)
        except BlockingIOError:
            if now < self._call_until:
                self._owner.later(now + AGAIN, self)
            else:
                self._fail(codes.TryLater("the service `tls` is too busy"))
            return
        except (codes.Failure, OSError) as failure:
            self._fail(failure)
            return
        self._descriptor = _closed(self._descriptor)        # the service's now
        self._owner.loop.watch(self._upgrade.fileno(), self._answered)

    def _answered(self) -> None:
        assert self._upgrade is not None
        try:
            plain, variables = self._upgrade.answer()
        except secure.Failed as failure:
            self._fail(failure)
            return
        self._close()
        self._then(plain, self._env | variables)

    def _fail(self, why: Exception) -> None:
        self._close()
        if isinstance(why, secure.Failed):
            log.line(NAME, tls.failed(self._number, self._env, why))
        else:
            log.line(NAME, str(why))
        self._owner.over(self._number, codes.SESSION_BROKEN if isinstance(why, secure.Failed) else codes.TEMPORARY)

    def _close(self) -> None:
        self._descriptor = _closed(self._descriptor)
        if self._upgrade is not None:
            self._owner.loop.forget(self._upgrade.fileno())
            self._upgrade.close()
            self._upgrade = None


def _closed(descriptor: int) -> int:
    if descriptor >= 0:
        calls.close(descriptor)
    return -1
