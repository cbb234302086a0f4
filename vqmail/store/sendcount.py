"""run/smtpd/sent: what each login sent in the last hour, counted by all processes of vq-smtpd together.

The file is of a fixed size, with holes where nobody is.  It outlives a restart; to forget everybody, remove it.
"""

import errno
import time

from vqmail import codes, vqhome
from vqmail.formats import sendlimits
from vqmail.unix import calls, lock

PATH = vqhome.path(b"run/smtpd/sent")
PATIENCE = 5.0                  # seconds to wait for the lock


def refused(login: bytes, limit: sendlimits.Limit, recipients: int) -> bytes:
    """What there are too many of, `messages` or `recipients`, if `login` sends one more message; b"" if there is room,
    which is not taken.  TryLater if that cannot be told.
    """
    return _look(login, limit, recipients, take=False)


def take(login: bytes, limit: sendlimits.Limit, recipients: int) -> bytes:
    """The same, but if there is room, it is taken."""
    return _look(login, limit, recipients, take=True)


def _look(login: bytes, limit: sendlimits.Limit, recipients: int, *, take: bool) -> bytes:
    if limit == sendlimits.NONE:
        return b""
    key = sendlimits.hashed(login)
    start = sendlimits.offset(key)
    number = -1
    try:
        number = calls.open(PATH, calls.O_RDWR | calls.O_CREAT | calls.O_NOFOLLOW | calls.O_CLOEXEC, 0o600)
        lock.take_within(number, PATIENCE)
        now = int(time.time())
        places = calls.pread(number, sendlimits.PLACES * sendlimits.SIZE, start)
        wrong = sendlimits.refused(places, key, limit, now, recipients)
        if take and not wrong:
            if calls.fstat(number).st_size < sendlimits.TABLE:
                calls.ftruncate(number, sendlimits.TABLE)
            at, record = sendlimits.counted(places, key, now, recipients)
            calls.pwrite(number, record, start + at)
        return wrong
    except OSError as error:                    # a timeout is one of these
        raise codes.TryLater("cannot count what %s sends in %s: %s%s" % (
            login.decode("ascii", "replace"), PATH.decode("utf-8", "replace"), error.strerror or error,
            "; it must belong to qmaild" if error.errno != errno.ENOSPC else "")) from None
    finally:
        if number >= 0:
            calls.close(number)
