"""What happens to mail for X: the one answer, for delivery, SMTP, the login and whoever explains it (DESIGN D11).

    rewrite     to which channel, and as what                       store/rewrite
    owner       whose dot-qmail files decide                        store/users
    file        which of them                                       store/home
    recipient   if the file hands everything to virtmailfilter:     store/recipient
                which virtual user, by which rule

It may be asked by a process that is not allowed to read an owner's files, or while the owner edits them.  Then it says
UNKNOWN, and why: the door accepts, and delivery, which runs as the owner, decides.  Any other trouble is TryLater,
never "nobody".
"""

from vqmail import codes
from vqmail.formats import dotqmail
from vqmail.record import Record
from vqmail.store import current, getpw, home, recipient, rewrite, users, virtual
from vqmail.unix import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vqmail.store.recipient import Steps

REMOTE = b"remote"              # goes out
DELIVERY = b"delivery"          # what the dot-qmail file, or the default delivery, says
UNKNOWN = b"unknown"            # cannot be told from here
MAILBOX, NOBODY, SUSPENDED, MOVED = recipient.MAILBOX, recipient.NOBODY, recipient.SUSPENDED, recipient.MOVED
REMEMBERED = 500                # dot-qmail files
FILTERS = (b"virtmailfilter", b"vdelivermail")


class Fate(Record):
    """What was decided for `stored`, the address as it is delivered, and by what.  `kind` is one of ours or, if
    virtmailfilter is asked, one of recipient's, whose `verdict` it is.

    `path` is the dot-qmail file, b"" if there is none; `user` the virtual user; `reason` why it is NOBODY or UNKNOWN.
    """

    __slots__ = ("kind", "stored", "owner", "path", "user", "reason", "verdict")
    kind: bytes
    stored: bytes
    owner: "users.Owner | None"
    path: bytes
    user: "virtual.User | None"
    reason: str
    verdict: "recipient.Verdict | None"

    def __init__(self, kind: bytes, stored: bytes, owner: "users.Owner | None", path: bytes, reason: str,
                 verdict: "recipient.Verdict | None" = None) -> None:
        Record.__init__(self, kind, stored, owner, path, verdict.user if verdict else None, reason, verdict)


class Resolver:
    """The rules and tables as they are now, at each question; answers for one address after the other."""

    def __init__(self) -> None:
        self._rules = current.Current(rewrite.Rules, rewrite.FILES)
        self._users = users.Lookup()
        self._contents: dict[bytes, bytes | None] = {}

    def resolve(self, address: bytes, steps: "Steps | None" = None) -> Fate:
        """What happens to mail for `address`; `steps` are told what was decided where.  TryLater on trouble."""
        rules: rewrite.Rules = self._rules.get()
        channel, stored = rules.rewrite(address, steps)
        if channel == rewrite.REMOTE:
            return Fate(REMOTE, stored, None, b"", "")
        local, _, domain = stored.rpartition(b"@")
        if not local:
            return Fate(NOBODY, stored, None, b"", "it has no local part")
        owner = None
        try:
            owner = self._owner(local, steps)
            if owner.uid == 0:
                raise codes.TryLater("%s belongs to uid 0: nothing is ever delivered as root; see users/assign"
                                     % log.shown(stored))
            home.check(owner.home)              # without it a home that is not mounted looks like one without files
            found = home.find(owner.home, owner.dash, owner.ext)
        except (home.Hidden, home.Editing) as why:
            return Fate(UNKNOWN, stored, owner, b"", str(why))
        if steps is not None:
            steps += _looked_for(owner, found)
        if found is None:
            if owner.dash:
                return Fate(NOBODY, stored, owner, b"", "no dot-qmail file for it in %s"
                            % owner.home.decode("utf-8", "replace"))
            return Fate(DELIVERY, stored, owner, b"", "")
        argument = self._handed_over(found.content) if found.default is not None else NOT_HANDED_OVER
        if argument is NOT_HANDED_OVER:
            return Fate(DELIVERY, stored, owner, found.path, "")
        if steps is not None:
            steps.append((found.path, b"hands it to virtmailfilter"))
        try:
            verdict = recipient.decide(domain, owner.ext, rules, argument, steps)
        except virtual.Stale as stale:
            return Fate(UNKNOWN, stored, owner, found.path, str(stale))
        return Fate(verdict.kind, stored, owner, found.path, verdict.reason, verdict)

    def close(self) -> None:
        """Let go of the tables."""
        self._users.close()

    def _handed_over(self, content: bytes) -> "bytes | None":
        """What a file hands over; most say the same as one of those that were read before."""
        if content not in self._contents:
            if len(self._contents) >= REMEMBERED:
                self._contents = {}
            self._contents[content] = _handed_over(content)
        return self._contents[content]

    def _owner(self, local: bytes, steps: "Steps | None") -> users.Owner:
        owner = self._users.assigned(local)
        where = users.PATH
        if owner is None:
            owner, where = users.Owner(*getpw.find(local)), b"/etc/passwd"
        if steps is not None:
            steps.append((where, b'%s is under user %s (uid %d, gid %d), home %s, dash "%s", ext "%s"' % (
                local, owner.user, owner.uid, owner.gid, owner.home, owner.dash, owner.ext)))
        return owner


NOT_HANDED_OVER = b"\0"         # no argument can be that


def _looked_for(owner: users.Owner, found: "home.Found | None") -> "Iterator[tuple[bytes, bytes]]":
    """The steps of home.find()."""
    for name, _ in home.candidates(owner.dash, owner.ext):
        path = owner.home + b"/" + name
        there = found is not None and found.path == path
        yield path, b"is there" if there else b"is not there"
        if there:
            return


def _handed_over(content: bytes) -> "bytes | None":
    """What virtmailfilter is told to do for nobody, None if nothing, by a dot-qmail file that does nothing but hand
    the message to it; NOT_HANDED_OVER if it does anything else.
    """
    try:
        instructions = dotqmail.parse(content, forward_only=False)
    except ValueError:                          # delivery will say what is wrong with it
        return NOT_HANDED_OVER
    if len(instructions) != 1 or instructions[0].kind != dotqmail.PROGRAM:
        return NOT_HANDED_OVER
    words = dotqmail.plain_words(instructions[0].what) or [b""]
    name = words[0].rpartition(b"/")[2]
    if name not in FILTERS or any(each[:1] == b"-" for each in words[1:]):
        return NOT_HANDED_OVER
    arguments = words[1:] if name == FILTERS[0] else words[2:]      # vdelivermail's first one means nothing
    if name == FILTERS[1] and len(words) != 3:
        return NOT_HANDED_OVER
    if len(arguments) > 1:
        return NOT_HANDED_OVER
    return arguments[0] if arguments else None
