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
KEEP = 3600                     # seconds an answer is believed at most
KEEP_NOTHING = 60               # and an answer that there is nothing
CACHED = 1000                   # answers kept at once


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
        if self._resolver is None:
            self._resolver = load()()
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
        self._deadline = time.monotonic() + PATIENCE

    @property
    def _shown(self) -> str:
        return log.shown(self._host)

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


def load() -> "type[Asked]":
    """The class that asks the name servers.  A cold program that has no name to look up must not pay 60 ms for it; a
    process that is going to fork those who look up calls this before."""
    from vqmail.outgoing import nameserver

    return nameserver.Resolver


def _ordered(hosts: "list[tuple[int, bytes, list[bytes]]]") -> "list[Target]":
    """A Target for each address, as many as count."""
    targets: dict[bytes, Target] = {}
    for _, name, packed in hosts:
        for each in packed[:EACH]:
            targets.setdefault(each, Target(ip.text(each), name))
    return list(targets.values())[:TARGETS]


def _alternately(families: "list[list[bytes]]") -> "list[bytes]":
    """IPv6 and IPv4 by turns, so that one that does not work costs one timeout; IPv6 last if there is no way to it."""
    six, four = ([each for family in families for each in family if len(each) == size] for size in (16, 4))
    if not six or not addresses.has_route(ip.text(six[0])):
        return four + six
    return [each for pair in zip(six, four, strict=False) for each in pair] + six[len(four):] + four[len(six):]
