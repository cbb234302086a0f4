"""What was found in another system: domains with mailboxes and aliases, and what cannot be taken, in words.

Nothing in it is believed yet: take.py checks every name, hash and address as it would those that somebody types.
"""

import dataclasses
import errno
import os

from vqmail import codes
from vqmail.store import cdb, lastlogin
from vqmail.unix import beneath, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 1 << 30                 # bytes of one file
LOCKED = b"*"


@dataclasses.dataclass
class Mail:
    """Where the mail of a mailbox is: below `root` no link is followed.  `kind` is maildir or mbox.

    `uidl` is the style of unique-ids by which POP3 clients know the messages of a maildir; b"" if the system that
    served it does not tell.
    """

    kind: str
    root: bytes
    path: bytes
    uidl: bytes = b""


@dataclasses.dataclass
class Mailbox:
    """A user as the other system has him."""

    name: bytes
    password: bytes
    source: str                 # file and line, for people
    real_name: bytes = b""
    quota: bytes = b""
    suspended: "tuple[bytes, ...]" = ()
    forwards: "list[bytes]" = dataclasses.field(default_factory=list)      # besides the mailbox
    dotqmail: bytes = b""       # his own .qmail
    mail: "Mail | None" = None
    home: bytes = b""           # where a tree stays in place: below the domain's directory
    old: "list[bytes]" = dataclasses.field(default_factory=list)           # names to log in with
    last: "lastlogin.Last | None" = None


@dataclasses.dataclass
class Alias:
    """An address that is no mailbox: its targets, or a dot-qmail file to be taken as it is."""

    targets: "list[bytes]"
    source: str
    text: bytes = b""


@dataclasses.dataclass
class Domain:
    """A domain as the other system has it."""

    name: bytes
    source: str
    mailboxes: "dict[bytes, Mailbox]" = dataclasses.field(default_factory=dict)
    aliases: "dict[bytes, Alias]" = dataclasses.field(default_factory=dict)
    catchall: bytes = b""
    options: "dict[bytes, bytes]" = dataclasses.field(default_factory=dict)
    defaults: "dict[bytes, bytes]" = dataclasses.field(default_factory=dict)       # of all users
    others: "list[bytes]" = dataclasses.field(default_factory=list)        # its other names
    place: bytes = b""          # the directory that stays where it is


class Found:
    """All that was found.  `problems` say what cannot be taken, and why; `notes` what will be different."""

    def __init__(self) -> None:
        self.domains: dict[bytes, Domain] = {}
        self.problems: list[str] = []
        self.notes: list[str] = []

    def domain(self, name: bytes, source: str) -> Domain:
        """The domain `name`, in lower case, made if it is not there."""
        return self.domains.setdefault(name.lower(), Domain(name.lower(), source))

    def add(self, domain: Domain, mailbox: Mailbox) -> None:
        """Add a mailbox; a second one of the same name is a problem."""
        mailbox.name = mailbox.name.lower()
        if mailbox.name in domain.mailboxes:
            self.problem(mailbox.source, "%s is in %s already" % (
                log.shown(mailbox.name + b"@" + domain.name), domain.mailboxes[mailbox.name].source))
            return
        domain.mailboxes[mailbox.name] = mailbox

    def alias(self, domain: Domain, name: bytes, targets: "list[bytes]", source: str) -> None:
        """Add targets to an alias."""
        alias = domain.aliases.setdefault(name.lower(), Alias([], source))
        alias.targets += [each for each in targets if each not in alias.targets]

    def catch(self, domain: Domain, targets: "list[bytes]", source: str) -> None:
        """Say who gets mail for nobody: one, or, by an alias, several."""
        if len(targets) == 1:
            domain.catchall = targets[0]
        elif targets:
            self.alias(domain, CATCHALL, targets, source)
            domain.catchall = CATCHALL + b"@" + domain.name

    def problem(self, source: str, why: "str | Exception") -> None:
        """Something cannot be taken."""
        self.problems.append("%s: %s" % (source, why))

    def note(self, source: str, what: str) -> None:
        """Something will be different."""
        self.notes.append("%s: %s" % (source, what))


CATCHALL = b"catch-all"         # the alias that stands for several


def read(root: bytes, path: bytes) -> "bytes | None":
    """The content of the file `path` below `root`, whose owner it is, reached without links; None if it is not there.
    TryLater on trouble."""
    try:
        with beneath.Place(root, path) as at:
            return beneath.read(at, LIMIT)[0]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise codes.TryLater("cannot read %s%s: %s" % (log.shown(root), log.shown(path), error.strerror)) from None
    except ValueError as error:
        raise codes.TryLater("%s%s: %s" % (log.shown(root), log.shown(path), error)) from None


def records(root: bytes, path: bytes) -> "list[tuple[bytes, bytes]]":
    """The records of a constant database that is no link.  ValueError if it is none, TryLater on trouble."""
    try:
        if os.path.islink(root + path):
            raise ValueError("is a link")
        return list(cdb.records(root + path))
    except OSError as error:
        raise codes.TryLater("cannot read %s%s: %s" % (log.shown(root), log.shown(path), error.strerror)) from None


def read_given(path: bytes) -> bytes:
    """The content of a file that was named on the command line.  GiveUp if it is not there, TryLater on trouble."""
    try:
        with open(path, "rb") as file:
            return file.read(LIMIT)
    except FileNotFoundError:
        raise codes.GiveUp("there is no file %s" % log.shown(path)) from None
    except OSError as error:
        raise codes.TryLater("cannot read %s: %s" % (log.shown(path), error.strerror)) from None


def lines(text: bytes) -> "Iterator[tuple[int, bytes]]":
    """(number, line) of each line that says something."""
    for number, line in enumerate(text.split(b"\n"), 1):
        if line.strip() and not line.startswith(b"#"):
            yield number, line


def names(root: bytes, path: bytes = b"") -> "list[bytes]":
    """The names in a directory below `root`, in order; none if it is not there, or a link is on the way."""
    try:
        number = beneath.walk(root, path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return []
        raise codes.TryLater("cannot look into %s%s: %s" % (log.shown(root), log.shown(path), error.strerror)) from None
    try:
        return sorted(os.listdir(b"/proc/self/fd/%d" % number))
    finally:
        os.close(number)


def is_directory(root: bytes, path: bytes) -> bool:
    """Whether there is a directory `path` below `root`, reached without links."""
    try:
        os.close(beneath.walk(root, path))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return False
        raise codes.TryLater("cannot look at %s%s: %s" % (log.shown(root), log.shown(path), error.strerror)) from None
    return True


def is_file(root: bytes, path: bytes) -> bool:
    """Whether there is something at `path` below `root` that is no directory."""
    above, _, last = path.rstrip(b"/").rpartition(b"/")
    return last in names(root, above) and not is_directory(root, path)


def mail(root: bytes, *paths: bytes) -> "Mail | None":
    """The first of `paths` below `root` at which there is mail: a maildir, or an mbox."""
    for path in paths:
        if is_directory(root, path + b"/cur") or is_directory(root, path + b"/new"):
            return Mail("maildir", root, path)
        if not path.endswith(b"/") and is_file(root, path):
            return Mail("mbox", root, path)
    return None
