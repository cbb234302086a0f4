"""VMailMgr's domain: passwd.cdb in the home of the UNIX user who owns it (REQUIREMENTS, appendix B)."""

import os
import time

from vqmail import codes
from vqmail.admin.imports import found, secrets
from vqmail.admin.imports.found import Found, Mailbox
from vqmail.formats import vmailmgr
from vqmail.store import control
from vqmail.unix import log

FILE = b"/passwd.cdb"
NOBODY = b"+"                   # the user who gets mail for nobody, as long as nobody changed default-username


def owner(home: bytes) -> bytes:
    """UID:GID of the base user, who goes on to own the domain; b"" if these cannot own one here."""
    try:
        status = os.stat(home)
    except OSError as error:
        raise codes.GiveUp("cannot look at %s: %s" % (log.shown(home), error.strerror)) from None
    least = max(control.number(b"minuid"), 1)
    return b"%d:%d" % (status.st_uid, status.st_gid) if min(status.st_uid, status.st_gid) >= least else b""


def find(name: bytes, home: bytes) -> Found:
    """The domain `name` of the base user whose home is `home`."""
    result = Found()
    base = os.path.realpath(home)
    if not found.is_file(base, FILE):
        raise codes.GiveUp("there is no %s" % log.shown(base + FILE))
    domain = result.domain(name, log.shown(base + FILE))
    nobody = (found.read(base, b"/.vmailmgr/default-username") or NOBODY).split(b"\n")[0].strip() or NOBODY
    try:
        records = found.records(base, FILE)
    except ValueError as error:
        raise codes.GiveUp("%s: %s" % (log.shown(base + FILE), error)) from None
    for key, data in records:
        source = "%s: %s" % (log.shown(base + FILE), log.shown(key))
        try:
            entry = vmailmgr.decode(data)
            _take(result, domain, base, key.lower(), entry, source, nobody)
        except ValueError as error:
            result.problem(source, error)
    return result


def _take(result: Found, domain: found.Domain, base: bytes, name: bytes, entry: vmailmgr.Entry, source: str,
          nobody: bytes) -> None:
    forwards = [each.removeprefix(b"&") for each in entry.forwards]
    if not entry.mailbox:
        if name == nobody:
            result.catch(domain, forwards, source)
        elif forwards:
            result.alias(domain, name, forwards, source)
        else:
            result.problem(source, "has neither a mailbox nor a forward")
        return
    stored, word = secrets.crypted(entry.password)
    if name == nobody:
        name = found.CATCHALL
        domain.catchall = name
        result.note(source, "is the mailbox for nobody: it is called %s here" % log.shown(name))
    mailbox = Mailbox(name, stored, source, entry.personal, _quota(entry), forwards=forwards)
    if word:
        result.note(source, word)
    mailbox.mail = _mail(base, entry.mailbox)
    if mailbox.mail is None:
        result.note(source, "there is no mail in %s" % log.shown(entry.mailbox))
    if not entry.enabled:
        if forwards:                            # only these got its mail; who logs in finds what is there
            result.note(source, "its mailbox was switched off: a copy is kept in it from now on")
        else:
            mailbox.suspended = (b"receive",)
    if entry.expires is not None:
        over = entry.expires < time.time()
        mailbox.suspended = (b"login", b"receive", b"send") if over else mailbox.suspended
        result.note(source, "%s %s" % ("expired on, and is suspended:" if over else "will not expire by itself on",
                                       time.strftime("%Y-%m-%d", time.gmtime(entry.expires))))
    for what, value in (("soft quota", entry.soft), ("limit for one message", entry.size)):
        if value is not None:
            result.note(source, "its %s of %d is not taken" % (what, value))
    if entry.flags:
        result.note(source, "has flags that mean nothing to us: %s" % ", ".join(str(each) for each in entry.flags))
    result.add(domain, mailbox)


def _quota(entry: vmailmgr.Entry) -> bytes:
    parts = [b"%d%s" % (value, unit) for value, unit in ((entry.hard, b"S"), (entry.count, b"C")) if value is not None]
    return b",".join(parts)


def _mail(base: bytes, mailbox: bytes) -> "found.Mail | None":
    """A mailbox is a maildir, named from the base user's home or wholly."""
    path = b"/" + mailbox.removeprefix(b"./").strip(b"/")
    if mailbox.startswith(b"/"):
        inside = os.path.realpath(mailbox)
        path = b"/users/" + mailbox.rstrip(b"/").rpartition(b"/")[2]
        if inside.startswith(base + b"/"):
            path = inside[len(base):]
    return found.mail(base, path, path + b"/Maildir")
