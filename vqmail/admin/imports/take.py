"""Bring in what was found: compared with what is here, then done, a thousand users in one transaction.

Whoever is here already and is the same is passed over, so that an import that was stopped can be started again; whoever
is here and is another one is left as he is, and told of.  Every name and address is checked as if somebody typed it.
"""

from vqmail import codes
from vqmail.admin import (
    accounts,
    aliasplace,
    disk,
    domains,
    mailboxes,
    names,
    transaction,
    uids,
    usertexts,
)
from vqmail.admin.imports import mail, place, secrets, takealiases
from vqmail.admin.imports.found import Domain, Found, Mailbox
from vqmail.formats import lines, logins, options, passwd
from vqmail.store import domainsettings, lastlogin, loginaliases, virtual
from vqmail.unix import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vqmail.admin.transaction import Transaction

BATCH = 1000                    # users in one transaction
ENOUGH = 1 << 30                # ... fewer, when their mail is so many bytes
NAMED = 20                      # files in one complaint
COUNTS = ("domains", "users", "there", "aliases", "logins", "other_names", "messages", "bytes")


class Wish:
    """How it is to be done.  `do` is False if it is only to be shown."""

    def __init__(self, *, do: bool, owner: bytes, uids: bytes, with_mail: bool, keep_clear: bool,
                 uidl: bytes = b"") -> None:
        self.do, self.owner, self.uids, self.with_mail, self.keep_clear = do, owner, uids, with_mail, keep_clear
        self.uidl = uidl                        # what served POP3 was, if the mail does not tell


class Taker:
    """One import.  `result` gets the problems that are met; `counts` what was, or would be, done."""

    def __init__(self, result: Found, wish: Wish, progress: "Callable[[str], None]") -> None:
        self.result, self.wish, self._progress = result, wish, progress
        self.counts = dict.fromkeys(COUNTS, 0)
        self.per_domain: list[str] = []
        self._logins = _old_names()

    def run(self) -> None:
        """Do it, or find out what there would be to do."""
        if self.wish.do:
            transaction.recover()               # what a killed import had decided
        for domain in self.result.domains.values():
            before = dict(self.counts)
            try:
                self._domain(domain)
            except codes.GiveUp as refused:
                self.result.problem(domain.source, refused)
            self.per_domain.append("%s: %s" % (log.shown(domain.name), ", ".join(
                "%d %s" % (self.counts[each] - before[each], each.replace("_", " "))
                for each in COUNTS[1:] if self.counts[each] - before[each]) or "nothing"))

    def _domain(self, domain: Domain) -> None:
        if names.domain(domain.name) != domain.name:
            raise codes.GiveUp("%s: give its name as %s" % (log.shown(domain.name), names.domain(domain.name).decode()))
        where = place.here(domain)
        there = where.users if where else {}
        wanted = [each for each in domain.mailboxes.values() if self._is_new(domain, each, there, where)]
        if where is None:
            self.counts["domains"] += 1
        if self.wish.do:
            if where is None:
                place.make(domain, self.wish.owner, self.wish.uids)
            self._users(domain, wanted)
        else:
            self.counts["users"] += len(wanted)
            if self.wish.with_mail and not domain.place:
                for each in wanted:
                    count, size = mail.look(each.mail)
                    self.counts["messages"] += count
                    self.counts["bytes"] += size
            self._count_logins(domain, wanted)
        if where is not None:
            self._compare_options(domain, where)
        aliased = takealiases.Aliases(self.result, self.counts, self._progress, do=self.wish.do)
        aliased.take(domain, where)
        aliased.take_other_names(domain)

    # users

    def _is_new(self, domain: Domain, mailbox: Mailbox, there: "dict[bytes, passwd.Entry]",
                where: "usertexts.Domain | None") -> bool:
        """Whether a mailbox can be taken, and is not here."""
        address = log.shown(mailbox.name + b"@" + domain.name)
        try:
            mailbox.name = mailboxes.name_of(mailbox.name)
            if mailbox.quota:
                options.check(mailbox.name, b"quota", mailbox.quota)
        except codes.GiveUp as refused:
            self.result.problem(mailbox.source, refused)
            return False
        except ValueError as error:
            self.result.note(mailbox.source, "%s is taken without a quota: %s" % (address, error))
            mailbox.quota = b""
        mailbox.real_name = bytes(each for each in mailbox.real_name if each >= 32 and each not in (58, 127))[
            :mailboxes.LONGEST]
        mailbox.forwards = [each for each in mailbox.forwards if each]
        if mailbox.name not in there:
            if domain.place:
                return self._is_owned(domain, mailbox)
            if where is not None and disk.kind(where.directory + mailboxes.HOME + b"/" + mailbox.name):
                self.result.problem(mailbox.source, "there is a home of %s, but no such user: move it away" % address)
                return False
            alias = aliasplace.PREFIX + mailbox.name.replace(b".", b":")
            if where is not None and not mailbox.forwards and disk.kind(where.directory + alias):
                self.result.note(mailbox.source, "%s: there is an alias of that name here, mail goes there" % address)
            return True
        entry = there[mailbox.name]
        if secrets.same(mailbox.password, entry.password):
            self.counts["there"] += 1
        else:
            self.result.problem(mailbox.source, "%s is here already with another password: left as it is" % address)
        return False

    def _is_owned(self, domain: Domain, mailbox: Mailbox) -> bool:
        """Whether a home that stays where it is can be somebody's."""
        try:
            place.owner_of(domain, mailbox)
        except codes.GiveUp as refused:
            self.result.problem(mailbox.source, refused)
            return False
        return True

    def _users(self, domain: Domain, wanted: "list[Mailbox]") -> None:
        staging = mail.Staging(domain.name) if wanted and not domain.place else None
        try:
            self._batches(domain, wanted, staging)
        finally:
            if staging is not None:
                staging.close()

    def _batches(self, domain: Domain, wanted: "list[Mailbox]", staging: "mail.Staging | None") -> None:
        batch: list[Mailbox] = []
        weight = 0
        for number, each in enumerate(wanted, 1):
            self._progress("%s: user %d of %d" % (log.shown(domain.name), number, len(wanted)))
            if staging is not None:
                try:
                    count, size = staging.bring(
                        each.name, each.mail if self.wish.with_mail else None, each.dotqmail, self.wish.uidl)
                except mail.Refused as refused:
                    self.result.problem(each.source, "%s is not taken: %s" % (
                        log.shown(each.name + b"@" + domain.name), refused))
                    continue
                if staging.left:
                    self.result.problem(each.source, "%s: these files were not copied: %s" % (
                        log.shown(each.name + b"@" + domain.name), ", ".join(staging.left[:NAMED])))
                self.counts["messages"] += count
                self.counts["bytes"] += size
                weight += size
            batch.append(each)
            if len(batch) >= BATCH or weight >= ENOUGH:
                self.counts["users"] += self._commit(domain, batch, staging)
                batch, weight = [], 0
        self.counts["users"] += self._commit(domain, batch, staging)

    def _commit(self, domain: Domain, batch: "list[Mailbox]", staging: "mail.Staging | None") -> int:
        """Make users of a batch, in one transaction; how many."""
        if not batch:
            return 0
        if staging is not None:
            staging.finish()
        with transaction.Transaction() as t:
            where = usertexts.look(domain.name, t.read)
            fresh = [each for each in batch if each.name not in where.users]      # somebody else may have been quicker
            who = _numbers(t, domain, where, fresh)
            text, chosen = where.text, where.options_text
            for each in fresh:
                uid, gid = who[each.name]
                home = each.home if domain.place else mailboxes.HOME + b"/" + each.name
                stored = secrets.to_store(each.password, keep_clear=self.wish.keep_clear)
                text += b":".join((each.name, stored, b"%d" % uid, b"%d" % gid, each.real_name, home,
                                   mailboxes.SHELL)) + b"\n"
                values = _values(each)
                if values:
                    chosen = lines.replace(chosen, each.name, options.line(each.name, values)) \
                        if each.name in where.options else chosen + options.line(each.name, values) + b"\n"
                if staging is not None:
                    mail.give(staging.place(each.name), uid, gid)
            t.write(where.directory + virtual.TEXT, text)
            if chosen != where.options_text:
                t.write(where.directory + virtual.OPTIONS, chosen, 0o644, usertexts.ours())
            self._write_logins(t, domain, fresh)
            if staging is not None:
                self._move_homes(t, domain, where, fresh, staging)
            t.compile(domain.name)
            t.commit()
        for each in fresh:
            lastlogin.forget(domain.name, each.name)
            if each.last is not None:
                lastlogin.keep(domain.name, each.name, each.last)
        return len(fresh)

    def _move_homes(self, t: "Transaction", domain: Domain, where: usertexts.Domain, fresh: "list[Mailbox]",
                    staging: mail.Staging) -> None:
        if t.kind(where.directory + mailboxes.HOME) is None:
            t.make_directory(where.directory + mailboxes.HOME, 0o755, domains.owner(t, domain.name))
        for each in fresh:
            t.move(staging.place(each.name), where.directory + mailboxes.HOME + b"/" + each.name)

    # old names to log in with

    def _new_logins(self, domain: Domain, batch: "list[Mailbox]") -> "list[tuple[bytes, bytes]]":
        fresh = []
        for each in batch:
            address = each.name + b"@" + domain.name
            for old in each.old:
                if old == address or self._logins.get(old) == address:
                    continue
                if not logins.usable(old) or old in self._logins:
                    self.result.problem(each.source, "the old login %s cannot lead to %s: %s" % (
                        log.shown(old), log.shown(address), "it leads to %s" % log.shown(self._logins[old])
                        if old in self._logins else "such a name cannot be written down"))
                    continue
                self._logins[old] = address
                fresh.append((old, address))
        self.counts["logins"] += len(fresh)
        return fresh

    def _count_logins(self, domain: Domain, batch: "list[Mailbox]") -> None:
        self._new_logins(domain, batch)

    def _write_logins(self, t: "Transaction", domain: Domain, batch: "list[Mailbox]") -> None:
        fresh = self._new_logins(domain, batch)
        if fresh:
            text = t.read(loginaliases.TEXT) or b"# OLDNAME:USER@DOMAIN, for logins only; vq-newu compiles it\n"
            t.write(loginaliases.TEXT, text + b"".join(b"%s:%s\n" % each for each in fresh))

    def _compare_options(self, domain: Domain, where: usertexts.Domain) -> None:
        for name, values in ((options.DOMAIN, domain.options), (options.EVERYBODY, domain.defaults)):
            there = where.options.get(name, {})
            if any(there.get(key) != value for key, value in values.items()):
                self.result.note(domain.source, "the domain was here before: its limits stay as they are")


def _values(mailbox: Mailbox) -> "dict[bytes, bytes]":
    """The options of a user."""
    values = {b"quota": mailbox.quota} if mailbox.quota else {}
    if mailbox.suspended:
        values[b"suspended"] = b",".join(each for each in options.SUSPENSIONS if each in mailbox.suspended)
    if mailbox.dotqmail:
        values[b"dotqmail"] = b"forwards"       # programs are for the postmaster to allow
    return values


def _numbers(t: "Transaction", domain: Domain, where: usertexts.Domain,
             fresh: "list[Mailbox]") -> "dict[bytes, tuple[int, int]]":
    """Uid and gid of each new user."""
    if domain.place:
        return {each.name: place.owner_of(domain, each) for each in fresh}
    single = uids.installation()
    if single is not None:
        return dict.fromkeys((each.name for each in fresh), single)
    if domainsettings.of_domain(where.options.get(options.DOMAIN, {})).uids == b"owner":
        return dict.fromkeys((each.name for each in fresh), domains.owner(t, domain.name))
    taken = {*accounts.Taken(t)} | {number for each in where.users.values() for number in (each.uid, each.gid)}
    found = {}
    for each in fresh:
        number = uids.free(t, taken)
        found[each.name] = number, number
    return found


def _old_names() -> "dict[bytes, bytes]":
    """Old login names that are there already.  GiveUp if they cannot be understood."""
    try:
        return dict(logins.records((disk.read(loginaliases.TEXT) or b"").split(b"\n"), whole=True))
    except ValueError as error:
        raise codes.GiveUp("users/logins: %s" % error) from None


