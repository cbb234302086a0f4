"""The certificates that we show: control/servercert.pem, and control/servercerts/NAME.pem for those who ask for NAME.

NAME may begin with `*.`, for any one label.  Each file holds a certificate, the chain above it, and the key.  Only the
TLS service loads them; others look whether they are there.
"""

import time

from vqmail import vqhome
from vqmail.store import secure
from vqmail.unix import calls, tls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ssl import SSLContext

    Identity = tuple[int, int, int, int, int]

DEFAULT = secure.CERTIFICATE
FOLDER = vqhome.path(b"control/servercerts")
SUFFIX = b".pem"
OPEN_TO_OTHERS = 0o077
DAY = 86400
SOON = 14 * DAY                 # so long before a certificate ends the log begins to remind, once a day


class Certificates:
    """What is there, ready for use.  A file that cannot be used does not take the place of one that could."""

    def __init__(self) -> None:
        self._contexts: dict[bytes, SSLContext] = {}        # by name; b"" is the default
        self._seen: dict[bytes, Identity] = {}              # by path
        self._ends: dict[bytes, tuple[int, str]] = {}       # by path: those that are in use
        self._told: dict[bytes, int] = {}                   # by path: the day on which the log was reminded
        self._trouble = ""

    def default(self) -> "SSLContext | None":
        """For clients that ask for no name, or for one that has no certificate of its own; None if there is none."""
        if not self._contexts:
            return None
        return self._contexts[min(self._contexts)]          # b"" is the smallest of all

    def choose(self, name: bytes) -> "SSLContext | None":
        """For clients that ask for `name`, in lower case; None if that has none of its own."""
        return self._contexts.get(name) or self._contexts.get(b"*." + name.partition(b".")[2])

    def renew(self) -> "tuple[bool, list[str]]":
        """Look at the files: (whether anything is new, what the log is to say).  Never fails."""
        try:
            there = self._look()
        except OSError as error:
            said = "cannot look for certificates, keeping those that are loaded: %s: %s" % (
                _text(error.filename or b"?"), error.strerror)
            news, self._trouble = [said] if said != self._trouble else [], said
            return False, news
        self._trouble = ""
        if there == self._seen:
            return False, self._reminders()
        contexts, lines, changed = {}, [], False
        for path, identity in there.items():
            name = _name(path)
            old = self._contexts.get(name)
            if self._seen.get(path) == identity:
                if old is not None:
                    contexts[name] = old
                continue
            try:
                contexts[name] = tls.with_certificate(path, self.choose)
            except (OSError, tls.Failed) as error:
                why = error.strerror if isinstance(error, OSError) else error
                lines.append("%s: %s; %s" % (_text(path), why, "the one loaded before stays in use" if old is not None
                                             else "not used until it is mended"))
                if old is not None:
                    contexts[name] = old
            else:
                changed = True
                lines.append("%s: %s" % (_text(path), "loaded" if old is None else "renewed"))
                self._note(path)
                if calls.stat(path).st_mode & OPEN_TO_OTHERS:
                    lines.append("%s: others than its owner can read the key; chmod 400 it" % _text(path))
        gone = [path for path in self._seen if path not in there]
        lines += ["%s: gone" % _text(path) for path in gone]
        for path in gone:
            self._ends.pop(path, None)
        changed = changed or any(_name(path) in self._contexts for path in gone)
        self._seen, self._contexts = there, contexts
        return changed, lines + self._reminders()

    def _note(self, path: bytes) -> None:
        """See when the certificate that was loaded now ends; one that does not tell is not reminded of."""
        self._told.pop(path, None)
        self._ends.pop(path, None)
        try:
            self._ends[path] = tls.ends(path)
        except (OSError, tls.Failed):           # another one was put there meanwhile, which the next look finds
            return

    def _reminders(self) -> "list[str]":
        """What the log is to say, once a day, of certificates in use that end soon, or have ended."""
        now = int(time.time())
        lines = []
        for path, (ends, text) in self._ends.items():
            if ends < now + SOON and self._told.get(path) != now // DAY:
                self._told[path] = now // DAY
                lines.append("%s: %s on %s; renew it" % (_text(path), "expired" if ends <= now else "expires", text))
        return lines

    def _look(self) -> "dict[bytes, Identity]":
        """The files that are there, each with what tells it from another of its name.  OSError."""
        found = {}
        paths = [DEFAULT]
        try:
            paths += [FOLDER + b"/" + each for each in sorted(calls.listdir(FOLDER))
                      if each.endswith(SUFFIX) and not each.startswith(b".")]
        except FileNotFoundError:
            pass
        for path in paths:
            try:
                each = calls.stat(path)
            except FileNotFoundError:
                continue
            found[path] = each.st_dev, each.st_ino, each.st_size, each.st_mtime_ns, each.st_ctime_ns
        return found


def _name(path: bytes) -> bytes:
    """The name that the certificate in the file `path` is for; b"" for every other."""
    return b"" if path == DEFAULT else path.rpartition(b"/")[2].removesuffix(SUFFIX).lower()


def _text(path: "bytes | str") -> str:
    return path if isinstance(path, str) else path.decode("utf-8", "replace")
