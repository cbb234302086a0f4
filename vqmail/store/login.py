"""Who logs in: from the name that the client gave to a user of a domain.

    user@domain     the last @ counts
    user!domain     the first ! counts, when there is no @
    user%domain     the first % counts, when there is neither; then the first : and the first /
    user            of the domain of the address that the client connected to: control/popdomains, or, when
                    control/virtualdomains has a single domain, of that

Where there is no such user the name may be an old one that people still log in with: store/loginaliases.
"""

import errno

from vqmail import codes
from vqmail.store import aliasdomain, control, loginaliases, rewrite, virtual
from vqmail.unix import calls

OTHERS = (b"!", b"%", b":", b"/")          # of tpop3d, vpopmail and VMailMgr; no user's name has one of the last two
ABSENT = (errno.ENOENT, errno.ENOTDIR)


def split(name: bytes, address: bytes) -> "tuple[bytes, bytes]":
    """(user, domain), lower-cased, of the login `name` on the server's IP `address`; domain is b"" if there is none."""
    name = name.lower()
    user, at, domain = name.rpartition(b"@")
    if at:
        return user, domain
    for separator in OTHERS:
        user, found, domain = name.partition(separator)
        if found:
            return user, domain
    return name, default_domain(address)


def default_domain(address: bytes) -> bytes:
    """The domain of a bare user on the server's IP `address`; b"" if it cannot be told."""
    for entry in control.entries(b"popdomains") or ():
        words = entry.split()
        if len(words) != 2:
            raise codes.TryLater("control/popdomains: %r is not an address of ours and a domain" % entry.decode(
                "utf-8", "replace"))
        if words[0] == address.lower():
            return words[1]
    domains = rewrite.Rules().domains()
    return domains[0] if len(domains) == 1 else b""


def who(name: bytes, address: bytes) -> "tuple[virtual.User, bytes, bytes] | None":
    """(user, stored password, domain) of the login `name`, be it an old one; None if there is no such user."""
    user, domain = split(name, address)
    found = find(user, domain)
    if found is None:
        user, domain = loginaliases.real(name, user, domain)
        found = find(user, domain)
    return None if found is None else (*found, domain)


def whose(name: bytes) -> "tuple[virtual.User, bytes] | None":
    """(user, domain) of the login `name`, for those who may see no password; None if there is no such user."""
    user, domain = split(name, b"")
    found = _user(user, domain)
    if found is None:
        user, domain = loginaliases.real(name, user, domain)
        found = _user(user, domain)
    return None if found is None else (found, aliasdomain.real(domain))


def find(user: bytes, domain: bytes) -> "tuple[virtual.User, bytes] | None":
    """(user, stored password) of a virtual user; None if there is no such user or domain.  TryLater on trouble."""
    found = _user(user, domain)
    stored = virtual.password_hash(aliasdomain.real(domain), user) if found is not None else None
    return (found, stored) if found is not None and stored is not None else None


def _user(user: bytes, domain: bytes) -> "virtual.User | None":
    if not domain or not virtual.usable_domain(domain):
        return None
    domain = aliasdomain.real(domain)
    text = virtual.domain_directory(domain) + virtual.TEXT
    try:
        calls.stat(text)
    except OSError as error:
        if error.errno in ABSENT:
            return None                         # no domain with users
        raise codes.TryLater("cannot look at %s: %s" % (text.decode("ascii"), error.strerror)) from None
    return virtual.find(domain, user)
