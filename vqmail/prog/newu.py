"""vq-newu: compile what you edited.

SYNOPSIS    vq-newu

Compiles users/assign into users/cdb, users/logins, and the users of every domain below
control/virtualroot whose etc/passwd, etc/options or etc/logins changed.  Readers see the old file or
the new one, never a mixture.  Run it after any edit; it does only what is to be done.

First it completes what an administrator's command was killed in, if one was.

A broken line is refused with its file, its number and the reason; that file's old compilation stays,
and the others are compiled all the same.

WRITES      2   what is wrong; progress, if that is a terminal

FILES       users/assign, users/cdb, users/lock, users/journal
            users/logins (`OLDNAME:USER@DOMAIN`: old names to log in with), users/logins.cdb
            /virtual/DOMAIN/etc/passwd and options, users.cdb and passwd.cdb beside them
            /virtual/DOMAIN/etc/logins (`OLDNAME:USER`), logins.cdb beside it

CONTROL FILES
            minuid virtualroot

EXIT        0   everything is compiled
            100 wrong usage
            111 something is not; its old compilation stays

RUNS AS     root

STANDARDS   qmail-newu(8), assign(5)
"""

from vqmail import codes
from vqmail.store import compiled, journal, loginaliases, virtual, virtualcompile
from vqmail.unix import calls, fd, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

ASSIGN, CDB = compiled.ASSIGN, compiled.USERS


def main(argv: "list[bytes]", env: "Env") -> int:  # noqa: ARG001  every program has this shape
    """Compile everything that changed."""
    if len(argv) != 1:
        raise codes.GiveUp("usage: vq-newu")
    calls.umask(0o033)
    lock = journal.take_lock()
    try:
        journal.recover()
        return codes.TEMPORARY if not all([_compile_assign(), _compile_logins(), _compile_domains()]) else codes.OK
    finally:
        calls.close(lock)


def _compile_assign() -> bool:
    try:
        warning = compiled.compile_assign()
    except FileNotFoundError as error:
        if error.filename != ASSIGN:
            return _complain(CDB, "cannot make it: %s (it is as it was)" % error.strerror)
        if _is_there(CDB):
            return _complain(ASSIGN, "no such file, but there is a users/cdb, which still counts; remove it too")
        return True                             # a site without users/assign lives by its passwd file
    except OSError as error:
        place = ASSIGN if error.filename == ASSIGN else CDB
        return _complain(place, "cannot make users/cdb: %s (it is as it was)" % error.strerror)
    except ValueError as error:
        return _complain(ASSIGN, "%s (users/cdb is as it was)" % error)
    if warning:
        log.line(b"vq-newu", ASSIGN + b": " + warning)
    return True


def _compile_logins() -> bool:
    try:
        loginaliases.compile_all()
    except OSError as error:
        return _complain(loginaliases.TEXT, "%s (users/logins.cdb is as it was)" % error.strerror)
    except ValueError as error:
        return _complain(loginaliases.TEXT, "%s (users/logins.cdb is as it was)" % error)
    return True


def _compile_domains() -> bool:
    root = virtual.root()
    try:
        domains = sorted(set(calls.listdir(root)) - {b"lost+found"})
    except FileNotFoundError:
        return True
    except OSError as error:
        return _complain(root, str(error.strerror))
    good = True
    show = calls.isatty(2)
    for count, domain in enumerate(domains, 1):
        if show:
            fd.write_all(2, b"\rvq-newu: %d of %d domains" % (count, len(domains)))
        good = _compile_domain(root + b"/" + domain, domain) and good
    if show and domains:
        fd.write_all(2, b"\n")
    return good


def _compile_domain(directory: bytes, domain: bytes) -> bool:
    text = directory + virtual.TEXT
    try:
        if not virtual.usable_domain(domain):
            return not _is_there(text) or _complain(directory, "no domain is called so; domains are in lower case")
        virtualcompile.compile_domain(domain)
        loginaliases.compile_domain(domain)
    except (FileNotFoundError, NotADirectoryError) as error:    # a plain file, lost+found, a domain of another kind
        if _is_there(text):
            return _complain(text, "%s" % error.strerror)       # etc is a link
        if _is_there(directory + virtual.USERS):
            return _complain(text, "no such file, but users.cdb beside it; remove that too, or put the text back")
    except OSError as error:
        return _complain(text, "%s (its compiled users are as they were)" % error.strerror)
    except virtualcompile.Broken as broken:
        return _complain(broken.path, "%s (its compiled users are as they were)" % broken)
    except (ValueError, codes.Failure) as error:
        return _complain(text, "%s (its compiled users are as they were)" % error)
    return True


def _is_there(path: bytes) -> bool:
    try:
        calls.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _complain(path: bytes, why: str) -> bool:
    log.line(b"vq-newu", path + b": " + why.encode("utf-8", "surrogateescape"))
    return False
