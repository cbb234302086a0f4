"""Having vq-clean remove files, again and again until it could (QMAIL interface 5.4)."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vqmail.dispatch.agenda import Agenda
    from vqmail.dispatch.journal import Journal
    from vqmail.dispatch.spawner import Cleaner


class Removal:
    """What the scheduler asks of vq-clean."""

    def __init__(self, cleaner: "Cleaner", agenda: "Agenda", log: "Journal") -> None:
        self._cleaner = cleaner
        self._agenda = agenda
        self._log = log

    def ask(self, request: bytes, then: "Callable[[], None]") -> None:
        """Have `request`, such as todo/12, done, then go on with `then`."""
        def answered(done: bool) -> None:
            if done:
                then()
                return
            self._log.trouble("qmail-clean unable to clean up", request, OSError(0, "its own log line says why"))
            self._agenda.in_a_while(lambda: self.ask(request, then))

        self._cleaner.ask(request, answered)

    def idle(self) -> bool:
        """Whether nothing is being waited for."""
        return self._cleaner.idle()
