"""Old names that people still log in with (formats/logins).

    users/logins                users/logins.cdb                of the whole installation
    /virtual/DOMAIN/etc/logins  /virtual/DOMAIN/etc/logins.cdb  of one domain

The texts are what people edit; vq-newu compiles them.  Under the empty key a compiled file says which text it was made
of: one of another text is not believed, and the text is read.  An old name counts for logins only, never for mail, and
only where no user bears it; it leads to a user, not to another old name.
"""

import errno

from vqmail import codes, vqhome
from vqmail.formats import logins
from vqmail.store import cdb, domaintext, virtual, virtualcompile
from vqmail.unix import calls, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = vqhome.path(b"users/logins")
CDB = TEXT + b".cdb"
OF_DOMAIN = b"/logins"
ABSENT = (errno.ENOENT, errno.ENOTDIR)


def real(name: bytes, user: bytes, domain: bytes, *, as_compiled: bool = False) -> "tuple[bytes, bytes]":
    """(user, domain) of the old login `name`, which was taken for `user` of `domain`; (b"", b"") if it is none, or,
    `as_compiled`, was none when the names were compiled last.  TryLater on trouble."""
    if domain and virtual.usable_domain(domain) and logins.usable(user):
        found = _find(virtual.domain_directory(domain) + virtual.ETC + OF_DOMAIN, user.lower(), whole=False,
                      as_compiled=as_compiled)
        if found is not None:
            return found, domain
    found = _find(TEXT, name.lower(), whole=True, as_compiled=as_compiled) if logins.usable(name) else None
    user, _, domain = (found or b"").rpartition(b"@")
    return user, domain


def compile_all() -> bool:
    """Compile users/logins if it changed; whether it did.  OSError; virtualcompile.Broken says what is wrong."""
    try:
        number = calls.open(TEXT, domaintext.READING)
    except FileNotFoundError:
        return False                            # what is compiled does not count without it
    try:
        return _compile(number, TEXT, CDB, whole=True)
    finally:
        calls.close(number)


def compile_domain(domain: bytes) -> bool:
    """Compile the old names of `domain` if they changed; whether they did.  OSError; virtualcompile.Broken.

    The directory may belong to the domain's owner, and we may be root: no link is followed in it.
    """
    directory = virtual.domain_directory(domain) + virtual.ETC
    etc = calls.open(directory, calls.O_RDONLY | calls.O_DIRECTORY | calls.O_NOFOLLOW | calls.O_CLOEXEC)
    number = -1
    try:
        try:
            number = calls.open(OF_DOMAIN[1:], domaintext.READING | calls.O_NOFOLLOW, dir_fd=etc)
        except FileNotFoundError:               # most domains have none
            return False
        return _compile(number, directory + OF_DOMAIN, b"/proc/self/fd/%d%s.cdb" % (etc, OF_DOMAIN), whole=False)
    finally:
        for each in (etc, number):
            if each >= 0:
                calls.close(each)


def _compile(number: int, text: bytes, path: bytes, *, whole: bool) -> bool:
    mark = domaintext.mark(domaintext.at_rest(number))
    try:
        if cdb.find(path, b"") == mark:
            return False
    except (OSError, ValueError):
        pass
    try:
        cdb.make(path, _records(mark, number, whole=whole), 0o644)
    except ValueError as error:
        raise virtualcompile.Broken(text, error) from None
    return True


def _records(mark: bytes, number: int, *, whole: bool) -> "Iterator[tuple[bytes, bytes]]":
    yield b"", mark
    yield from logins.records(domaintext.lines(number), whole)


def _find(text: bytes, key: bytes, *, whole: bool, as_compiled: bool) -> "bytes | None":
    try:
        mark = domaintext.mark(calls.stat(text))
    except OSError as error:
        if error.errno in ABSENT:
            return None
        raise codes.TryLater("cannot look at %s: %s" % (_shown(text), error.strerror)) from None
    try:
        with cdb.Reader(text + b".cdb") as reader:
            if as_compiled or reader.get(b"") == mark:
                return reader.get(key)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise codes.TryLater("cannot read %s.cdb: %s" % (_shown(text), error.strerror)) from None
    except ValueError as error:
        raise codes.TryLater("%s: remove it and run vq-newu" % error) from None
    return None if as_compiled else _in_text(text, key, whole=whole)


def _in_text(text: bytes, key: bytes, *, whole: bool) -> "bytes | None":
    number = -1
    try:
        number = calls.open(text, domaintext.READING)
        return dict(logins.records(domaintext.lines(number), whole)).get(key)
    except OSError as error:
        raise codes.TryLater("cannot read %s: %s" % (_shown(text), error.strerror)) from None
    except ValueError as error:
        raise codes.TryLater("%s: %s" % (_shown(text), error)) from None
    finally:
        if number >= 0:
            calls.close(number)


def _shown(path: bytes) -> str:
    return log.printable(path).decode()
