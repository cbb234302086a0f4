"""Who asks: the postmaster, who may do everything, or the owner of a domain, who may do some things in it."""

import contextlib

from vqmail import codes
from vqmail.admin import transaction
from vqmail.store import rewrite, roles, virtual
from vqmail.unix import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Caller:
    """Somebody with a uid, as the kernel knows it."""

    def __init__(self, uid: int) -> None:
        self.uid = uid
        self._rules: rewrite.Rules | None = None
        self.master = uid == 0 or (roles.single_user() and uid == calls.geteuid())

    def check(self, domain: bytes) -> None:
        """GiveUp unless this is the postmaster, or the owner of `domain`, as the control files are now."""
        self._rules = None
        if not self.master and not self.owns(domain):
            # whether there is such a domain is none of a stranger's business
            raise codes.GiveUp("%s is no domain of yours (you are uid %d)" % (
                domain.decode("ascii", "replace"), self.uid))

    def owns(self, domain: bytes) -> bool:
        """Whether the domain is this caller's own, by the control files as they were at the last check."""
        if not virtual.usable_domain(domain):
            return False
        self._rules = self._rules or rewrite.Rules()
        owner = virtual.owner(domain, self._rules)
        return owner is not None and owner.uid == self.uid

    @contextlib.contextmanager
    def change(self, domain: bytes) -> "Iterator[transaction.Transaction]":
        """A change in `domain`.  GiveUp unless it is the caller's now that nobody else changes anything: what was
        checked before the lock was his may be somebody else's since."""
        with transaction.Transaction() as t:
            self.check(domain)
            yield t

    @contextlib.contextmanager
    def change_anything(self, what: str) -> "Iterator[transaction.Transaction]":
        """A change that only the postmaster may make; `what` is as for must_be_master."""
        self.must_be_master(what)
        with transaction.Transaction() as t:
            yield t

    def must_be_master(self, what: str) -> None:
        """GiveUp unless this is the postmaster; `what` is what only he may do, such as: add a domain."""
        if not self.master:
            raise codes.GiveUp("only the postmaster (root) may %s" % what)
