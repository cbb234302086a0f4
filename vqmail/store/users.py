"""Who controls a local address: users/cdb, then the passwd file (QMAIL interface 7)."""

from vqmail import codes, vqhome
from vqmail.formats import assign
from vqmail.record import Record
from vqmail.store import cdb, getpw

PATH = vqhome.path(b"users/cdb")


class Owner(Record):
    """Whose dot-qmail files decide, and which of them."""

    __slots__ = ("user", "uid", "gid", "home", "dash", "ext")
    user: bytes
    uid: int
    gid: int
    home: bytes
    dash: bytes
    ext: bytes


class Lookup:
    """Answers for one address after the other; keeps users/cdb open until a new one takes its place."""

    def __init__(self) -> None:
        self._reader: cdb.Reader | None = None
        self._identity: object = None
        self._wildchars = b""

    def owner(self, local: bytes) -> Owner:
        """Who controls `local`.  TryLater on any trouble."""
        return self.assigned(local) or Owner(*getpw.find(local))

    def assigned(self, local: bytes) -> "Owner | None":
        """Who controls `local` by users/cdb; None if it says nothing, or is not there.  TryLater if it is broken."""
        try:
            if not self._open():
                return None
            assert self._reader is not None
            for key, added in assign.keys(local, self._wildchars):
                data = self._reader.get(key)
                if data is not None:
                    user, uid, gid, home, dash, ext = assign.fields(data, added)
                    return Owner(user, int(uid), int(gid), home, dash, ext)
        except OSError as error:
            raise codes.TryLater("cannot read %s: %s" % (PATH.decode(), error.strerror)) from None
        except ValueError as error:
            raise codes.TryLater("%s: run vq-newu" % error) from None
        return None

    def close(self) -> None:
        """Let go of users/cdb."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _open(self) -> bool:
        try:
            current = cdb.identity(PATH)
        except FileNotFoundError:
            self.close()
            return False
        if self._reader is None or current != self._identity:
            self.close()
            reader = cdb.Reader(PATH)
            try:
                wildchars = reader.get(b"")
                if wildchars is None:
                    raise ValueError("%s has no record of wildchars" % PATH.decode())
            except BaseException:               # the next question must meet the same trouble, not half a table
                reader.close()
                raise
            self._reader, self._identity, self._wildchars = reader, reader.identity(), wildchars
        return True
