"""A virtual user's own dot-qmail files, in his home, which is the current directory.

    no          nobody looks at them
    forwards    they forward, and keep a copy in ./Maildir/
    programs    they run programs, too

For an extension, bob-lists or bob+lists, .qmail-lists comes first, then .qmail-default, then .qmail: mail to an
extension is bob's mail.
"""

import errno

from vqmail import codes
from vqmail.formats import deliveryenv, dotqmail
from vqmail.record import Record
from vqmail.store import follow, home, passage, rewrite
from vqmail.unix import calls, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vqmail.unix.chain import Env

NO, FORWARDS, PROGRAMS = b"no", b"forwards", b"programs"
MAILDIR = b"./Maildir/"
KINDS = {FORWARDS: (dotqmail.FORWARD, dotqmail.MAILDIR),
         PROGRAMS: (dotqmail.FORWARD, dotqmail.MAILDIR, dotqmail.PROGRAM)}


class Orders(Record):
    """What the file says, and what of it is allowed."""

    __slots__ = ("order", "kinds", "nowhere_else")
    order: follow.Order
    kinds: "tuple[bytes, ...]"
    nowhere_else: bool

    def follow(self, deliver: "Callable[[dotqmail.Instruction], None] | None" = None) -> int:
        """Do it with the message on 0, or let `deliver` put it into the maildir; the exit code."""
        _make_a_file()
        passage.check(passage.loops(self.order.env))
        env = self.order.env
        return follow.follow(self.order, deliver or (lambda each: follow.into_file(env, each)),
                             forbidden=self._forbidden)

    def _forbidden(self, each: dotqmail.Instruction) -> str:
        if each.kind not in self.kinds:
            return "a %s is not allowed here (option dotqmail in etc/options of the domain)" % each.kind.decode()
        if each.kind == dotqmail.MAILDIR and not _is_own(each.what):
            return "a virtual user's maildir is ./Maildir/, no other"
        if self.nowhere_else and each.kind == dotqmail.FORWARD and _goes_out(each.what):
            return "mail may not go on to other hosts (option forwarding in etc/options of the domain)"
        return ""


def find(env: "Env", allowed: bytes) -> "Orders | None":
    """The file that counts for EXT, if there is one that says anything.  TryLater if it may not be trusted now."""
    if allowed not in KINDS:
        return None
    home.check(b".")
    ext = env.get(b"EXT", b"")
    found = choose(b".", ext)
    if found is None:
        return None
    if found.path == b"./.qmail":
        ext = b""
    dash = b"-" if ext else b""
    env = dict(env)
    local, host, sender = (env.get(each, b"") for each in (b"LOCAL", b"HOST", b"SENDER"))
    newsender = follow.new_sender(b".", dash, ext, local + b"@" + host, sender)
    for name, value in deliveryenv.variables(env.get(b"USER", b""), env.get(b"HOME", b""), local, env.get(b"EXT", b""),
                                             host, sender).items():
        env[name] = value
    env[b"NEWSENDER"] = deliveryenv.harmless(newsender)
    env.pop(b"DEFAULT", None)
    if found.default is not None:
        env[b"DEFAULT"] = deliveryenv.harmless(found.default)
    for name in (b"DTLINE", b"RPLINE", b"UFLINE"):
        env[name] = deliveryenv.one_line(env.get(name, b""))
    source = env.get(b"HOME", b"") + found.path[1:]
    order = follow.Order(found.content, found.forward_only, source.decode("utf-8", "replace"), env, newsender)
    return Orders(order, KINDS[allowed], env.pop(b"FORWARDING", b"") == b"no")


def choose(directory: bytes, ext: bytes) -> "home.Found | None":
    """The file in `directory` that counts for the extension `ext`, None if there is none that says anything."""
    found = home.find(directory, b"-", ext) if ext else None
    if found is None:
        found = home.find(directory, b"", b"")
    return found if found is not None and found.content else None


def _goes_out(address: bytes) -> bool:
    return rewrite.Rules().rewrite(address)[0] == rewrite.REMOTE


def _is_own(what: bytes) -> bool:
    """Whether a line of a file means the user's own Maildir: many programs write its whole path."""
    if what == MAILDIR:
        return True
    try:
        meant, own = calls.stat(what), calls.stat(MAILDIR)
    except OSError:
        return False
    return (meant.st_dev, meant.st_ino) == (own.st_dev, own.st_ino)


def _make_a_file() -> None:
    """Make 0 a file that begins where the message does: each line of a dot-qmail file reads it anew."""
    try:
        if calls.lseek(0, 0, 1) == 0:
            return
    except OSError as error:
        if error.errno != errno.ESPIPE:
            raise codes.TryLater("cannot read the message: %s" % error.strerror) from None
    fd.spool(fd.rest(0))
