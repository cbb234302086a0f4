"""Who is who: the uid and gid of each role of an installation, read off the owners of its files.

Setup gave each directory to its role, so nothing has to be looked up by name, twice, or from a passwd file
that cannot be read just now; and an installation under a single user needs no special case.
"""

from vqmail import codes, vqhome
from vqmail.unix import calls

ALIAS = b"alias"
QUEUE = b"queue/mess"
SEND = b"queue/info"
REMOTE = b"queue/lock/tcpto"
DAEMON = b"run/smtpd"
LOG = b"run/log"
TLS = b"run/tls/worker"


def ids(role: bytes) -> "tuple[int, int]":
    """(uid, gid) of ALIAS, QUEUE, SEND, REMOTE, DAEMON, LOG or TLS.  TryLater if the installation lacks its file."""
    path = vqhome.path(role)
    try:
        owner = calls.stat(path)
    except OSError as error:
        raise codes.TryLater("cannot look at %s: %s; run make check-setup" % (path.decode(), error.strerror)) from None
    return owner.st_uid, owner.st_gid


def single_user() -> bool:
    """Whether this installation is under one user, and we are that user: there is no right to cross."""
    uid = calls.geteuid()
    return uid != 0 and calls.stat(vqhome.VQHOME).st_uid == uid
