"""After a login: the password is known, so a hash that is weaker than the preferred one is made anew.

It is a change of settings as vq-passwd makes it, by the journal and under its lock, in a process of its own: nobody who
logs in waits for it, and no trouble with it is his.  While somebody else changes settings, or a large domain was just
changed, it is left for the next login.
"""

from vqmail import codes
from vqmail.store import passwords
from vqmail.unix import child, log

LONGEST = 72                    # bytes; more than bcrypt looks at is not to become less than it was


def rehash(domain: bytes, user: bytes, secret: bytes, stored: bytes) -> None:
    """Somebody logged in with `secret`, and this is what is stored for him.  Never raises."""
    try:
        if passwords.outdated(stored) and 0 < len(secret) <= LONGEST and b"\0" not in secret:
            child.aside(lambda: _quietly(domain, user, secret, stored))
    except (OSError, codes.Failure) as error:
        _complain(domain, user, error)


def _quietly(domain: bytes, user: bytes, secret: bytes, stored: bytes) -> None:
    from vqmail.logins import newhash           # the journal: nearly every login finds its hash new enough

    try:
        newhash.make(domain, user, secret, stored)
    except (OSError, codes.Failure) as error:
        _complain(domain, user, error)


def _complain(domain: bytes, user: bytes, error: Exception) -> None:
    log.line(b"vqmail", b"cannot hash the password of <%s@%s> anew: %s" % (
        user, domain, log.reason(error).encode("utf-8", "replace")))
