"""vpopmail's domains: domains/[hash/]DOMAIN with vpasswd, users' homes and dot-qmail files (REQUIREMENTS, appendix A).

users/assign, if it is given, says which domains there are, where, whose they are, and which are other names of one.
Without it the tree is looked through; a link beside a domain is another name of it.
"""

import os

from vqmail import codes
from vqmail.admin.imports import found, secrets
from vqmail.admin.imports.found import Alias, Domain, Found, Mailbox
from vqmail.formats import dotqmail, vpasswd
from vqmail.store import lastlogin
from vqmail.unix import log

DEEPEST = 3                     # hash directories
TEXT, CDB = b"/vpasswd", b"/vpasswd.cdb"
PREFIX = b".qmail-"


class Choice:
    """What is asked for: some domains, or all; the tree as it is, or a copy."""

    def __init__(self, domains: "list[bytes]", *, in_place: bool, keep_clear: bool) -> None:
        self.domains, self.in_place, self.keep_clear = domains, in_place, keep_clear


def find(directory: bytes, assign: bytes, choice: Choice) -> Found:
    """The domains below `directory`, which is vpopmail's home, or its domains/."""
    result = Found()
    base = os.path.realpath(directory)
    if found.is_directory(base, b"/domains"):
        base += b"/domains"
    places, others = _assigned(base, found.read_given(assign)) if assign else _walked(base)
    if not places:
        raise codes.GiveUp("there is no domain with a vpasswd or vpasswd.cdb below %s" % log.shown(base))
    for name in choice.domains:
        if name not in places:
            result.problem(log.shown(base), "there is no domain %s" % log.shown(name))
    for name, place in sorted(places.items()):
        if not choice.domains or name in choice.domains:
            _domain(result, name, place, choice)
            result.domains[name].others = sorted(each for each, real in others.items() if real == name)
    return result


def _walked(base: bytes) -> "tuple[dict[bytes, bytes], dict[bytes, bytes]]":
    """(domain -> directory, other name -> domain) by looking."""
    places: dict[bytes, bytes] = {}
    others: dict[bytes, bytes] = {}

    def look(place: bytes, depth: int) -> None:
        for name in found.names(place):
            path = place + b"/" + name
            if os.path.islink(path):
                target = os.readlink(path).rstrip(b"/").rpartition(b"/")[2]
                if b"." in name and target != name:
                    others[name.lower()] = target.lower()
            elif found.is_file(path, TEXT) or found.is_file(path, CDB):
                places[name.lower()] = path
            elif len(name) == 1 and depth < DEEPEST:
                look(path, depth + 1)

    look(base, 0)
    return places, {each: real for each, real in others.items() if real in places}


def _assigned(base: bytes, text: bytes) -> "tuple[dict[bytes, bytes], dict[bytes, bytes]]":
    """The same by users/assign: +alias-:real:uid:gid:directory:-::"""
    places: dict[bytes, bytes] = {}
    others: dict[bytes, bytes] = {}
    walked, _ = _walked(base)
    for line in text.split(b"\n"):
        if line.startswith(b"."):
            break
        fields = line.split(b":")
        if not line.startswith(b"+") or not fields[0].endswith(b"-") or len(fields) < 7:
            continue
        name, real = fields[0][1:-1].lower(), fields[1].lower()
        if name != real:
            others[name] = real
        elif found.is_file(fields[4], TEXT) or found.is_file(fields[4], CDB):
            places[name] = os.path.realpath(fields[4])
        elif name in walked:                    # the tree lies elsewhere by now
            places[name] = walked[name]
    return places, {each: real for each, real in others.items() if real in places}


def _domain(result: Found, name: bytes, place: bytes, choice: Choice) -> None:
    domain = result.domain(name, log.shown(place))
    domain.place = place if choice.in_place else b""
    for source, line in _lines(result, place):
        try:
            entry = vpasswd.parse(line)
            mailbox = _mailbox(result, source, entry, choice)
        except ValueError as error:
            result.problem(source, error)
            continue
        home = _below(entry.directory, name, place) or b"/" + entry.name
        mailbox.home = home
        if not found.is_directory(place, home):
            result.problem(source, "there is no home %s%s" % (log.shown(place), log.shown(home)))
            continue
        mailbox.mail = None if choice.in_place else found.mail(place, home + b"/Maildir")
        mailbox.last = _last(place, home)
        mailbox.dotqmail = found.read(place, home + b"/.qmail") or b""
        if mailbox.dotqmail and any(each.kind == dotqmail.PROGRAM for each in _parsed(mailbox.dotqmail)):
            result.note(log.shown(place + home + b"/.qmail"), "runs a program: vq-user set %s dotqmail=programs allows "
                        "that" % log.shown(entry.name + b"@" + name))
        result.add(domain, mailbox)
    limits = found.read(place, b"/.qmailadmin-limits")
    if limits is not None:
        domain.options, domain.defaults, rest = vpasswd.limits(limits)
        for each in rest:
            result.note(log.shown(place + b"/.qmailadmin-limits"), "%s has nothing like it here" % each)
    _dotqmail(result, domain, place, choice)


def _last(place: bytes, home: bytes) -> "lastlogin.Last | None":
    """The last login: of the file lastauth the time, and in it the address."""
    text = found.read(place, home + b"/lastauth")
    if text is None:
        return None
    ip = text.strip()
    when = int(os.lstat(place + home + b"/lastauth").st_mtime)
    return lastlogin.Last(max(when, 0), ip if ip.isascii() and len(ip) <= 45 and b" " not in ip else b"")


def _lines(result: Found, place: bytes) -> "list[tuple[str, bytes]]":
    """(source, line) of all users: of the text, or, without one, of the compiled file."""
    text = found.read(place, TEXT)
    compiled = []
    if found.is_file(place, CDB):
        try:
            compiled = [key + b":" + data for key, data in found.records(place, CDB) if key]
        except ValueError as error:
            result.problem(log.shown(place + CDB), error)
    if text is None:
        return [("%s: %s" % (log.shown(place + CDB), log.shown(each.partition(b":")[0])), each.rstrip(b"\n"))
                for each in compiled]
    lines = [("%s: line %d" % (log.shown(place + TEXT), number), line) for number, line in found.lines(text)]
    there = {line.partition(b":")[0] for _, line in lines}
    for each in compiled:
        if each.partition(b":")[0] not in there:
            result.problem(log.shown(place + CDB), "%s is there, but not in vpasswd, which counts" % log.shown(
                each.partition(b":")[0]))
    return lines


def _mailbox(result: Found, source: str, entry: vpasswd.Entry, choice: Choice) -> Mailbox:
    if (entry.apop and entry.clear and choice.keep_clear) or (not entry.password and entry.clear):
        stored, word = secrets.plain(entry.clear)
    else:
        stored, word = secrets.crypted(entry.password)
    if entry.apop and not (choice.keep_clear and stored.startswith(secrets.CLEAR)):
        word = word or "logs in with APOP, which needs a password stored in clear: see --keep-clear"
    for each in ([word] if word else []) + vpasswd.remarks(entry.flags):
        result.note(source, "%s %s" % (log.shown(entry.name), each))
    quota = entry.quota if entry.quota != b"NOQUOTA" else b""
    return Mailbox(entry.name, stored, source, entry.real_name, quota + (b"S" if quota.isdigit() else b""),
                   tuple(vpasswd.suspended(entry.flags)))


def _below(directory: bytes, domain: bytes, place: bytes) -> bytes:
    """A user's home below the domain's directory, wherever the tree was when it was written down."""
    if directory.startswith(place + b"/"):
        return directory[len(place):]
    before, slash, rest = directory.rpartition(b"/" + domain + b"/")
    return b"/" + rest if slash and (before or directory.startswith(b"/")) else b""


def _dotqmail(result: Found, domain: Domain, place: bytes, choice: Choice) -> None:
    for file in found.names(place):
        name = file.removeprefix(PREFIX).replace(b":", b".").lower()
        if not file.startswith(PREFIX) or not name or (b"." in file[len(PREFIX):]):
            continue
        source = log.shown(place + b"/" + file)
        text = found.read(place, b"/" + file) or b""
        if name == b"default":
            _default(result, domain, place, source, text)
        elif not choice.in_place:
            _alias(result, domain, place, name, source, text)


def _default(result: Found, domain: Domain, place: bytes, source: str, text: bytes) -> None:
    instructions = _parsed(text)
    fate = vpasswd.default(b"|" + instructions[0].what) if len(instructions) == 1 else None
    if fate is None:
        result.note(source, "does something else than vdelivermail: it is not taken, mail for nobody will bounce")
    elif fate == b"delete" or b"@" in fate:
        domain.catchall = fate
    elif fate != b"bounce":
        user = _user_of(domain, place, fate)
        if user:
            domain.catchall = user
        else:
            result.problem(source, "mail for nobody goes to %s, which is no user's" % log.shown(fate))


def _alias(result: Found, domain: Domain, place: bytes, name: bytes, source: str, text: bytes) -> None:
    """A dot-qmail file: targets if it only forwards, and delivers to users; as it is otherwise."""
    targets = []
    for each in _parsed(text):
        if each.kind == dotqmail.FORWARD:
            targets.append(each.what.strip())
            continue
        user = _user_of(domain, place, each.what) if each.kind == dotqmail.MAILDIR else b""
        if not user:
            result.note(source, "has a line that is no forward; the file is taken as it is: look at its paths")
            domain.aliases[name] = Alias([], source, text)
            return
        targets.append(user + b"@" + domain.name)
    if targets:
        result.alias(domain, name, targets, source)
    else:
        result.note(source, "says nothing: mail for it would vanish; it is not taken")


def _user_of(domain: Domain, place: bytes, path: bytes) -> bytes:
    """Whose home or maildir a path is; b"" if nobody's."""
    path = path.rstrip(b"/").removesuffix(b"/Maildir")
    path = path[1:] if path.startswith(b"./") else _below(path, domain.name, place)
    return next((each.name for each in domain.mailboxes.values() if path and each.home == path), b"")


def _parsed(text: bytes) -> "list[dotqmail.Instruction]":
    try:
        return dotqmail.parse(text)
    except ValueError:
        return []
