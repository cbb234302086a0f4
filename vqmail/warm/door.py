"""The door of a local service: lets in who calls, until it is closed; who has called by then is still let in."""

from vqmail.unix import log, loop, sockets, timed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

    from vqmail.unix.loop import Loop


PAUSE = 0.1                     # seconds when the system has no descriptor for a caller


class Door:
    """The socket `listener`, watched by `watcher` as long as the pipe `until` has another end.

    `enter` gets the socket of each caller and his uid, as the kernel knows it, and says whether there is room for one
    more.  If there is none the next ones wait outside until room().
    """

    def __init__(self, watcher: "Loop", listener: "socket", until: int, enter: "Callable[[socket, int], bool]") -> None:
        self.open = True
        self._loop = watcher
        self._listener = listener
        self._until = until
        self._enter = enter
        self._watched = False
        self._told = False
        self.room()
        watcher.watch(until, self.close)

    def room(self) -> None:
        """Somebody is gone, so there is room for one more."""
        if self.open and not self._watched:
            self._watched = True
            self._loop.watch(self._listener.fileno(), self._answer, loop.ALONE)

    def close(self) -> None:
        """Let in who stands there already, and then nobody."""
        if self.open:
            if self._watched:
                self._answer()
            self.open = False
            self._turn_away()
            self._loop.forget(self._until)
            self._listener.close()

    def _answer(self) -> None:
        while True:
            try:
                sock = sockets.accept(self._listener)
            except BlockingIOError:             # none left, or another process took it
                return
            except OSError as error:            # he stands there still, and would keep us busy
                if not self._told:
                    log.line(b"vq-service", "cannot let a caller in: %s" % error.strerror)
                self._told = True
                timed.pause(PAUSE)
                return
            self._told = False
            if not self._enter(sock, sockets.peer(sock)[1]):
                self._turn_away()
                return

    def _turn_away(self) -> None:
        if self._watched:
            self._watched = False
            self._loop.forget(self._listener.fileno())
