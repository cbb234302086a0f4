"""The users of a domain, compiled (store/virtual): etc/users.cdb without hashes, and etc/passwd.cdb, with them."""

from vqmail.formats import options, passwd
from vqmail.store import cdb, control, domainsettings, domaintext, virtual
from vqmail.unix import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

READING = domaintext.READING | calls.O_NOFOLLOW
OPEN, SECRET = 0o644, 0o600      # modes: what the network may read, and what it may not


class Broken(ValueError):
    """A text of a domain cannot be compiled.  `path` is the file; the words name the line and the remedy."""

    def __init__(self, path: bytes, why: object) -> None:
        ValueError.__init__(self, str(why))
        self.path = path


def compile_domain(domain: bytes) -> bool:
    """Compile the users of `domain` if a text of it changed; whether one did.

    Broken, with file, line and remedy, if a line is; the compiled files stay what they were.

    The directory may belong to the domain's owner, and we may be root: no link is followed in it.
    """
    directory = virtual.domain_directory(domain)
    etc = calls.open(directory + virtual.ETC, calls.O_RDONLY | calls.O_DIRECTORY | calls.O_NOFOLLOW | calls.O_CLOEXEC)
    number = further = -1
    try:
        number = calls.open(virtual.TEXT.removeprefix(virtual.ETC + b"/"), READING, dir_fd=etc)
        text = domaintext.at_rest(number)
        try:
            further = calls.open(virtual.OPTIONS.removeprefix(virtual.ETC + b"/"), READING, dir_fd=etc)
        except FileNotFoundError:               # most domains have none
            pass
        except OSError as error:
            raise Broken(directory + virtual.OPTIONS, error.strerror) from None
        more = domaintext.at_rest(further) if further >= 0 else None
        inside = b"/proc/self/fd/%d" % etc
        users_cdb, hashes_cdb = (inside + each.removeprefix(virtual.ETC) for each in (virtual.USERS, virtual.HASHES))
        of_both, of_text = domaintext.mark(text, more), domaintext.mark(text)
        if _made_of(users_cdb, OPEN) == of_both and _made_of(hashes_cdb, SECRET) == of_text:
            return False
        chosen = _options(directory, further)
        owner_of_text = (text.st_uid, text.st_gid)
        if _made_of(hashes_cdb, SECRET) != of_text:
            cdb.make(hashes_cdb, _hashes(of_text, _entries(directory, number)), SECRET, owner_of_text)
        cdb.make(users_cdb, _homes(of_both, _entries(directory, number), chosen), OPEN, owner_of_text)
    finally:
        for each in (etc, number, further):
            if each >= 0:
                calls.close(each)
    return True


def _entries(directory: bytes, number: int) -> "Iterator[passwd.Entry]":
    try:
        yield from passwd.entries(domaintext.lines(number), max(control.number(b"minuid"), 1))
    except ValueError as error:
        raise Broken(directory + virtual.TEXT, error) from None


def _options(directory: bytes, number: int) -> "dict[bytes, dict[bytes, bytes]]":
    try:
        return options.parse(domaintext.lines(number)) if number >= 0 else {}
    except ValueError as error:
        raise Broken(directory + virtual.OPTIONS, error) from None


def _hashes(identity: bytes, entries: "Iterable[passwd.Entry]") -> "Iterator[tuple[bytes, bytes]]":
    yield b"", identity
    for each in entries:
        yield each.name, each.password


def _homes(identity: bytes, entries: "Iterable[passwd.Entry]",
           chosen: "dict[bytes, dict[bytes, bytes]]") -> "Iterator[tuple[bytes, bytes]]":
    yield b"", identity
    of_domain = options.line(options.DOMAIN, chosen.get(options.DOMAIN, {})).partition(b":")[2]
    if of_domain:
        yield options.DOMAIN, of_domain
    for each in entries:
        quota, suspended, dotqmail = domainsettings.of_user(chosen, each.name)
        allowed = b"\0".join((quota, b",".join(sorted(suspended)), dotqmail if dotqmail != b"no" else b"",
                               domainsettings.moved(chosen, each.name)))
        # most users have no options; what then ends the record says nothing
        yield each.name, (b"%d\0%d\0%s\0" % (each.uid, each.gid, each.home) + allowed).rstrip(b"\0")


def _made_of(path: bytes, mode: int) -> "bytes | None":
    """The identity of the texts that a file is compiled of; None if it is for others to read than `mode` says."""
    try:
        return cdb.find(path, b"") if calls.lstat(path).st_mode & 0o777 == mode else None
    except (OSError, ValueError):
        return None
