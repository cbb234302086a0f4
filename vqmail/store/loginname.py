"""Who logs in: from the name that the client gave to a user of a domain (doc/LOGINS.md).

    user@domain         the last @ counts, and nothing else where there is one
    user!domain         the first of `! % : /` (control/loginseparators) behind which stands a domain with users,
                        and which such a user has; whoever has no domain of ours behind it bears it in his name
    user                of the default domain

The default domain is the first of these that there is:

    VQ_DOMAIN           what vq-virtuald says
    the name in the TLS handshake (SNI): what control/popdomains says of it; the name itself, or what is left of it
                        without its first labels, if that is a domain with users (pop.domain1.test: domain1.test)
    what control/popdomains says of the address that the client connected to
    TCPLOCALHOST        if it is a domain with users
    the only domain in control/virtualdomains

A domain of ours beats a name with a separator in it, so that the owner of a domain cannot take the logins of another
one by what he calls a user.  Where there is no such user the name may be an old one that people still log in with:
store/loginaliases.
"""

import errno

from vqmail import codes
from vqmail.formats import ip
from vqmail.store import aliasdomain, control, loginaliases, rewrite, virtual
from vqmail.unix import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vqmail.unix.chain import Env

LABELS = 8                                  # of a name from a TLS handshake that are looked at
READINGS = 8                                # separators in a name that are: each one is a question to the disk
PLAIN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"       # parts no user from a domain
ABSENT = (errno.ENOENT, errno.ENOTDIR)


def split(name: bytes) -> "tuple[bytes, bytes]":
    """(user, domain), lower-cased, as the login `name` reads at first sight; domain is b"" if it has none."""
    for user, domain in _readings(name.lower()):
        return user, domain
    return name.lower(), b""


def who(name: bytes, address: bytes, env: "Env | None" = None) -> "tuple[virtual.User, bytes, bytes] | None":
    """(user, stored password, domain) of the login `name`; None if there is no such user.  As whose()."""
    found = whose(name, address, env)
    if found is None:
        return None
    user, domain = found
    stored = virtual.password_hash(domain, user.name)
    return None if stored is None else (user, stored, domain)


def whose(name: bytes, address: bytes, env: "Env | None" = None, *,
          as_compiled: bool = False) -> "tuple[virtual.User, bytes] | None":
    """(user, domain) of the login `name`, for those who may see no password, too.

    `address` is the IP that the client connected to; `env` may have VQ_DOMAIN, SSL_TLS_SNI_SERVERNAME, TCPLOCALHOST.
    The domain is the one that has the user, not another name of it.  With `as_compiled` it is what was so when the
    texts were compiled last.  TryLater on trouble.
    """
    name = name.lower()
    readings = []
    for user, domain in _readings(name):
        found = _found(user, domain, as_compiled=as_compiled)
        if found is not None:
            return found
        readings.append((user, domain))
    if b"@" not in name:
        domain = default_domain(address, env)
        found = _found(name, domain, as_compiled=as_compiled)
        if found is not None:
            return found
        readings.append((name, domain))
    for user, domain in readings:
        found = _found(*loginaliases.real(name, user, domain, as_compiled=as_compiled), as_compiled=as_compiled)
        if found is not None:
            return found
    return None


def default_domain(address: bytes, env: "Env | None" = None) -> bytes:
    """The domain of a bare user on the server's IP `address`; b"" if it cannot be told."""
    env = env or {}
    chosen = env.get(b"VQ_DOMAIN", b"").lower()
    if chosen:
        return chosen
    listed = _popdomains()
    server_name = env.get(b"SSL_TLS_SNI_SERVERNAME", b"").lower().rstrip(b".")
    if server_name:
        domain = listed.get(server_name) or _domain_in(server_name)
        if domain:
            return domain
    domain = listed.get(_key(address), b"")
    if domain:
        return domain
    local_host = env.get(b"TCPLOCALHOST", b"").lower()
    if local_host and has_users(local_host):
        return local_host
    domains = rewrite.Rules().domains()
    return domains[0] if len(domains) == 1 else b""


def find(user: bytes, domain: bytes) -> "tuple[virtual.User, bytes] | None":
    """(user, stored password) of a virtual user; None if there is no such user or domain.  TryLater on trouble."""
    found = _found(user, domain)
    stored = None if found is None else virtual.password_hash(found[1], user)
    return None if found is None or stored is None else (found[0], stored)


def _found(user: bytes, domain: bytes, *, as_compiled: bool = False) -> "tuple[virtual.User, bytes] | None":
    above = virtual.root()
    if not has_users(domain, above):
        return None
    domain = aliasdomain.real(domain, above)
    found = virtual.find(domain, user, above, as_compiled=as_compiled)
    return None if found is None else (found, domain)


def has_users(domain: bytes, above: "bytes | None" = None) -> bool:
    """Whether it is a domain with users, or another name of one."""
    if not domain or not virtual.usable_domain(domain):
        return False
    text = virtual.domain_directory(aliasdomain.real(domain, above), above) + virtual.TEXT
    try:
        calls.stat(text)
    except OSError as error:
        if error.errno in ABSENT:
            return False
        raise codes.TryLater("cannot look at %s: %s" % (text.decode("ascii"), error.strerror)) from None
    return True


def _readings(name: bytes) -> "Iterator[tuple[bytes, bytes]]":
    """(user, domain) for each way to read `name`, the likeliest first; none if it must be a bare one."""
    user, at, domain = name.rpartition(b"@")
    if at:
        yield user, domain
        return
    if not name.translate(None, PLAIN):         # no separator, whichever they are: spare the file
        return
    separators = control.line(b"loginseparators").translate(None, PLAIN)
    places = [place for place, each in enumerate(name) if each in separators and place + 1 < len(name)]
    for place in places[:READINGS]:
        yield name[:place], name[place + 1:]


def _popdomains() -> "dict[bytes, bytes]":
    """control/popdomains: what each name or address leads to."""
    listed: dict[bytes, bytes] = {}
    for entry in control.entries(b"popdomains") or ():
        words = entry.split()
        if len(words) != 2:
            raise codes.TryLater("control/popdomains: %r is not an address or name of ours and a domain" % entry.decode(
                "utf-8", "replace"))
        listed.setdefault(_key(words[0]), words[1])
    return listed


def _key(place: bytes) -> bytes:
    """A name as it is, an address in its usual form: nobody writes the zeros of an IPv6 address as another one does."""
    packed = ip.pack(place)
    return place.lower() if packed is None else ip.text(ip.plain(packed))


def _domain_in(server_name: bytes) -> bytes:
    """The longest end of a host's name that is a domain with users; b"" if none is."""
    labels = server_name.split(b".")[-LABELS:]
    while labels:
        domain = b".".join(labels)
        if has_users(domain):
            return domain
        labels = labels[1:]
    return b""
