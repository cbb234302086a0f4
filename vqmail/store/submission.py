"""What somebody who has logged in may send, and what is completed for him (RFC 6409).

He may send as himself, and as every address that leads to his mailbox and nowhere else: extensions, aliases, other
names of his domain; a catch-all does not make all addresses his.  What else he may be, control/senders says.  The empty
sender is allowed: receipts for mail that was read need it (RFC 8098 3), unless REJECTNULLSENDERS is set.  With
FORCEAUTHMAILFROM the sender must be what he logged in with, and nothing else.

An objection is a word of formats/objection.py, and b"" is none.
"""

import time

from vqmail import codes
from vqmail.formats import date822, dotqmail, header, headfix, objection, senders, sendlimits
from vqmail.store import aliasdomain, control, home, recipient, resolver, rewrite, sendcount, virtual
from vqmail.unix import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vqmail.unix.chain import Env

FILES = (b"senders", b"submissionlimits", b"hideclient", *rewrite.FILES)        # what Settings are made of
DEPTH = 5                       # aliases of aliases
TARGETS = 20                    # lines of an alias that are looked at


class Settings:
    """The control files about sending, as they are now.  TryLater, which names the line, if one makes no sense.

    `shared` belongs to a process that serves many; without it one is made for each question.
    """

    def __init__(self, shared: "resolver.Resolver | None" = None) -> None:
        self.resolver = shared
        self.rules = rewrite.Rules()
        self.no_host = control.line(b"envnoathost").lower()
        self.hide = bool(control.number(b"hideclient"))
        table: dict[bytes, list[bytes]] = {}
        self.limits: dict[bytes, sendlimits.Limit] = {}
        for each in control.entries(b"senders") or ():
            try:
                login, sender = senders.parse(each)
            except ValueError as error:
                raise codes.TryLater("control/senders: %s: %s" % (_shown(each), error)) from None
            table.setdefault(login, []).append(sender)
        self.senders = {login: frozenset(each) for login, each in table.items()}
        for each in control.entries(b"submissionlimits") or ():
            try:
                who, limit = sendlimits.parse(each)
            except ValueError as error:
                raise codes.TryLater("control/submissionlimits: %s: %s" % (_shown(each), error)) from None
            self.limits[who] = limit


class Policy:
    """What `login` may do: the address that he logged in as, or a bare name.  `hides_address` is whether the world is
    not to see where he sends from; `domain` completes his addresses.

    TryLater if a control file makes no sense.  Every other call may raise it, too: then he may try again.
    """

    def __init__(self, login: bytes, env: "Env", settings: "Settings | None" = None) -> None:
        self._settings = settings or Settings()
        self._strict = b"FORCEAUTHMAILFROM" in env
        self._no_null = b"REJECTNULLSENDERS" in env
        login = login.lower()
        self._user, at, self.domain = login.rpartition(b"@")
        if not at:
            self._user, self.domain = login, self._settings.no_host
        self.login = self._user + b"@" + self.domain
        if not virtual.usable_domain(self.domain):      # somebody else's program let him in, by whatever name
            self.domain = self._settings.no_host
        self.hides_address = self._settings.hide
        self._has_mailbox = False
        try:
            self._is_suspended(self._real(self.domain))         # finds out whether he is a user of ours
        except codes.TryLater:                  # then he hears so when he sends
            pass

    def complete(self, address: bytes) -> bytes:
        """A sender or recipient as it will be queued: a bare name is one of the login's own domain."""
        return address if not address or b"@" in address else address + b"@" + self.domain

    recipient = complete

    def sender(self, address: bytes) -> bytes:
        """Why he may not send as `address`, or not at all; b"" if he may."""
        address = self.complete(address).lower()
        real = self._real(self.domain)
        if self._is_suspended(real):
            return objection.SENDING_SUSPENDED + self.login
        return self._of_sender(address, real) or self._many(sendcount.refused, 1, real)

    def room(self, recipients: int) -> bytes:
        """Why he may not send one more message, to so many, within this hour; b"" if he may, and it is counted."""
        return self._many(sendcount.take, recipients, self._real(self.domain))

    def header(self) -> headfix.Filter:
        """A filter for one message that adds Date and Message-ID if they are missing."""
        now = time.time()
        unique = b"%s.%d.%s" % (date822.compact(now), calls.getpid(), calls.urandom(6).hex().encode("ascii"))
        return headfix.Filter({
            b"date": b"Date: %s\n" % date822.sent(now),
            b"message-id": b"Message-ID: <%s@%s>\n" % (unique, header.safe(self.domain))})

    def client(self, env: "Env", helo: bytes) -> "tuple[Env, bytes]":
        """(environment, HELO) for the trace line: the login as TCPREMOTEINFO and, when the client's address is to be
        hidden, the login's domain in place of what tells where he is: `from example.com (bob@example.com)`.
        """
        if not self.hides_address:
            return {**env, b"TCPREMOTEINFO": self.login}, helo
        return {**env, b"TCPREMOTEHOST": self.domain, b"TCPREMOTEIP": self.domain, b"TCPREMOTEINFO": self._user}, b""

    # ---- whose is an address? ----

    def _of_sender(self, address: bytes, real: bytes) -> bytes:
        if not address:
            return objection.NULL_SENDER + self.login if self._strict or self._no_null else b""
        if address == self.login:
            return b""
        if self._strict:
            return objection.FORCED_SENDER + self.login
        table = self._settings.senders
        if senders.allow(table, self.login, address) or senders.allow(table, self._user + b"@" + real, address):
            return b""
        shared = self._settings.resolver
        asked = shared or resolver.Resolver()
        try:
            return b"" if self._is_his(asked, address, real, DEPTH) else objection.NOT_YOURS + self.login
        finally:
            if shared is None:
                asked.close()

    def _is_his(self, asked: resolver.Resolver, address: bytes, real: bytes, depth: int) -> bool:
        """Whether all mail for `address` comes to him and to nobody else."""
        fate = asked.resolve(address)
        verdict = fate.verdict
        if fate.kind == resolver.UNKNOWN:       # the owner's own files are hidden from us: then the mailboxes decide
            local, _, host = address.rpartition(b"@")
            if self._settings.rules.owned_by(host):
                verdict = recipient.decide(host, local, self._settings.rules, as_compiled=True)
        if verdict is not None and verdict.kind in (recipient.MAILBOX, recipient.SUSPENDED) and verdict.user:
            name, local = verdict.user.name, address.rpartition(b"@")[0]
            return (name, verdict.domain) == (self._user, real) and (
                verdict.ext is not None or local == name)       # otherwise a catch-all led there
        if fate.kind != resolver.DELIVERY or fate.owner is None:
            return False
        if fate.stored.lower() == address and self._settings.rules.rewrite(self.login) == (rewrite.LOCAL, self.login):
            return fate.owner.user.lower() == self._user        # a user of this host
        return bool(depth and fate.path) and self._leads_to_him(asked, fate, real, depth - 1)

    def _leads_to_him(self, asked: resolver.Resolver, fate: "resolver.Fate", real: bytes, depth: int) -> bool:
        assert fate.owner is not None
        found = home.find(fate.owner.home, fate.owner.dash, fate.owner.ext)
        if found is None or found.default is not None:          # what is for many is nobody's own
            return False
        try:
            lines = dotqmail.parse(found.content, forward_only=found.forward_only)
        except ValueError:
            return False
        return 0 < len(lines) <= TARGETS and all(
            each.kind == dotqmail.FORWARD and b"@" in each.what
            and (each.what.lower() == self.login or self._is_his(asked, each.what.lower(), real, depth))
            for each in lines)

    def _real(self, domain: bytes) -> bytes:
        if not self._settings.rules.owned_by(domain) or not virtual.usable_domain(domain):
            return domain
        return aliasdomain.real(domain)

    def _is_suspended(self, real: bytes) -> bool:
        if not self._settings.rules.owned_by(self.domain) or not virtual.usable_domain(real):
            return False
        try:
            return self._suspended_in(virtual.Table(real))
        except virtual.Stale:                   # for a moment after each change, such as of a hash at a login
            return self._suspended_in(virtual.Table(real, as_compiled=True))

    def _suspended_in(self, table: virtual.Table) -> bool:
        with table:
            user = table.user(self._user)
            if user is None and self._has_mailbox:
                return True                     # he was deleted since; his session is open still
            self._has_mailbox = user is not None
            return b"send" in (user.suspended if user is not None else table.settings().suspended)

    # ---- how much? ----

    def _many(self, ask: "Callable[[bytes, sendlimits.Limit, int], bytes]", recipients: int, real: bytes) -> bytes:
        if not self._settings.limits:
            return b""
        account = self._user + b"@" + real      # all names of his domain count together
        limit = sendlimits.of(self._settings.limits, self.login, account)
        what = ask(account, limit, recipients)
        most = limit.messages if what == b"messages" else limit.recipients
        return objection.TOO_MANY + b"%d %s for %s" % (most, what, self.login) if what else b""


def _shown(text: bytes) -> str:
    return "".join(chr(each) if 32 <= each < 127 else "?" for each in text[:200])
