"""What must be known to its last byte before anything is done with it, kept in memory if it is small."""

from vqmail.unix import calls, durable, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

IN_MEMORY = 1 << 20             # bytes; more go into a file
DIRECTORIES = (b"/var/tmp", b"/tmp")


class Spool:
    """Takes bytes, says how many they are, gives them back.  The file for many of them has no name."""

    def __init__(self, directories: "tuple[bytes, ...]" = DIRECTORIES) -> None:
        self.size = 0
        self._directories = directories
        self._pieces: list[bytes] = []
        self._file = -1

    def write(self, data: bytes) -> None:
        """Append.  OSError if there is no room."""
        self.size += len(data)
        if self._file < 0:
            self._pieces.append(data)
            if self.size <= IN_MEMORY:
                return
            self._file = self._open()
            data, self._pieces = b"".join(self._pieces), []
        fd.write_all(self._file, data)

    def pieces(self) -> "Iterator[bytes]":
        """All of it from the first byte."""
        if self._file >= 0:
            yield from fd.pieces(self._file)
        else:
            yield from self._pieces

    def close(self) -> None:
        """Let go of it."""
        self._pieces = []
        number, self._file = self._file, -1
        if number >= 0:
            calls.close(number)

    def _open(self) -> int:
        for directory in self._directories[:-1]:
            try:
                return _nameless(directory)
            except OSError:                     # not there, not for us, full: the next
                continue
        return _nameless(self._directories[-1])


def _nameless(directory: bytes) -> int:
    """A new file in `directory` that goes with its descriptor."""
    try:
        return calls.open(directory, calls.O_TMPFILE | calls.O_RDWR | calls.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in durable.NO_ANONYMOUS:
            raise
    name = directory + b"/vqmail-" + calls.urandom(16).hex().encode()
    number = calls.open(name, calls.O_CREAT | calls.O_EXCL | calls.O_RDWR | calls.O_CLOEXEC, 0o600)
    calls.unlink(name)
    return number
