"""A virtual user's Maildir with its quota: deliveries that fit, an answer for those that do not, and one warning a day.

    DOMAIN/.over-quota.msg      what a sender is told, instead of "user is over quota"
    DOMAIN/.quotawarn.msg       what the user is told, with a header or without
    Maildir/quotawarn           when the user was warned last: the file's time
"""

import time

from vqmail import codes
from vqmail.formats import quota as quotas
from vqmail.formats import quotawarning
from vqmail.store import maildir, quota
from vqmail.unix import calls, lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vqmail.unix.chain import Env

OVER_QUOTA = b".over-quota.msg"
QUOTA_WARN = b".quotawarn.msg"
STAMP = b"/quotawarn"
DAY = 86400                     # seconds between two warnings
PATIENCE = 1.0                  # seconds to wait for another one that warns
READING = calls.O_RDONLY | calls.O_CLOEXEC | calls.O_NONBLOCK | calls.O_NOFOLLOW
STAMPING = calls.O_WRONLY | calls.O_CREAT | calls.O_CLOEXEC | calls.O_NONBLOCK | calls.O_NOFOLLOW


class Box:
    """The Maildir `path` under the quota that `env` tells of; `domain` is a descriptor of the domain's directory."""

    def __init__(self, path: bytes, env: "Env", domain: int) -> None:
        try:
            self._rule = quotas.rule(env)
        except ValueError as error:
            raise codes.TryLater("etc/options of the domain: %s" % error) from None
        self._path = path
        self._address = env.get(b"RECIPIENT", b"")
        self._domain = domain

    def deliver(self, parts: "Iterable[bytes]") -> None:
        """Deliver one message of `parts`.  If it does not fit: GiveUp, or TryLater where that is the domain's choice;
        maildir.Undelivered on trouble."""
        box = quota.Quota(self._path, self._rule.limits)
        there: list[quotas.Use] = []
        try:
            maildir.deliver(self._path, parts, lambda size: there.append(box.reserve(size)))
        except quota.Full as full:
            self._warn(box.per_cent(full.use))
            kind = codes.TryLater if self._rule.defer else codes.GiveUp
            raise kind(quotawarning.refusal(self._own(OVER_QUOTA), later=self._rule.defer)) from None
        except BaseException:
            _try(box.give_back)
            raise
        _try(box.confirm)
        self._warn(box.per_cent(there[0]))

    def _warn(self, per_cent: int) -> None:
        """Tell the user, unless that was done within a day.  It does not fail a delivery, which is done."""
        if not self._rule.warn or per_cent < self._rule.warn:
            return
        try:
            if not self._is_due():
                return
            text = quotawarning.warning(self._address, per_cent, self._own(QUOTA_WARN), time.time(),
                                        calls.urandom(8).hex().encode())
            box = quota.Quota(self._path, self._rule.limits)
            maildir.deliver(self._path, [text], lambda size: box.reserve(size, whatever=True))
        except (OSError, codes.Failure):
            return

    def _is_due(self) -> bool:
        """Whether it is time for a warning; then this is when it was given."""
        now = time.time()
        number = calls.open(self._path + STAMP, STAMPING, 0o600)
        try:
            lock.take_within(number, PATIENCE)  # or two who come at the same time both warn
            status = calls.fstat(number)        # a new file is empty; it is given a byte, and its time
            if status.st_size and 0 <= now - status.st_mtime < DAY:
                return False
            calls.ftruncate(number, 0)
            calls.write(number, b"\n")
        finally:
            calls.close(number)
        return True

    def _own(self, name: bytes) -> bytes:
        """The text of the domain's owner; b"" if there is none that the user may read."""
        number = -1
        try:
            number = calls.open(name, READING, dir_fd=self._domain)
            return calls.read(number, quotawarning.LIMIT)
        except OSError:
            return b""
        finally:
            if number >= 0:
                calls.close(number)


def _try(do: "Callable[[], None]") -> None:
    """Say what the sum misses; if that fails it is a wrong number, which mends itself, and no reason to fail."""
    try:
        do()
    except OSError:
        return

