"""Text files with a user a line: vm-pop3d's, a passwd file for each domain, and Courier's userdb."""

import os

from vqmail import codes
from vqmail.admin.imports import found, secrets
from vqmail.admin.imports.found import Found, Mailbox
from vqmail.formats import userdb
from vqmail.unix import log


def vm_pop3d(directory: bytes, domains: "list[bytes]", spool: bytes) -> Found:
    """vm-pop3d's: DIRECTORY/DOMAIN/passwd with user:hash, mail in SPOOL/DOMAIN/USER."""
    result = Found()
    base = os.path.realpath(directory)
    there = [each for each in found.names(base) if found.is_file(base, b"/" + each + b"/passwd")]
    if not there:
        raise codes.GiveUp("there is no DOMAIN/passwd below %s" % log.shown(base))
    for each in domains:
        if each not in there:
            result.problem(log.shown(base), "there is no domain %s" % log.shown(each))
    for name in there:
        if domains and name not in domains:
            continue
        path = b"/" + name + b"/passwd"
        domain = result.domain(name, log.shown(base + path))
        for number, line in found.lines(found.read(base, path) or b""):
            source = "%s: line %d" % (log.shown(base + path), number)
            user, colon, rest = line.partition(b":")
            if not colon:
                result.problem(source, "is not user:hash")
                continue
            fields = rest.split(b":")
            _add(result, domain, Mailbox(user, fields[0], source, fields[3] if len(fields) > 3 else b"",  # noqa: PLR2004
                                         mail=found.mail(spool, b"/" + name + b"/" + user) if spool else None))
    return result


def courier(file: bytes, root: bytes, domain: bytes) -> Found:
    """Courier's userdb; `domain` is that of names without one."""
    result = Found()
    for number, line in found.lines(found.read_given(file)):
        source = "%s: line %d" % (log.shown(file), number)
        try:
            name, fields = userdb.parse(line)
        except ValueError as error:
            result.problem(source, error)
            continue
        user, _, where = name.rpartition(b"@") if b"@" in name else (name, b"", domain)
        if not user or not where:
            result.problem(source, "%s has no domain: give one with --domain" % log.shown(name))
            continue
        home = fields.get(b"home", b"").rstrip(b"/")
        mail = None
        if fields.get(b"mail", b"").startswith(b"/"):
            above, _, last = fields[b"mail"].rstrip(b"/").rpartition(b"/")
            mail = found.mail(root + above, b"/" + last)
        if mail is None and home.startswith(b"/"):
            mail = found.mail(root + home, b"/Maildir")
        quota = fields.get(b"quota", b"")
        _add(result, result.domain(where, log.shown(file)), Mailbox(
            user, userdb.password(fields), source, fields.get(b"gecos", b""), quota, mail=mail))
    return result


def _add(result: Found, domain: found.Domain, mailbox: Mailbox) -> None:
    try:
        mailbox.password, word = secrets.crypted(mailbox.password)
    except ValueError as error:
        result.problem(mailbox.source, error)
        return
    if word:
        result.note(mailbox.source, "%s %s" % (log.shown(mailbox.name), word))
    result.add(domain, mailbox)
