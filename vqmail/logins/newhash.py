"""Make the hash of one user anew: a change of settings like vq-passwd's, by the journal and under its lock."""

import time

from vqmail.formats import journal, lines, passwd
from vqmail.store import aliasdomain, control, domaintext, passwords, virtual
from vqmail.store import journal as changes
from vqmail.unix import beneath, calls, log

PER_SECOND = 100_000            # bytes of a text that one change in a second may rewrite: the rest waits


def make(domain: bytes, user: bytes, secret: bytes, stored: bytes) -> bool:
    """`secret` is the password of what is stored now; whether it was hashed anew.  TryLater, OSError."""
    lock = changes.lock_within(0)
    if lock < 0:
        return False
    try:
        changes.recover()
        step = _step(aliasdomain.real(domain), user.lower(), secret, stored)
        if step is None:
            return False
        for each in changes.commit([step, (journal.COMPILE, aliasdomain.real(domain))]):
            log.line(b"vqmail", each)
    finally:
        calls.close(lock)
    log.line(b"vqmail", b"<%s@%s> logged in; the password is hashed anew" % (user, domain))
    return True


def _step(domain: bytes, user: bytes, secret: bytes, stored: bytes) -> "journal.Step | None":
    """The text with a new hash; None if that is not what is stored any more, or the text cannot be changed now."""
    path = virtual.domain_directory(domain) + virtual.TEXT
    with changes.place(path) as at:
        found = calls.lstat(at.path)
        if found.st_nlink != 1 or 0 <= time.time() - found.st_mtime < found.st_size // PER_SECOND:
            return None
        try:
            text, found = beneath.read(at, found.st_size + 1)
            # a text that somebody is writing, or that is broken, is left alone
            names = {each.name for each in passwd.entries(text.split(b"\n"), max(control.number(b"minuid"), 1))}
        except ValueError:
            return None
    line = lines.find(text, user)
    fields = (line or b"").split(b":")
    if user not in names or not text.endswith(b"\n") or fields[1] != stored:
        return None
    fields[1] = passwords.hashed(secret, calls.urandom(20))
    # somebody who edits the text by hand takes no lock: what he writes meanwhile is not overwritten
    return (journal.REWRITE, path, b"%o" % (found.st_mode & 0o777), b"%d" % found.st_uid, b"%d" % found.st_gid,
            lines.replace(text, user, b":".join(fields)), domaintext.mark(found))
