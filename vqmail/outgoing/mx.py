"""Which addresses take mail for a host: MX, A and AAAA records (QMAIL interface 13.2).

What DNS says for certain, that there is no such host or that it takes no mail, is final.  Everything else, a timeout, a
server that fails, an answer that is none, is trouble that passes.
"""

import time

from vqmail import codes
from vqmail.formats import ip
from vqmail.outgoing import ours
from vqmail.record import Record
from vqmail.unix import addresses, calls, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from vqmail.outgoing.route import Route

    class Asked(Protocol):                      # noqa: D101
        def ask(self, name: bytes, kind: bytes, seconds: float) -> "Answer": ...

PATIENCE = 30.0                 # seconds for all lookups of one host together
ONE_LOOKUP = 10.0               # and for one of them
HOSTS = 20                      # MX records that count; who has more gets no more tries
EACH = 16                       # addresses of one host that count
TARGETS = 50                    # addresses in all
ALIASES = 8                     # CNAMEs in a row
KEEP = 3600                     # seconds an answer is believed at most
KEEP_NOTHING = 60               # and an answer that there is nothing
CACHED = 1000                   # answers kept at once
LETTERS = b"abcdefghijklmnopqrstuvwxyz0123456789-_."
RESOLV_CONF = b"/etc/resolv.conf"


class Target(Record):
    """An address to try, and the name of the host that it stands for."""

    __slots__ = ("address", "name")
    address: bytes
    name: bytes


class Answer(Record):
    """What DNS said for certain.

    records     (preference, name) of each MX, name b"" for the root; 4 or 16 bytes of each A or AAAA
    ttl         how long it says that this holds, in seconds
    exists      False: nothing at all has this name
    """

    __slots__ = ("records", "ttl", "exists")
    records: "list[Any]"
    ttl: int
    exists: bool


NOT_ASKED = Answer([], 0, False)


class Trouble(Exception):
    """DNS does not tell, for now."""


class Names:
    """A resolver with a cache that lives as long as it."""

    def __init__(self, resolver: "Asked | None" = None) -> None:
        self._resolver = resolver
        self._cache: dict[tuple[bytes, bytes], tuple[float, Answer]] = {}
        self._ours = ours.Addresses()

    def targets(self, route: "Route") -> "list[Target]":
        """Where to try, in this order.  GiveUp if there is no such place, TryLater on trouble with DNS."""
        search = _Search(self, route.host)
        literal = ip.literal(route.host)
        if literal is not None:
            if self._ours.has(literal):
                raise search.looped()
            return [Target(ip.text(literal), ip.text(literal))]
        packed = ip.pack(route.host)
        if route.direct:
            return [Target(ip.text(packed), route.host)] if packed is not None else search.relay()
        return search.mail_hosts(self._ours)

    def ask(self, name: bytes, kind: bytes, deadline: float) -> Answer:
        """The answer for a name, from memory if it is fresh.  Trouble is not remembered: it may pass any moment."""
        now = time.monotonic()
        until, answer = self._cache.get((name, kind), (0.0, NOT_ASKED))
        if until > now:
            return answer
        seconds = min(ONE_LOOKUP, deadline - now)
        if seconds <= 0:
            raise Trouble("its names took longer than %d seconds" % PATIENCE)
        self._resolver = self._resolver or Resolver()
        answer = self._resolver.ask(name, kind, seconds)
        keep = max(0, min(answer.ttl, KEEP if answer.records else KEEP_NOTHING))
        if len(self._cache) >= CACHED:
            self._cache.clear()
        self._cache[name, kind] = time.monotonic() + keep, answer
        return answer


class _Search:
    """The lookups for one host."""

    def __init__(self, names: Names, host: bytes) -> None:
        self._names = names
        self._host = host
        self._shown = log.printable(host).decode()
        self._deadline = time.monotonic() + PATIENCE

    def looped(self) -> codes.Failure:
        """What to say when the best place is here."""
        return codes.GiveUp("Although I'm listed as a best-preference MX or A for %s, it is neither in control/locals "
                            "nor in control/virtualdomains, so its mail is not mine. (#5.4.6)" % self._shown)

    def relay(self) -> "list[Target]":
        """The addresses of a relay that a control file names.  TryLater if it has none: it is we who named it."""
        try:
            found, _ = self._addresses(self._host)
        except Trouble as error:
            raise self._later(error) from None
        if not found:
            raise codes.TryLater("The relay %s, which control/smtproutes or control/authsenders names, has no address. "
                                 "(#4.4.1)" % self._shown)
        return _ordered([(0, self._host, found)])

    def mail_hosts(self, mine: ours.Addresses) -> "list[Target]":
        """The addresses of the MX of a host, or of itself if it has none."""
        try:
            answer = self._names.ask(self._host, b"MX", self._deadline)
        except Trouble as error:
            raise self._later(error) from None
        listed = answer.records
        if listed and not any(name for _, name in listed):                                          # RFC 7505 3
            raise codes.GiveUp("%s does not take any mail: it says so in DNS. (#5.1.10)" % self._shown)
        chosen = sorted(((preference, name) for preference, name in listed if name),
                        key=lambda each: (each[0], calls.urandom(8)))[:HOSTS] or [(0, self._host)]  # RFC 5321 5.1
        found, exists, trouble = self._all_addresses(chosen)
        exists = exists or answer.exists
        here = min((preference for preference, _, packed in found if any(map(mine.has, packed))), default=None)
        better = [each for each in found if here is None or each[0] < here]
        if better:
            return _ordered(better)
        if trouble is not None and (here is None or trouble[0] < here):
            raise self._later(trouble[1])
        if here is not None:
            raise self.looped()
        if not exists:
            raise codes.GiveUp("There is no host called %s. (#5.1.2)" % self._shown)
        raise codes.GiveUp("%s has no MX or address that I could send mail to. (#5.4.4)" % self._shown)

    def _all_addresses(self, chosen: "list[tuple[int, bytes]]") -> (
            "tuple[list[tuple[int, bytes, list[bytes]]], bool, tuple[int, Trouble] | None]"):
        """([(preference, name, addresses)], whether a name exists, (the best preference with trouble, it))."""
        found, some, trouble = [], False, None
        for preference, name in chosen:
            try:
                packed, exists = self._addresses(name)
            except Trouble as error:
                trouble = trouble or (preference, error)
                continue
            some = some or exists
            if packed:
                found.append((preference, name, packed))
        return found, some, trouble

    def _addresses(self, name: bytes) -> "tuple[list[bytes], bool]":
        """(addresses, whether there is such a name).  Trouble if there is none but another try might find one."""
        literal = ip.pack(name)
        if literal is not None:
            return [literal], True              # an MX must be a name, but many write this and mean it
        found: list[list[bytes]] = []
        some, trouble = False, None
        for kind in (b"AAAA", b"A"):
            try:
                answer = self._names.ask(name, kind, self._deadline)
            except Trouble as error:
                trouble = error
            else:
                some = some or answer.exists
                found.append(sorted(answer.records, key=lambda _: calls.urandom(8)))
        if trouble is not None and not any(found):
            raise trouble
        return _alternately(found), some        # all of them: one of ours must not hide behind the limit

    def _later(self, error: Trouble) -> codes.Failure:
        return codes.TryLater("I cannot find out for now where mail for %s goes: %s. (#4.1.2)" % (self._shown, error))


def load() -> None:
    """Import what looking up takes, in a process that is going to fork those who look up."""
    import dns.exception
    import dns.name
    import dns.resolver  # noqa: F401


def _ordered(hosts: "list[tuple[int, bytes, list[bytes]]]") -> "list[Target]":
    """A Target for each address, as many as count."""
    targets: dict[bytes, Target] = {}
    for _, name, packed in hosts:
        for each in packed[:EACH]:
            targets.setdefault(each, Target(ip.text(each), name))
    return list(targets.values())[:TARGETS]


class Resolver:
    """dnspython behind the one call that we need."""

    def __init__(self, resolver: "Any" = None) -> None:
        self._given = resolver
        self._made: tuple[Any, Any] = (None, None)

    def ask(self, name: bytes, kind: bytes, seconds: float) -> Answer:
        """The MX, A or AAAA records of a name, CNAMEs followed.  Trouble if there is no certain answer."""
        # a cold program that has no name to look up must not pay for these: 60 ms
        import dns.exception
        import dns.name
        import dns.resolver

        try:
            wanted = dns.name.Name([*name.split(b"."), b""])
        except dns.exception.DNSException:
            return Answer([], 0, False)         # an empty label, or too long: nothing can have this name
        deadline = time.monotonic() + seconds
        try:
            resolver = self._resolver()
            ttl = KEEP
            for _ in range(ALIASES):
                answer = resolver.resolve(wanted, kind.decode(), lifetime=max(deadline - time.monotonic(), 0.01),
                                          raise_on_no_answer=False, search=False)
                _prefer(resolver, answer.nameserver)
                ttl = min(ttl, answer.chaining_result.minimum_ttl)
                if answer.rrset is not None:
                    return Answer([_record(each) for each in answer.rrset], ttl, True)
                if answer.canonical_name == wanted:
                    _certain(answer.response)
                    return Answer([], ttl, True)
                wanted = answer.canonical_name
        except dns.resolver.NXDOMAIN:
            return Answer([], KEEP_NOTHING, False)
        except dns.resolver.LifetimeTimeout:
            raise Trouble("no name server answered") from None
        except dns.resolver.NoResolverConfiguration:
            raise Trouble("there is no name server in /etc/resolv.conf") from None
        except dns.resolver.NoNameservers as error:
            raise Trouble("no name server has an answer (%s)" % _reasons(error.kwargs["errors"])) from None
        except dns.exception.DNSException as error:
            raise Trouble("what the name server says makes no sense (%s)" % type(error).__name__) from None
        except OSError as error:
            raise Trouble(error.strerror or "cannot ask a name server") from None
        raise Trouble("more than %d CNAMEs in a row" % ALIASES)

    def _resolver(self) -> "Any":
        """The resolver that was given; else the one of resolv.conf, made anew when that changed."""
        if self._given is not None:
            return self._given
        import dns.resolver                     # see ask()

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
        raise Trouble("the name server only says whom to ask; is it one for the programs of this machine?")


def _record(record: "Any") -> "tuple[int, bytes] | bytes":
    """(preference, name) of an MX, 4 or 16 bytes of an A or AAAA."""
    if record.rdtype != 15:
        return ip.pack(record.address.encode()) or b""
    labels = record.exchange.labels[:-1]
    name = b".".join(labels).lower()
    if any(b"." in each for each in labels) or any(byte not in LETTERS for byte in name):
        name = b"invalid."                      # no such name has an address
    return record.preference, name


def _alternately(families: "list[list[bytes]]") -> "list[bytes]":
    """IPv6 and IPv4 by turns, so that one that does not work costs one timeout; IPv6 last if there is no way to it."""
    six, four = ([each for family in families for each in family if len(each) == size] for size in (16, 4))
    if not six or not addresses.has_route(ip.text(six[0])):
        return four + six
    return [each for pair in zip(six, four, strict=False) for each in pair] + six[len(four):] + four[len(six):]
