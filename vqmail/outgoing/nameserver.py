"""What the name servers say of a name: MX, A and AAAA records, by dnspython.

Importing this takes 60 ms: only mx.load() does.
"""

import time

import dns.exception
import dns.name
import dns.resolver

from vqmail.formats import ip
from vqmail.outgoing import mx
from vqmail.unix import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ALIASES = 8                     # CNAMEs in a row
LETTERS = b"abcdefghijklmnopqrstuvwxyz0123456789-_."
RESOLV_CONF = b"/etc/resolv.conf"


class Resolver:
    """dnspython behind the one call that we need."""

    def __init__(self, resolver: "Any" = None) -> None:
        self._given = resolver
        self._made: tuple[Any, Any] = (None, None)

    def ask(self, name: bytes, kind: bytes, seconds: float) -> mx.Answer:
        """The MX, A or AAAA records of a name, CNAMEs followed.  Trouble if there is no certain answer."""
        try:
            wanted = dns.name.Name([*name.split(b"."), b""])
        except dns.exception.DNSException:
            return mx.Answer([], 0, False)      # an empty label, or too long: nothing can have this name
        deadline = time.monotonic() + seconds
        try:
            resolver = self._resolver()
            ttl = mx.KEEP
            for _ in range(ALIASES):
                answer = resolver.resolve(wanted, kind.decode(), lifetime=max(deadline - time.monotonic(), 0.01),
                                          raise_on_no_answer=False, search=False)
                _prefer(resolver, answer.nameserver)
                ttl = min(ttl, answer.chaining_result.minimum_ttl)
                if answer.rrset is not None:
                    return mx.Answer([_record(each) for each in answer.rrset], ttl, True)
                if answer.canonical_name == wanted:
                    _certain(answer.response)
                    return mx.Answer([], ttl, True)
                wanted = answer.canonical_name
        except dns.resolver.NXDOMAIN:
            return mx.Answer([], mx.KEEP_NOTHING, False)
        except dns.resolver.LifetimeTimeout:
            raise mx.Trouble("no name server answered") from None
        except dns.resolver.NoResolverConfiguration:
            raise mx.Trouble("there is no name server in /etc/resolv.conf") from None
        except dns.resolver.NoNameservers as error:
            raise mx.Trouble("no name server has an answer (%s)" % _reasons(error.kwargs["errors"])) from None
        except dns.exception.DNSException as error:
            raise mx.Trouble("what the name server says makes no sense (%s)" % type(error).__name__) from None
        except OSError as error:
            raise mx.Trouble(error.strerror or "cannot ask a name server") from None
        raise mx.Trouble("more than %d CNAMEs in a row" % ALIASES)

    def _resolver(self) -> "Any":
        """The resolver that was given; else the one of resolv.conf, made anew when that changed."""
        if self._given is not None:
            return self._given
        try:
            status = calls.stat(RESOLV_CONF)
            seen = (status.st_mtime_ns, status.st_ino)
        except FileNotFoundError:
            seen = (0, 0)
        if self._made[0] != seen:
            self._made = (seen, dns.resolver.Resolver(RESOLV_CONF.decode()))
        return self._made[1]


def _prefer(resolver: "Any", server: "Any") -> None:
    """Ask the server first that has answered: one that is down costs a timeout once, not with each lookup."""
    known = resolver.nameservers
    if server in known[1:]:
        resolver.nameservers = [server, *(each for each in known if each != server)]


def _reasons(errors: "list[Any]") -> str:
    """What each name server said, or what kind of failure it was, without its address: this may go into a bounce."""
    said = dict.fromkeys(each[3] if isinstance(each[3], str) else type(each[3]).__name__ for each in errors)
    return ", ".join(said) or "there is none"


def _certain(response: "Any") -> None:
    """Trouble if an empty answer is a referral: it says who may know, not that there is nothing."""
    kinds = {each.rdtype for each in response.authority}
    if 2 in kinds and 6 not in kinds:           # NS and no SOA
        raise mx.Trouble("the name server only says whom to ask; is it one for the programs of this machine?")


def _record(record: "Any") -> "tuple[int, bytes] | bytes":
    """(preference, name) of an MX, 4 or 16 bytes of an A or AAAA."""
    if record.rdtype != 15:
        return ip.pack(record.address.encode()) or b""
    labels = record.exchange.labels[:-1]
    name = b".".join(labels).lower()
    if any(b"." in each for each in labels) or any(byte not in LETTERS for byte in name):
        name = b"invalid."                      # no such name has an address
    return record.preference, name
