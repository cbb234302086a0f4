"""A domain that is another name of a domain: a symbolic link beside it, which root made.

    /virtual/other.example -> example.com

Only root can make a name in the directory of all domains, so nobody makes the users of a domain answer to another
name but root.  One step, no path: a link to a link is a mistake, and a link with a slash in it is no other name; the
domain keeps its own, only its directory lies elsewhere.
"""

import errno
import stat

from vqmail import codes
from vqmail.store import roles, virtual
from vqmail.unix import calls

ABSENT = (errno.ENOENT, errno.ENOTDIR)


def real(domain: bytes, above: "bytes | None" = None) -> bytes:
    """The domain whose users `domain`, in lower case, has: mostly its own.  Stale, or TryLater on trouble."""
    target = other(domain, above)
    if not target:
        return domain
    if not virtual.usable_domain(target):
        raise codes.TryLater("%s is a link to %s, which cannot be a domain's name" % (_path(domain), _shown(target)))
    if other(target, above):
        raise codes.TryLater("%s is a link to a link; make it one to the domain itself" % _path(domain))
    return target


def other(domain: bytes, above: "bytes | None" = None) -> bytes:
    """What `domain` is another name of, whatever that is; b"" if of nothing.  Stale, or TryLater on trouble."""
    target = _link(domain, above)
    return b"" if b"/" in target else target


def _link(domain: bytes, above: "bytes | None") -> bytes:
    """What the link called `domain` says; b"" if it is none."""
    path = virtual.domain_directory(domain, above)
    try:
        found = calls.lstat(path)
        if not stat.S_ISLNK(found.st_mode):
            return b""
        if found.st_uid != 0 and not (roles.single_user() and found.st_uid == calls.geteuid()):
            raise codes.TryLater("%s is a link that uid %d made; only root may: remove it" % (
                _path(domain), found.st_uid))
        return calls.readlink(path)
    except OSError as error:
        if error.errno in ABSENT:
            return b""                          # whoever needs the directory will say so
        kind = virtual.Stale if error.errno == errno.EACCES else codes.TryLater
        raise kind("cannot look at %s: %s" % (_path(domain), error.strerror)) from None


def _path(domain: bytes) -> str:
    return _shown(virtual.domain_directory(domain))


def _shown(text: bytes) -> str:
    return "".join(chr(each) if 32 <= each < 127 else "?" for each in text[:300])
