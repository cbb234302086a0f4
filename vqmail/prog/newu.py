"""vq-newu: compile what you edited.

SYNOPSIS    vq-newu

Compiles users/assign into users/cdb, and the users of every domain below control/virtualroot whose
etc/passwd changed.  Readers see the old file or the new one, never a mixture.  Run it after any edit;
it does only what is to be done.

A broken line is refused with its file, its number and the reason; that file's old compilation stays,
and the others are compiled all the same.

WRITES      2   what is wrong; progress, if that is a terminal

FILES       users/assign, users/cdb
            /virtual/DOMAIN/etc/passwd, users.cdb and passwd.cdb beside it

CONTROL FILES
            virtualroot

EXIT        0   everything is compiled
            100 wrong usage
            111 something is not; its old compilation stays

RUNS AS     root

STANDARDS   qmail-newu(8), assign(5)
"""

from vqmail import codes, vqhome
from vqmail.formats import assign
from vqmail.store import cdb, virtual
from vqmail.unix import calls, fd, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vqmail.unix.chain import Env

ASSIGN = vqhome.path(b"users/assign")
CDB = vqhome.path(b"users/cdb")


def main(argv: "list[bytes]", env: "Env") -> int:  # noqa: ARG001  every program has this shape
    """Compile everything that changed."""
    if len(argv) != 1:
        raise codes.GiveUp("usage: vq-newu")
    calls.umask(0o033)
    return codes.TEMPORARY if not all([_compile_assign(), _compile_domains()]) else codes.OK


def _compile_assign() -> bool:
    try:
        cdb.make(CDB, assign.records(_lines(ASSIGN)), 0o644)
    except FileNotFoundError as error:
        if calls.listdir(vqhome.path(b"users")).count(b"assign"):
            return _complain(ASSIGN, str(error.strerror))
        return True                             # a site without users/assign lives by its passwd file
    except OSError as error:
        return _complain(ASSIGN, "%s; users/cdb is as it was" % error.strerror)
    except ValueError as error:
        return _complain(ASSIGN, "%s (users/cdb is as it was)" % error)
    return True


def _lines(path: bytes) -> "Iterator[bytes]":
    """The lines of a file, however large it is."""
    number = calls.open(path, calls.O_RDONLY | calls.O_CLOEXEC)
    try:
        rest = b""
        while data := calls.read(number, 1 << 20):
            *lines, rest = (rest + data).split(b"\n")
            yield from lines
        if rest:
            yield rest
    finally:
        calls.close(number)


def _compile_domains() -> bool:
    root = virtual.root()
    try:
        domains = sorted(name for name in calls.listdir(root) if virtual.usable_domain(name))
    except FileNotFoundError:
        return True
    good = True
    show = calls.isatty(2)
    for count, domain in enumerate(domains, 1):
        if show:
            fd.write_all(2, b"\rvq-newu: %d of %d domains" % (count, len(domains)))
        path = root + b"/" + domain + virtual.TEXT
        try:
            virtual.compile_domain(domain)
        except (FileNotFoundError, NotADirectoryError):     # a plain file, lost+found, a domain of another kind
            continue
        except OSError as error:
            good = _complain(path, str(error.strerror))
        except (ValueError, codes.Failure) as error:
            good = _complain(path, "%s (its compiled users are as they were)" % error)
    if show and domains:
        fd.write_all(2, b"\n")
    return good


def _complain(path: bytes, why: str) -> bool:
    log.line(b"vq-newu", path + b": " + why.encode("utf-8", "surrogateescape"))
    return False
