"""What a domain and its users may do: /virtual/DOMAIN/etc/options.

    bob:quota=5M:suspended=login,send       a user's
    *:quota=20M                             of every user who has no value of his own
    @:mailboxes=100:catchall=bob            the domain's
    # a comment

Of a user or *:     quota       5M, 5000000S,1000C, NOQUOTA
                    suspended   of login, receive, send, with commas: what he may not do for now
                    dotqmail    no, forwards, programs: what a .qmail in his home may do
                    moved       an address: mail for him is refused, and his new address told
Of @:               mailboxes aliases forwards autoresponders       how many of them there may be
                    quota       of all users together
                    catchall    who gets mail for nobody: a user, an address, or delete; without it that bounces
                    extensions  the characters that part a user's name from an extension: -+ without it, none if empty
                    overquota   bounce or defer: what becomes of mail that does not fit
                    warn        per cent of a quota from which on its user is told, once a day; 0: never
                    suspended   as a user's, for all of them
                    forwarding  yes or no: whether mail may go on to other hosts
                    uids        own or owner: whether a new user gets a uid of his own, or has the domain owner's
"""

from vqmail.formats import quota

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

EVERYBODY = b"*"
DOMAIN = b"@"
SUSPENSIONS = (b"login", b"receive", b"send")
LIMITS = (b"mailboxes", b"aliases", b"forwards", b"autoresponders")
SEPARATORS = b"-+=_.#!~^"       # what may part a name from its extension
LONGEST = 1000                  # bytes of a value


def parse(lines: "Iterable[bytes]") -> "dict[bytes, dict[bytes, bytes]]":
    """Name (in lower case, or * or @) -> its options.

    ValueError, with line number and remedy, if any line is broken: a file that is being written just now must not
    look like one that suspends nobody.
    """
    found: dict[bytes, dict[bytes, bytes]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(b"#"):
            continue
        name, colon, rest = line.partition(b":")
        name = name.lower()
        if not colon or not name:
            raise ValueError("line %d: write NAME:option=value" % number)
        if name in found:
            raise ValueError("line %d: %s has a line already; write all options of a name in one" % (
                number, _shown(name)))
        found[name] = {}
        for each in rest.split(b":"):
            key, equals, value = each.partition(b"=")
            if not each:
                continue
            if not equals:
                raise ValueError("line %d: %s lacks a value; write option=value" % (number, _shown(each)))
            if key in found[name]:
                raise ValueError("line %d: %s stands there twice; remove one" % (number, _shown(key)))
            try:
                check(name, key, value)
            except ValueError as error:
                raise ValueError("line %d: %s" % (number, error)) from None
            found[name][key] = value
    return found


def line(name: bytes, values: "dict[bytes, bytes]") -> bytes:
    """The line of `name`, without a newline; ValueError if a value cannot stand there."""
    for key, value in values.items():
        check(name, key, value)
    return b":".join([name, *(key + b"=" + value for key, value in values.items())])


def check(name: bytes, key: bytes, value: bytes) -> None:
    """ValueError, which says what may stand there, if `name` cannot have that value of `key`."""
    known = DOMAIN_OPTIONS if name == DOMAIN else USER_OPTIONS
    if key not in known:
        raise ValueError("%s is no option of %s; there are %s" % (
            _shown(key), "a domain" if name == DOMAIN else "a user", b" ".join(known).decode()))
    if len(value) > LONGEST or any(each < 32 or each in (58, 127) for each in value) or not known[key](value):
        raise ValueError("%s cannot be %s: %s" % (key.decode(), _shown(value), ALLOWED.get(key, "a number")))


def words(value: bytes) -> "frozenset[bytes]":
    """The words of a list with commas."""
    return frozenset(value.split(b",")) - {b""}


def _is_number(value: bytes) -> bool:
    return value.isdigit() and len(value) <= 9


def _is_quota(value: bytes) -> bool:
    try:
        quota.parse(value)
    except ValueError:
        return False
    return True


def _is_suspension(value: bytes) -> bool:
    return words(value) <= set(SUSPENSIONS)


def _is_catchall(value: bytes) -> bool:
    return not any(each in value for each in (b" ", b"/", b"|", b"&", b"\0"))


def _is_address(value: bytes) -> bool:
    """Whether a value can be told to strangers as an address."""
    local, _, host = value.rpartition(b"@")
    return bool(local and host) and all(32 < each < 127 and each not in b'<>"()\\' for each in value)


def _one_of(*allowed: bytes) -> "Callable[[bytes], bool]":
    return lambda value: value in allowed


USER_OPTIONS: "dict[bytes, Callable[[bytes], bool]]" = {
    b"quota": _is_quota, b"suspended": _is_suspension, b"dotqmail": _one_of(b"no", b"forwards", b"programs"),
    b"moved": lambda value: not value or _is_address(value)}
DOMAIN_OPTIONS: "dict[bytes, Callable[[bytes], bool]]" = {
    **dict.fromkeys(LIMITS, _is_number), b"quota": _is_quota, b"catchall": _is_catchall,
    b"extensions": lambda value: not value.strip(SEPARATORS), b"overquota": _one_of(b"bounce", b"defer"),
    b"warn": lambda value: _is_number(value) and int(value) <= 100, b"suspended": _is_suspension,
    b"forwarding": _one_of(b"yes", b"no"), b"uids": _one_of(b"own", b"owner")}
ALLOWED = {
    b"quota": "write 5M, 5000000S,1000C or NOQUOTA", b"suspended": "write login, receive, send, with commas between",
    b"dotqmail": "write no, forwards or programs", b"moved": "write an address",
    b"catchall": "write a user, an address, or delete",
    b"extensions": "the characters may be " + SEPARATORS.decode(), b"overquota": "write bounce or defer",
    b"warn": "write a number up to 100", b"forwarding": "write yes or no", b"uids": "write own or owner"}


def _shown(text: bytes) -> str:
    return "".join(chr(each) if 32 < each < 127 else "?" for each in text[:100]) or "an empty word"
