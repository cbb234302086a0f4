"""What happens to mail for X: the one answer, for delivery, SMTP, the login and whoever explains it (DESIGN D11).

    rewrite     to which channel, and as what                       store/rewrite
    owner       whose dot-qmail files decide                        store/users
    file        which of them                                       store/home
    user        if the file hands everything to virtmailfilter:     store/virtual
                is there such a virtual user?

It may be asked by a process that is not allowed to read an owner's files, or while the owner edits them.  Then it says
UNKNOWN, and why: the door accepts, and delivery, which runs as the owner, decides.  Any other trouble is TryLater,
never "nobody".
"""

from vqmail import codes
from vqmail.formats import dotqmail
from vqmail.record import Record
from vqmail.store import current, home, rewrite, users, virtual
from vqmail.unix import log

REMOTE = b"remote"              # goes out
MAILBOX = b"mailbox"            # a virtual user's
DELIVERY = b"delivery"          # what the dot-qmail file, or the default delivery, says
NOBODY = b"nobody"              # there is no such address
UNKNOWN = b"unknown"            # cannot be told from here
FILTER = b"virtmailfilter"
TYPE_CHECKING = False


class Fate(Record):
    """What was decided for `stored`, the address as it is delivered, and by what.

    `path` is the dot-qmail file, b"" if there is none; `user` the virtual user; `reason` why it is NOBODY or UNKNOWN.
    """

    __slots__ = ("kind", "stored", "owner", "path", "user", "reason")
    kind: bytes
    stored: bytes
    owner: "users.Owner | None"
    path: bytes
    user: "virtual.User | None"
    reason: str


class Resolver:
    """The rules and tables as they are now, at each question; answers for one address after the other."""

    def __init__(self) -> None:
        self._rules = current.Current(rewrite.Rules, rewrite.FILES)
        self._users = users.Lookup()

    def resolve(self, address: bytes) -> Fate:
        """What happens to mail for `address`.  TryLater on trouble."""
        rules: rewrite.Rules = self._rules.get()
        channel, stored = rules.rewrite(address)
        if channel == rewrite.REMOTE:
            return Fate(REMOTE, stored, None, b"", None, "")
        local, _, domain = stored.rpartition(b"@")
        if not local:
            return Fate(NOBODY, stored, None, b"", None, "it has no local part")
        owner = None
        try:
            owner = self._users.owner(local)
            if owner.uid == 0:
                raise codes.TryLater("%s belongs to uid 0: nothing is ever delivered as root; see users/assign"
                                     % log.printable(stored).decode())
            home.check(owner.home)              # without it a home that is not mounted looks like one without files
            found = home.find(owner.home, owner.dash, owner.ext)
        except (home.Hidden, home.Editing) as why:
            return Fate(UNKNOWN, stored, owner, b"", None, str(why))
        if found is None:
            if owner.dash:
                return Fate(NOBODY, stored, owner, b"", None, "no dot-qmail file for it in %s"
                            % owner.home.decode("utf-8", "replace"))
            return Fate(DELIVERY, stored, owner, b"", None, "")
        if found.default is not None and _is_filter(found.content):
            return self._virtual(stored, owner, found.path, domain)
        return Fate(DELIVERY, stored, owner, found.path, None, "")

    def close(self) -> None:
        """Let go of the tables."""
        self._users.close()

    def _virtual(self, stored: bytes, owner: users.Owner, path: bytes, domain: bytes) -> Fate:
        domain = domain.lower()
        if not virtual.usable_domain(domain):
            return Fate(NOBODY, stored, owner, path, None, "no domain can be called so")
        try:
            user = virtual.find(domain, owner.ext)
        except virtual.Stale as stale:
            return Fate(UNKNOWN, stored, owner, path, None, str(stale))
        if user is None:
            return Fate(NOBODY, stored, owner, path, None, "no such user in %s"
                        % (virtual.domain_directory(domain) + virtual.TEXT).decode("utf-8", "replace"))
        return Fate(MAILBOX, stored, owner, path, user, "")


def _is_filter(content: bytes) -> bool:
    """Whether a dot-qmail file does nothing but hand the message to virtmailfilter."""
    try:
        instructions = dotqmail.parse(content, forward_only=False)
    except ValueError:                          # delivery will say what is wrong with it
        return False
    if len(instructions) != 1 or instructions[0].kind != dotqmail.PROGRAM:
        return False
    words = instructions[0].what.split()
    return len(words) == 1 and words[0].rpartition(b"/")[2] == FILTER
