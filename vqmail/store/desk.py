"""The desk of virtmailfilter: who asks, for whom, and under which uid that is to be delivered.

The answers begin with the words of the HOWTO's virtmailfilter, which scripts and postmasters know.
"""

from vqmail import codes, vqhome
from vqmail.formats import deliveryenv, header, quota
from vqmail.record import Record
from vqmail.store import control, current, passage, recipient, rewrite, roles, virtual
from vqmail.unix import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

SOCKET = vqhome.path(b"run/virtmailfilter/socket")
DELIVERY = vqhome.path(b"bin/virtmaildelivery")
# what the one who delivers gets to know of the caller's environment, and nothing else of it
HANDED = (b"DTLINE", b"RPLINE", b"UFLINE", b"SENDER", b"RECIPIENT", b"LOCAL", b"EXT", b"HOST")
PATH = b"/usr/local/bin:/usr/bin:/bin"
STORED = b"stored"              # control/deliveredto: as vq-local calls the address, its prefix before it


class Plan(Record):
    """Run `argv` with `env` in `directory`, as `uid` and `gid`."""

    __slots__ = ("uid", "gid", "directory", "argv", "env")
    uid: int
    gid: int
    directory: bytes
    argv: "list[bytes]"
    env: "Env"


class Yours(Record):
    """The caller himself shall send the message to the address `target`, or put it into the maildir of that path, with
    the lines `head` in front; `loops` are the addresses that it must not have passed already.

    This service never opens a message, and has more rights than such a delivery may have.
    """

    __slots__ = ("kind", "target", "head", "loops")
    kind: bytes
    target: bytes
    head: bytes
    loops: "list[bytes]"


def encode(yours: Yours) -> bytes:
    """`yours` as the service says it; no exit code begins so."""
    return b"yours " + b"\0".join((yours.kind, yours.target, yours.head, *yours.loops))


def decode(answer: bytes) -> "Yours | None":
    """What encode() made; None if it is another answer."""
    if not answer.startswith(b"yours "):
        return None
    kind, target, head, *loops = answer[6:].split(b"\0")
    return Yours(kind, target, head, loops)


class Deleted(Record):
    """The message is to be dropped; `why` is for the log."""

    __slots__ = ("why",)
    why: bytes


class NotHere(codes.GiveUp):
    """There is no such user, or no such domain: what the sender is told."""


def handed(env: "Env") -> "Env":
    """The part of a caller's environment that goes to the service."""
    return {name: env[name] for name in HANDED if name in env}


class Desk:
    """Answers many callers; reads the control files anew when they changed."""

    def __init__(self) -> None:
        self._rules = current.Current(rewrite.Rules, rewrite.FILES)
        self._form = current.Current(lambda: control.line(b"deliveredto"), (b"deliveredto",))

    def plan(self, env: "Env", caller: int, argument: "bytes | None" = None) -> "Plan | Yours | Deleted":
        """What to do for the address in EXT and HOST, asked for by the uid `caller`; `argument` says what to do for
        nobody, None that the domain's options do.

        NotHere if there is no such user; TryLater if the caller is not the domain's owner, or on any trouble.
        """
        name, asked = _address(env)
        rules: rewrite.Rules = self._rules.get()
        _check_owner(asked, caller, rules)
        above = virtual.root()
        directory = virtual.domain_directory(asked, above)
        try:
            calls.stat(directory)
        except OSError as error:
            raise codes.TryLater("domain failed: %s: %s: %s" % (
                _text(asked), _text(directory), error.strerror)) from None
        found = recipient.decide(asked, name, rules, argument, above=above)
        if found.domain != asked and virtual.owner(found.domain, rules) is not None:
            _check_owner(found.domain, caller, rules)
        if found.kind == recipient.NOBODY:
            raise NotHere("user %s: not exist. Sorry, no mailbox here by that name. (#5.1.1)" % _text(name))
        if found.kind == recipient.SUSPENDED:
            raise NotHere("user %s: suspended. Sorry, this mailbox receives no mail for now. (#5.2.1)" % _text(name))
        if found.kind == recipient.MOVED:
            raise NotHere("user %s: moved. Sorry, this user has moved to %s. (#5.1.6)" % (
                _text(name), _text(found.target)))
        if found.kind == recipient.DELETE:
            return Deleted(b"user %s: not exist. Deleted, as the %s says" % (
                _text(name).encode(), found.reason.encode("utf-8", "replace")))
        clean = handed(env) | self._lines(env, rules)
        if found.user is None:
            head = clean.get(b"RPLINE", b"") if found.kind == recipient.MAILDIR else b""
            return Yours(found.kind, found.target, head + clean.get(b"DTLINE", b""), passage.loops(clean))
        return self._delivery(found, found.user, clean, above)

    def _lines(self, env: "Env", rules: rewrite.Rules) -> "Env":
        """The Delivered-To line with the address that people know, and that address."""
        stored = _delivered_to(env)
        if not stored:
            return {}
        known = rules.strip_prefix(stored)
        shown = stored if self._form.get() == STORED else known
        return {b"DTLINE": header.delivered_to(shown), b"RECIPIENT": known, b"LOCAL": known.rpartition(b"@")[0]}

    def _delivery(self, found: recipient.Verdict, user: virtual.User, clean: "Env", above: bytes) -> Plan:
        virtual.home_directory(found.domain, user, above)
        directory = virtual.domain_directory(found.domain, above)
        clean |= {b"PATH": PATH, b"USER": user.name, b"HOME": directory + b"/" + user.home.lstrip(b"/"),
                  b"EXT": deliveryenv.harmless(found.ext or b"")}
        if found.settings is not None and not found.settings.forwarding:
            clean[b"FORWARDING"] = b"no"
        if user.quota:
            settings = found.settings or virtual.settings(found.domain)
            clean |= quota.environment(user.quota, defer=settings.overquota == b"defer", warn=settings.warn)
        return Plan(user.uid, user.gid, directory, [DELIVERY, user.name, user.home, user.dotqmail], clean)


def _check_owner(domain: bytes, caller: int, rules: rewrite.Rules) -> None:
    if caller == 0 or roles.single_user():
        return
    owner = virtual.owner(domain, rules)
    if owner is None:
        raise NotHere("domain failed: %s: it is not in control/virtualdomains. (#5.1.2)" % _text(domain))
    if owner.uid != caller:
        raise codes.TryLater("domain failed: %s belongs to uid %d, but uid %d asks; see control/virtualdomains "
                             "and users/assign" % (_text(domain), owner.uid, caller))


def _delivered_to(env: "Env") -> bytes:
    """The address in DTLINE; b"" if there is none."""
    name, _, address = env.get(b"DTLINE", b"").partition(b": ")
    return deliveryenv.one_line(address)[:-1] if name == b"Delivered-To" else b""


def _address(env: "Env") -> "tuple[bytes, bytes]":
    """(user, domain), lower-cased, from EXT and HOST."""
    for name in (b"EXT", b"HOST"):
        if name not in env:
            raise codes.TryLater("environment variable %s not set" % name.decode())
    user, domain = env[b"EXT"].lower(), env[b"HOST"].lower()
    for bad in (b"..", b"/"):
        if bad in domain:
            raise codes.TryLater("environment variable HOST has %s" % bad.decode())
    if not domain or domain.startswith(b".") or domain.endswith(b".") or not _plain(domain):
        raise codes.TryLater("domain failed: %s" % _text(domain))
    if not user or user in (b".", b"..") or b"/" in user or not _plain(user):
        raise NotHere("user %s: not exist. Sorry, no mailbox here by that name. (#5.1.1)" % _text(user))
    return user, domain


def _plain(text: bytes) -> bool:
    return all(each > 32 and each != 127 for each in text)


def _text(text: bytes) -> str:
    """`text` fit for a bounce and a log."""
    return "".join(chr(each) if 32 < each < 127 else "?" for each in text[:200])
