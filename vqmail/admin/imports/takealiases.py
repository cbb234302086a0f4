"""Bring in aliases, who gets mail for nobody, and other names of a domain, as take.py does the users.

An alias that is here already and goes there, too, is passed over; one that goes elsewhere is left, and told of.
"""

from vqmail import codes
from vqmail.admin import aliases, aliasplace, aliastargets, catchall, disk, domains, names, transaction
from vqmail.admin.imports.found import Alias, Domain, Found
from vqmail.formats import aliasfile, dotqmail
from vqmail.store import control
from vqmail.unix import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vqmail.admin import usertexts
    from vqmail.admin.transaction import Transaction

ALIASES = 100                   # in one transaction
DONE = Alias([], "")


class Aliases:
    """What is brought in of a domain beside its users.  `do` is False if it is only to be counted."""

    def __init__(self, result: Found, counts: "dict[str, int]", progress: "Callable[[str], None]", *, do: bool) -> None:
        self.result, self.counts, self._progress, self.do = result, counts, progress, do

    def take(self, domain: Domain, where: "usertexts.Domain | None") -> None:
        """The aliases, and who gets mail for nobody; `where` is the domain if it was here before."""
        wanted = dict(domain.aliases)
        for box in domain.mailboxes.values():
            if box.forwards:                    # and a copy stays in the mailbox
                wanted[box.name] = Alias([box.name + b"@" + domain.name, *box.forwards], box.source)
        for name in [*wanted]:
            try:
                aliases.name_of(name, wildcard=name.endswith(b"-default"))
            except codes.GiveUp as refused:
                self.result.problem(wanted.pop(name).source, refused)
        if not self.do:
            t = transaction.Transaction()       # only to look: it takes no lock
            self.counts["aliases"] += sum(
                where is None or t.kind(where.directory + aliasplace.PREFIX + name.replace(b".", b":")) is None
                for name in wanted)
            return
        refusals: dict[bytes, codes.GiveUp] = {}
        while wanted:                           # an alias may go to one that comes later
            left = len(wanted)
            for start in range(0, left, ALIASES):
                self._progress("%s: aliases" % log.shown(domain.name))
                some = [*wanted][start:start + ALIASES]
                with transaction.Transaction() as t:
                    where_now = aliasplace.look(t, domain.name)
                    made = [self._alias(t, where_now, name, wanted[name], refusals) for name in some]
                    t.commit()
                self.counts["aliases"] += sum(each is True for each in made)
                for name, came in zip(some, made, strict=True):
                    if came is not None:
                        wanted[name] = DONE
            wanted = {name: each for name, each in wanted.items() if each is not DONE}
            if len(wanted) == left:
                break
        for name, each in wanted.items():
            self.result.problem(each.source, refusals[name])
        self._catchall(domain)
        with transaction.Transaction() as t:    # a domain has a postmaster, and role addresses
            ours = b"postmaster@" + control.line(b"me")
            if aliases.add_roles(t, domain.name, b"postmaster" if b"postmaster" in domain.mailboxes else ours):
                t.commit()

    def _alias(self, t: "Transaction", where: aliasplace.Place, name: bytes, alias: Alias,
               refusals: "dict[bytes, codes.GiveUp]") -> "bool | None":
        """Make one alias; False if it is there, None if it cannot be, at least for now: then `refusals` say why."""
        path = aliasplace.path(where, name)
        try:
            if alias.text:
                before = t.read(path) if t.kind(path) is not None else None
                dotqmail.parse(alias.text)
                if before is None:
                    t.write(path, alias.text, 0o644, where.owner)
                elif before != alias.text:
                    raise codes.GiveUp("%s is there already, and says something else" % log.shown(path))
                return before is None
            there = aliasplace.lines(t, where, name)
            wanted = aliastargets.lines_of(t, where, name, alias.targets)
            if there is not None:
                if not all(aliasfile.has(there, each) for each in wanted):
                    raise codes.GiveUp("%s is there already, and goes elsewhere" % aliasplace.address(
                        name, where.domain))
                return False
            for each in wanted:
                if aliastargets.is_outside(where, each):
                    aliastargets.must_forward(where, each)
            aliasplace.put(t, where, name, sorted(wanted, key=lambda each: each.kind != aliasfile.COPY))
        except (codes.GiveUp, ValueError) as refused:
            refusals[name] = refused if isinstance(refused, codes.GiveUp) else codes.GiveUp(str(refused))
            return None
        return True

    def _catchall(self, domain: Domain) -> None:
        if not domain.catchall:
            return
        before = catchall.of(domain.name)
        with transaction.Transaction() as t:
            try:
                catchall.set_to(t, domain.name, domain.catchall)
            except transaction.Already:
                return
            except codes.GiveUp as refused:
                self.result.problem(domain.source, "mail for nobody cannot go to %s: %s" % (
                    log.shown(domain.catchall), refused))
                return
            if before != catchall.BOUNCE:
                self.result.problem(domain.source, "mail for nobody goes to %s already, not to %s" % (
                    log.shown(before), log.shown(domain.catchall)))
                return
            t.commit()

    def take_other_names(self, domain: Domain) -> None:
        """The other names of the domain."""
        for name in domain.others:
            if disk.kind(domains.directory(name)) == "link" and domains.real(name) == domain.name:
                continue
            if self.do:
                try:
                    with transaction.Transaction() as t:
                        domains.add_alias(t, names.domain(name), domain.name)
                        t.commit()
                except codes.GiveUp as refused:
                    self.result.problem(domain.source, refused)
                    continue
            self.counts["other_names"] += 1
