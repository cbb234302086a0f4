"""The desk of virtmailfilter: who asks, for whom, and under which uid that is to be delivered.

The answers begin with the words of the HOWTO's virtmailfilter, which scripts and postmasters know.
"""

from vqmail import codes, vqhome
from vqmail.record import Record
from vqmail.store import current, rewrite, roles, virtual
from vqmail.unix import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

SOCKET = vqhome.path(b"run/virtmailfilter/socket")
DELIVERY = vqhome.path(b"bin/virtmaildelivery")
# what the one who delivers gets to know of the caller's environment, and nothing else of it
HANDED = (b"DTLINE", b"RPLINE", b"UFLINE", b"SENDER", b"RECIPIENT", b"LOCAL", b"EXT", b"HOST")
PATH = b"/usr/local/bin:/usr/bin:/bin"


class Plan(Record):
    """Run `argv` with `env` in `directory`, as `uid` and `gid`."""

    __slots__ = ("uid", "gid", "directory", "argv", "env")
    uid: int
    gid: int
    directory: bytes
    argv: "list[bytes]"
    env: "Env"


class NotHere(codes.GiveUp):
    """There is no such user, or no such domain: what the sender is told."""


def handed(env: "Env") -> "Env":
    """The part of a caller's environment that goes to the service."""
    return {name: env[name] for name in HANDED if name in env}


class Desk:
    """Answers many callers; reads the control files anew when they changed."""

    def __init__(self) -> None:
        self._rules = current.Current(rewrite.Rules, rewrite.FILES)

    def plan(self, env: "Env", caller: int) -> Plan:
        """What to run for the address in EXT and HOST, asked for by the uid `caller`.

        NotHere if there is no such user; TryLater if the caller is not the domain's owner, or on any trouble.
        """
        user, domain = _address(env)
        self._check_owner(domain, caller)
        directory = virtual.domain_directory(domain)
        try:
            calls.stat(directory)
        except OSError as error:
            raise codes.TryLater("domain failed: %s: %s: %s" % (
                _text(domain), _text(directory), error.strerror)) from None
        found = virtual.find(domain, user)
        if found is None:
            raise NotHere("user %s: not exist. Sorry, no mailbox here by that name. (#5.1.1)" % _text(user))
        virtual.home_directory(domain, found)
        clean = handed(env) | {b"PATH": PATH, b"USER": found.name, b"HOME": directory + b"/" + found.home.lstrip(b"/")}
        return Plan(found.uid, found.gid, directory, [DELIVERY, found.name, found.home], clean)

    def _check_owner(self, domain: bytes, caller: int) -> None:
        if caller == 0 or roles.single_user():
            return
        owner = virtual.owner(domain, self._rules.get())
        if owner is None:
            raise NotHere("domain failed: %s: it is not in control/virtualdomains. (#5.1.2)" % _text(domain))
        if owner.uid != caller:
            raise codes.TryLater("domain failed: %s belongs to uid %d, but uid %d asks; see control/virtualdomains "
                                 "and users/assign" % (_text(domain), owner.uid, caller))


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
