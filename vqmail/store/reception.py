"""What every server that receives mail from strangers asks: may this one send to that one, and is this message fit?

It knows no protocol: an objection is a word of formats/objection.py, and b"" is none.
"""

import time

from vqmail import codes
from vqmail.formats import controlfile, date822, envelope, header, ip, objection
from vqmail.store import control, rcpthosts, resolver, submit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.formats import headfix
    from vqmail.store import quotaquestion, virtual
    from vqmail.unix.chain import Env

FILES = (b"me", b"localiphost", b"databytes", b"badmailfrom", b"rcpthosts")         # what Settings are made of

OBJECTIONS = {resolver.NOBODY: objection.NO_MAILBOX, resolver.SUSPENDED: objection.SUSPENDED}

HOPS_LIMIT = 100
LIMITED = 1000                  # recipients with a quota that are remembered until the message is there
HEADER_LIMIT = 1 << 18          # bytes looked through for hops: they are on top


class Settings:
    """The control files of a server that receives, as they are now.  TryLater if one cannot be read.

    `shared` answers whether recipients exist, and belongs to a process that serves many; without it we make our own.
    """

    def __init__(self, shared: "resolver.Resolver | None" = None) -> None:
        self.resolver = shared or resolver.Resolver()
        self._own = shared is None
        self.localiphost = control.line(b"localiphost")
        self.databytes = control.number(b"databytes")
        self.badmailfrom = frozenset(control.entries(b"badmailfrom") or ())
        self.rcpthosts = rcpthosts.RcptHosts()
        self._asker: quotaquestion.Asker | None = None

    def fits(self, domain: bytes, user: "virtual.User", size: int) -> bool:
        """Whether a message of `size` bytes fits into the mailbox of `user`, who has a quota."""
        if self._asker is None:
            from vqmail.store import quotaquestion      # the insides of a Maildir; most users have no quota

            self._asker = quotaquestion.Asker()
        return self._asker.fits(domain, user, size)

    def close(self) -> None:
        """Let go of the tables that were looked into."""
        if self._own:
            self.resolver.close()


class Client:
    """What one client may do.  `limit` is the size of a message in bytes, 0 for none; `may_send` is whether there is
    anybody at all whom it could send to."""

    def __init__(self, settings: Settings, env: "Env") -> None:
        self._settings = settings
        self._relay = env.get(b"RELAYCLIENT")           # set to nothing is still set
        here = ip.pack(env.get(b"TCPLOCALIP", b""))
        self._here = ip.plain(here) if here else b""
        limit = controlfile.number(env.get(b"DATABYTES", b""))
        self.limit = settings.databytes if limit is None else limit
        self.may_send = self._relay is not None or not settings.rcpthosts.missing
        self._limited: dict[bytes, resolver.Fate] = {}

    def recipient(self, address: bytes) -> bytes:
        """`address` as it will be queued: user@[our.ip] is at localiphost, and RELAYCLIENT is appended.

        Our address is the one that the client connected to.
        """
        local, _, host = address.rpartition(b"@")
        ours = host[:1] == b"[" and self._here and self._here == ip.plain(ip.literal(host) or b"")
        if ours and self._settings.localiphost:
            address = local + b"@" + self._settings.localiphost
        return address + (self._relay or b"")

    def objection(self, sender: bytes, recipient: bytes, size: int = 0) -> bytes:
        """Why mail from `sender` is not accepted for `recipient`, or b"".  TryLater if that cannot be told now.

        `size` is what the message will have or has, 0 if that is not known.
        """
        _, at, host = sender.lower().rpartition(b"@")
        refused = self._settings.badmailfrom
        if refused and (sender.lower() in refused or (at and at + host in refused)):
            return objection.BAD_MAIL_FROM
        if len(recipient) > envelope.ADDRESS_LIMIT:
            return objection.TOO_LONG
        if self._relay is None and not self._settings.rcpthosts.accept(recipient):
            return objection.NO_GATEWAY
        fate = self._settings.resolver.resolve(recipient)
        if fate.kind == resolver.REMOTE and self._relay is None and not fate.stored.startswith(recipient):
            # percenthack made another address of it: user%elsewhere@here must not get through
            return b"" if self._settings.rcpthosts.accept(fate.stored) else objection.NO_GATEWAY
        if fate.kind == resolver.MAILBOX and fate.user is not None and fate.user.quota:
            return self._full(recipient, fate, size)
        if fate.kind == resolver.MOVED and fate.verdict is not None:
            return objection.MOVED + fate.verdict.target
        return OBJECTIONS.get(fate.kind, b"")

    def too_much(self, recipients: "list[bytes]", size: int) -> bytes:
        """Why a message of `size` bytes is not accepted although its `recipients` were, or b"": one answer is for all
        of them, so it is not refused while one of them can get it."""
        limited, self._limited = self._limited, {}
        found = b""
        for each in recipients:
            if each not in limited:
                return b""
            found = self._full(each, limited[each], size)
            if not found:
                break
        self._limited = {}
        return found

    def _full(self, recipient: bytes, fate: "resolver.Fate", size: int) -> bytes:
        """OVER_QUOTA, or FULL_FOR_NOW where the domain wants that; b"" if it fits, or nobody can tell."""
        if fate.user is None or fate.verdict is None or fate.user.dotqmail != b"no":
            return b""                          # with a .qmail it need not go to the mailbox
        if self._settings.fits(fate.verdict.domain, fate.user, max(size, 1)):
            if len(self._limited) < LIMITED:
                self._limited[recipient] = fate
            return b""
        settings = fate.verdict.settings
        return objection.FULL_FOR_NOW if settings and settings.overquota == b"defer" else objection.OVER_QUOTA

    def close(self) -> None:
        """Let go of the tables that were looked into."""
        self._settings.close()


class Message:
    """One message on its way into the queue; `complete` adds what it lacks.  `size` is in bytes, without the trace
    line.  TryLater if the queue cannot be reached."""

    def __init__(self, env: "Env", limit: int, trace: bytes, complete: "headfix.Filter | None" = None) -> None:
        self.size = 0
        self._complete = complete
        self.submission = submit.Submission(env)
        self._limit = limit
        self._header = header.Header(HEADER_LIMIT)
        self.submission.write(trace)

    def write(self, text: bytes) -> None:
        """Append to it.  What is over the limit goes nowhere: a client must be heard out to hear our answer."""
        self.size += len(text)
        if not self._limit or self.size <= self._limit:
            self._header.feed(text)
            self.submission.write(self._complete.feed(text) if self._complete else text)

    def objection(self) -> bytes:
        """Why it must not be queued, or b""."""
        if self._header.hops() >= HOPS_LIMIT:
            return objection.LOOPING
        return objection.TOO_BIG if self._limit and self.size > self._limit else b""

    def begin(self, sender: bytes, recipients: "list[bytes]") -> int:
        """It is whole: give the envelope.  Returns a descriptor that is ready when the submission's answer() need not
        wait, -1 if there is none."""
        if self._complete:
            self.submission.write(self._complete.end())
        return self.submission.begin(sender, recipients)

    def close(self) -> None:
        """Let go of it; if it is not queued yet it never will be."""
        self.submission.close()


def trace(env: "Env", helo: bytes, protocol: bytes) -> bytes:
    """The line on top of a message that comes from the network now; `helo` is what the client calls itself."""
    return header.received(
        env.get(b"TCPREMOTEHOST") or b"unknown", helo, env.get(b"TCPREMOTEINFO", b""),
        env.get(b"TCPREMOTEIP", b"unknown"), env.get(b"TCPLOCALHOST") or env.get(b"TCPLOCALIP") or b"unknown",
        protocol, date822.header(time.time()))


def failure(problem: "codes.Failure | OSError") -> bytes:
    """The text of `problem` for the log."""
    return str(problem).encode("utf-8", "surrogateescape")
