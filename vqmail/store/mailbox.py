"""A maildir as a POP3 session sees it: messages in a fixed order, their sizes, and what is done with them at the end.

Nothing is opened before it is asked for: sizes are in the names that vq-local and others give.
"""

from vqmail.formats import maildirname, wire
from vqmail.unix import calls, durable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

OLD = 36 * 3600                 # a file in tmp/ that nobody touched for so long belongs to nobody
UID_LIMIT = 70                  # characters of a unique-id (RFC 1939 7)


class Gone(Exception):
    """The message is not there any more: another session took it."""


class Message:
    """One message; `folder` is b"new" or b"cur"."""

    __slots__ = ("deleted", "folder", "name", "size")

    def __init__(self, folder: bytes, name: bytes) -> None:
        self.folder = folder
        self.name = name
        self.size = -1                          # not known yet
        self.deleted = False


class Mailbox:
    """The maildir in the current directory called `path`, as it was at the start."""

    def __init__(self, path: bytes) -> None:
        self._path = path.rstrip(b"/")
        self.messages = self._list()

    def octets(self, message: Message) -> int:
        """How long it is over the line.  Gone, or OSError."""
        if message.size < 0:
            told = maildirname.octets(message.name)
            if told is None:
                count = wire.Octets()
                for piece in self.pieces(message):
                    count.add(piece)
                told = count.octets
            message.size = told
        return message.size

    def pieces(self, message: Message) -> "Iterator[bytes]":
        """Its text.  Gone if it is not there any more, not even under another name."""
        number = self._open(message)
        try:
            while data := calls.read(number, 65536):
                yield data
        finally:
            calls.close(number)

    def finish(self) -> int:
        """Remove what is marked, and note that the rest was seen; how many could not be removed."""
        failed = 0
        for message in self.messages:
            if message.deleted:
                failed += not self._remove(message)
            elif message.folder == b"new":
                self._seen(message)
        for folder in (b"new", b"cur"):
            durable.sync_dir(self._path + b"/" + folder)
        return failed

    def clean(self, now: float) -> None:
        """Remove what crashes left in tmp/."""
        try:
            names = calls.listdir(self._path + b"/tmp")
        except OSError:
            return                              # it is only about cleaning
        for name in names:
            path = self._path + b"/tmp/" + name
            try:
                if calls.stat(path).st_atime < now - OLD:
                    calls.unlink(path)
            except OSError:
                continue

    def _list(self) -> "list[Message]":
        found = [Message(folder, name) for folder in (b"new", b"cur")
                 for name in calls.listdir(self._path + b"/" + folder) if not name.startswith(b".")]
        found.sort(key=lambda each: maildirname.order(each.name))
        return found

    def _open(self, message: Message) -> int:
        for _ in range(3):                      # a reader may rename it between our look and our hand
            try:
                return calls.open(self._at(message), calls.O_RDONLY | calls.O_CLOEXEC | calls.O_NONBLOCK)
            except FileNotFoundError:
                self._find_again(message)
        raise Gone

    def _remove(self, message: Message) -> bool:
        for _ in range(3):
            try:
                calls.unlink(self._at(message))
            except FileNotFoundError:
                try:
                    self._find_again(message)
                except Gone:
                    return True                 # somebody else did what we were asked to do
            except OSError:
                return False
            else:
                return True
        return False

    def _seen(self, message: Message) -> None:
        unique = maildirname.unique(message.name)
        try:
            durable.rename(self._at(message), self._path + b"/cur/" + unique + b":2,")
        except OSError:
            return                              # it stays new: a nuisance, no loss

    def _find_again(self, message: Message) -> None:
        """Another program renamed it: find it by the part of its name that stays.  Gone if it is nowhere."""
        wanted = maildirname.unique(message.name)
        for folder in (b"cur", b"new"):
            for name in calls.listdir(self._path + b"/" + folder):
                if maildirname.unique(name) == wanted:
                    message.folder, message.name = folder, name
                    return
        raise Gone

    def _at(self, message: Message) -> bytes:
        return self._path + b"/" + message.folder + b"/" + message.name


def unique_id(message: Message) -> bytes:
    """What UIDL says of it: the stable part of its name, made fit for the protocol where it is not.

    Sizes in the name belong to it for qmail's users, whose clients know the whole name.
    """
    name = maildirname.unique(message.name)
    clean = bytes(each if 33 <= each <= 126 else ord("_") for each in name)
    if len(clean) <= UID_LIMIT:
        return clean
    from zlib import crc32  # a built-in module; what is cut off still counts

    return clean[:UID_LIMIT - 8] + b"%08x" % crc32(name)
