"""What vq-send has to say: log lines in their order, until they are written (QMAIL interface 10)."""

from vqmail.formats import sendlog

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.dispatch.spawner import Spawner


class Journal:
    """The lines, and how many deliveries run, which is said again and again."""

    def __init__(self, spawners: "list[Spawner]") -> None:
        self.exiting = False
        self._spawners = spawners
        self._lines: list[bytes] = []

    def say(self, *lines: bytes) -> None:
        """Add to the log."""
        self._lines += lines

    def status(self) -> None:
        """Say how many deliveries run."""
        self.say(sendlog.status([each.running for each in self._spawners],
                                [each.limit for each in self._spawners], exiting=self.exiting))

    def trouble(self, what: str, path: bytes, error: "OSError | ValueError") -> None:
        """Say that there is trouble with a file of the queue."""
        self.say(sendlog.warning(what, path, getattr(error, "strerror", None) or str(error)))

    def take(self) -> "list[bytes]":
        """The lines since the last look at them."""
        lines, self._lines = self._lines, []
        return lines
