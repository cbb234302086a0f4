"""Is somebody looking?  Colours and progress are for people, never for a file or a pipe."""

from vqmail.unix import calls, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    Env = dict[bytes, bytes]


def colours(env: "Env") -> bool:
    """Whether descriptor 1 is a terminal whose owner did not ask for no colours (NO_COLOR)."""
    return calls.isatty(1) and not env.get(b"NO_COLOR") and env.get(b"TERM") != b"dumb"


class Progress:
    """A count on descriptor 2, if that is a terminal."""

    def __init__(self) -> None:
        self._seen = calls.isatty(2)
        self._counts = self._seen and not calls.isatty(1)       # the output itself shows how far it is
        self._at = 0

    def step(self, whole: int) -> None:
        """One more of `whole` is done."""
        self._at += 1
        if self._counts and self._at % 100 == 0:
            self._write(b"\r%d of %d" % (self._at, whole))

    def end(self, line: bytes) -> None:
        """The last word."""
        if self._seen:
            self._write((b"\r" if self._counts else b"") + line)

    def _write(self, text: bytes) -> None:
        try:
            fd.write_all(2, text)
        except OSError:                         # the terminal is gone
            self._seen = self._counts = False
