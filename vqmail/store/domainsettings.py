"""What the options of a domain (formats/options) come to: for the domain, and for one of its users."""

from vqmail.formats import options, quota
from vqmail.record import Record


class Settings(Record):
    """A domain's settings.

    `catchall` is b"" if mail for nobody bounces; `extensions` are characters; `quota` is that of all users together,
    b"" if there is none; `limits` lacks what has no limit; `suspended` says what no user may do; `forwarding` whether
    mail may leave for other hosts; `uids` is own or owner.
    """

    __slots__ = ("catchall", "extensions", "overquota", "warn", "quota", "limits", "suspended", "forwarding", "uids")
    catchall: bytes
    extensions: bytes
    overquota: bytes
    warn: int
    quota: bytes
    limits: "dict[bytes, int]"
    suspended: "frozenset[bytes]"
    forwarding: bool
    uids: bytes


def of_domain(values: "dict[bytes, bytes]") -> Settings:
    """The settings that the options of @ make."""
    return Settings(
        catchall=values.get(b"catchall", b""), extensions=values.get(b"extensions", b"-+"),
        overquota=values.get(b"overquota", b"bounce"), warn=int(values.get(b"warn", b"90")),
        quota=_quota(values.get(b"quota", b"")),
        limits={each: int(values[each]) for each in options.LIMITS if each in values},
        suspended=options.words(values.get(b"suspended", b"")),
        forwarding=values.get(b"forwarding", b"yes") == b"yes", uids=values.get(b"uids", b"own"))


def of_user(found: "dict[bytes, dict[bytes, bytes]]", name: bytes) -> "tuple[bytes, frozenset[bytes], bytes]":
    """(quota, suspended, dotqmail) of `name`: his own value, or everybody's; and what the whole domain may not do."""
    values = {**found.get(options.EVERYBODY, {}), **found.get(name, {})}
    suspended = options.words(values.get(b"suspended", b""))
    if options.DOMAIN in found:
        suspended |= options.words(found[options.DOMAIN].get(b"suspended", b""))
    return _quota(values.get(b"quota", b"")), suspended, values.get(b"dotqmail", b"no")


def moved(found: "dict[bytes, dict[bytes, bytes]]", name: bytes) -> bytes:
    """Where `name` has moved to, b"" if he has not; that is nobody's but his own."""
    return found.get(name, {}).get(b"moved", b"")


def _quota(value: bytes) -> bytes:
    return b"" if value.upper() == quota.NOQUOTA else value
