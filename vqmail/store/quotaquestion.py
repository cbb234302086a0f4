"""Whether a message fits into a virtual user's Maildir, asked by who may not look into it: vq-smtpd and vq-qmtpd.

The service virtmailfilter has a process of that user's uid look.  It answers root and qmaild, and nobody else: how full
a mailbox is is none of a stranger's business.  No answer, or none in time, means yes: the delivery decides.
"""

import time

from vqmail import codes, vqhome
from vqmail.formats import job
from vqmail.formats import quota as quotas
from vqmail.store import desk, quota, roles, virtual
from vqmail.unix import sockets

ARGUMENT = b"fits"              # what makes a packet a question; a delivery begins with the name of its program
PROGRAM = vqhome.path(b"bin/virtmailquota")
PATIENCE = 1.0                  # seconds to wait for an answer: whoever asks may serve others meanwhile
PAUSE = 10.0                    # seconds in which we do not ask again a service that did not answer


class Asker:
    """Asks, for one process; remembers for a while that nobody answers."""

    def __init__(self) -> None:
        self._not_before = 0.0

    def fits(self, domain: bytes, user: virtual.User, size: int) -> bool:
        """Whether a message of `size` bytes fits; True, too, if that cannot be told."""
        if not user.quota:
            return True
        if roles.single_user():
            return self._here(domain, user, size)
        if time.monotonic() < self._not_before:
            return True
        try:
            return self._ask(domain, user.name, size) != codes.PERMANENT
        except OSError:                         # a timeout is one of these
            self._not_before = time.monotonic() + PAUSE
            return True

    def _here(self, domain: bytes, user: virtual.User, size: int) -> bool:
        path = virtual.domain_directory(domain) + b"/" + user.home.strip(b"/") + b"/Maildir"
        try:
            return quota.Quota(path, quotas.parse(user.quota)).fits(size)
        except (OSError, ValueError):
            return True

    def _ask(self, domain: bytes, name: bytes, size: int) -> int:
        service = sockets.connect(desk.SOCKET, PATIENCE)
        try:
            sockets.send(service, job.encode([ARGUMENT, domain, name, b"%d" % size], {}, b""))
            code = service.recv(sockets.PACKET).partition(b" ")[0]
        finally:
            service.close()
        return int(code) if code.isdigit() else codes.TEMPORARY


def may_ask(uid: int) -> bool:
    """Whether the service answers this uid."""
    return uid in (0, roles.ids(roles.DAEMON)[0])


def plan(argv: "list[bytes]") -> "desk.Plan | None":
    """What to run to answer the question `argv`; None if it fits whoever looks.  TryLater on trouble."""
    if len(argv) != 4 or not argv[3].isdigit() or len(argv[3]) > quotas.DIGITS:
        raise codes.TryLater("virtmailfilter service does not understand the question")
    _, domain, name, size = argv
    user = virtual.find(domain, name)
    if user is None or not user.quota:
        return None
    virtual.home_directory(domain, user)
    return desk.Plan(user.uid, user.gid, virtual.domain_directory(domain),
                     [PROGRAM, user.home, user.quota, ARGUMENT, size], {})
