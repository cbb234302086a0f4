"""Users of the system, of /etc/passwd and /etc/shadow, into a domain.

A map undoes names that were made up because one table had to hold all domains:

    dom1bob bob@domain1.com
    dom2-*  *@domain2.com       the star stands for the same letters on both sides

`=` and `:` will do for the blank.  Whoever got another name, or only a domain, may still log in with the old one.
"""

from vqmail import codes
from vqmail.admin.imports import found, secrets
from vqmail.admin.imports.found import Found, Mailbox
from vqmail.formats import assign
from vqmail.unix import log

FIELDS = 7
NOBODY = 65534


class Map:
    """Rules for names, the first that fits counts.  GiveUp, with the rule, if one is none."""

    def __init__(self, rules: "list[tuple[str, bytes]]") -> None:
        self._rules: list[tuple[bytes, bytes, bytes, bytes]] = []
        for source, rule in rules:
            words = rule.replace(b"=", b" ", 1).replace(b":", b" ", 1).split(maxsplit=1)
            old, new = words if len(words) == 2 else (b"", b"")  # noqa: PLR2004
            user, at, domain = new.strip().rpartition(b"@")
            if not (old and at and user and domain) or old.count(b"*") > 1 or user.count(b"*") != old.count(b"*"):
                raise codes.GiveUp("%s: write OLD=NEW@DOMAIN; a star stands for the same on both sides" % source)
            before, star, after = old.partition(b"*")
            self._rules.append((before, after if star else b"\0", user, domain.lower()))

    def find(self, old: bytes) -> "tuple[bytes, bytes] | None":
        """(user, domain) for an old name; None if no rule fits."""
        for before, after, user, domain in self._rules:
            if after == b"\0":
                if old == before:
                    return user, domain
            elif old.startswith(before) and old.endswith(after) and len(old) > len(before) + len(after):
                return user.replace(b"*", old[len(before):len(old) - len(after)]), domain
        return None


def rules(given: "list[bytes]", file: bytes) -> Map:
    """The map that options make."""
    pairs = [("--map %s" % log.shown(each), each) for each in given]
    if file:
        text = found.read_given(file)
        pairs += [("%s: line %d" % (log.shown(file), number), line) for number, line in found.lines(text)]
    return Map(pairs)


def members(group: bytes, file: bytes, passwd: bytes) -> "set[bytes]":
    """The users of a group: by its line in `file`, and by their own gid.  GiveUp if there is no such group."""
    for _, line in found.lines(found.read_given(file)):
        fields = line.split(b":")
        if fields[0] == group and len(fields) > 3:
            users = [each.split(b":") for _, each in found.lines(found.read_given(passwd))]
            own = {each[0] for each in users if each[3:4] == [fields[2]]}
            return own | {each for each in fields[3].split(b",") if each}
    raise codes.GiveUp("%s has no group %s" % (log.shown(file), log.shown(group)))


class Choice:
    """Which users are taken, and as whom."""

    def __init__(self, domain: bytes, by_map: Map, *, least: int, users: "set[bytes] | None", spool: bytes,
                 root: bytes, logins: bool) -> None:
        self.domain, self.by_map, self.least, self.users = domain, by_map, least, users
        self.spool, self.root, self.logins = spool, root, logins


def find(path: bytes, shadow: bytes, choice: Choice) -> Found:
    """The users of a passwd file."""
    result = Found()
    hashes = {}
    if shadow:
        for _, line in found.lines(found.read_given(shadow)):
            hashes[line.split(b":")[0]] = line.split(b":")[1:2]
    seen = set()
    for number, line in found.lines(found.read_given(path)):
        source = "%s: line %d" % (log.shown(path), number)
        fields = line.split(b":")
        if len(fields) != FIELDS or not assign.is_id(fields[2]) or not assign.is_id(fields[3]):
            result.problem(source, "is no line of a passwd file")
            continue
        old, password, uid, _, gecos, home, _ = fields
        mapped = choice.by_map.find(old)
        if choice.users is None:
            if not mapped and not choice.least <= int(uid) < NOBODY:
                continue
        elif old not in choice.users:
            continue
        seen.add(old)
        user, domain = mapped or (old, choice.domain)
        if not domain:
            result.problem(source, "no rule of the map fits %s, and no domain was given" % log.shown(old))
            continue
        try:
            stored, word = secrets.crypted((hashes.get(old) or [b""])[0] if password == b"x" and shadow else password)
        except ValueError as error:
            result.problem(source, error)
            continue
        mailbox = Mailbox(user, stored, source, gecos.partition(b",")[0])
        if word:
            result.note(source, "%s %s" % (log.shown(old), word))
        mailbox.mail = found.mail(choice.root + home, b"/Maildir") if home.strip(b"/") else None
        if mailbox.mail is None and choice.spool:
            mailbox.mail = found.mail(choice.root + choice.spool, b"/" + old)
        if choice.logins:
            mailbox.old = [old.lower()]
        result.add(result.domain(domain, log.shown(path)), mailbox)
    for each in sorted((choice.users or set()) - seen):
        result.problem(log.shown(path), "there is no user %s" % log.shown(each))
    return result
