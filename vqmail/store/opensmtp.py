"""POP before SMTP, as vpopmail keeps it: who has read his mail may relay from his address for some time.

    control/opensmtp    `180`: minutes for which an address stays open.  Without the file all this is off.
                        `/home/vpopmail/etc 180`: the files are not in control/ but there, where vpopmail has them
    tcp.smtp            the postmaster's rules, a text for tcprules
    open-smtp           the open addresses (formats/opensmtp), IPv6 in open-smtp6
    tcp.smtp.cdb        compiled of all of them, for tcpserver -x; made anew only when an address comes or goes
    open-smtp.lock      who holds the lock on it changes them; vpopmail's programs take the same one

Whoever changes them takes out what is too old: note() when somebody else comes, `vq-service auth` within seconds
(expire), vq-clearopensmtp from cron.

The postmaster's rules come first: an address or a net that he denies stays denied, and what his rule sets for the net
of an address is set for the open address, too.
"""

import time

from vqmail import codes, vqhome
from vqmail.formats import controlfile, ip, opensmtp, tcprules
from vqmail.record import Record
from vqmail.store import cdb, control
from vqmail.unix import calls, durable, fd, lock, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

RULES = b"/tcp.smtp"
CDB = b"/tcp.smtp.cdb"
OPEN = (b"/open-smtp", b"/open-smtp6")
LOCK = b"/open-smtp.lock"
READING = calls.O_RDONLY | calls.O_CLOEXEC | calls.O_NOFOLLOW | calls.O_NONBLOCK       # a FIFO must not hold us
MODE = 0o644                    # qmaild reads the cdb
OFTEN = 60                      # seconds after which the time of an open address is renewed
MOST = 100_000                  # open addresses
LIMIT = 32 << 20                # bytes of a file
PATIENCE = 5                    # seconds to wait for the lock


class Settings(Record):
    """Where the files are, and for how many seconds an address stays open; 0: not at all."""

    __slots__ = ("directory", "seconds")
    directory: bytes
    seconds: int


def settings() -> Settings:
    """What control/opensmtp says.  TryLater on trouble with it."""
    directory, seconds = vqhome.path(b"control"), 0
    for word in control.line(b"opensmtp").split():
        if word.startswith(b"/"):
            directory = word.rstrip(b"/")
        else:
            seconds = 60 * (controlfile.number(word) or 0)
    return Settings(directory, seconds)


def note(address: bytes, local: bytes = b"", now: "float | None" = None) -> None:
    """Somebody at the client's `address`, connected to ours, `local`, has logged in to POP3: let it relay.

    Trouble is logged and stops nobody's login.  Never opens an address at which a proxy or a web mailer on this host
    makes everybody look alike: 127.0.0.1, ::1, and `local` itself.
    """
    place = b""
    try:
        found = settings()
        place = found.directory
        key = opensmtp.key(address)
        if not found.seconds or not key or _same(address, local):
            return
        now = time.time() if now is None else now
        known = _read(found.directory, b":" in key).get(key)
        if known is None or now - known >= OFTEN:
            _update(found, now, key)
    except (OSError, ValueError, codes.Failure) as error:
        log.line(b"opensmtp", "%s is not opened for SMTP: %s" % (
            log.printable(address[:60]).decode(), log.reason(error, place)))


def clear(now: "float | None" = None) -> int:
    """Close what has been open for too long, or everything if it is off; how many are open still.

    Makes the cdb anew in any case, if there is a text to make it of or this is switched on.  OSError; ValueError names
    line and remedy; TryLater.
    """
    found = settings()
    return _update(found, time.time() if now is None else now, None)


def due(now: "float | None" = None) -> bool:
    """Whether clear() would close something: cheap, to be asked from time to time.  OSError, ValueError, TryLater."""
    found = settings()
    now = time.time() if now is None else now
    return any(now - since >= found.seconds for family in (False, True)
               for since in _read(found.directory, family).values())


def expire() -> None:
    """Close what has been open for too long; trouble is logged.  For a service to call now and then: cheap."""
    try:
        if due():
            clear()
    except (OSError, ValueError, codes.Failure) as error:
        log.line(b"opensmtp", "addresses stay open for SMTP: %s" % log.reason(error))


def _update(where: Settings, now: float, key: "bytes | None") -> int:
    number = calls.open(where.directory + LOCK, calls.O_WRONLY | calls.O_CREAT | calls.O_CLOEXEC | calls.O_NOFOLLOW,
                        0o600)
    try:
        lock.take_record_within(number, PATIENCE)
        return _update_locked(where, now, key)
    finally:
        calls.close(number)


def _update_locked(where: Settings, now: float, key: "bytes | None") -> int:
    owner = calls.stat(where.directory)
    ids = (owner.st_uid, owner.st_gid)
    before = [_read(where.directory, family) for family in (False, True)]
    # a time to come is a clock's mistake: it counts as now
    after = [{each: min(since, int(now)) for each, since in them.items() if now - since < where.seconds}
             for them in before]
    if key is not None:
        after[b":" in key][key] = int(now)
    if len(after[0]) + len(after[1]) > MOST:
        raise ValueError("%d addresses are open; no more are" % MOST)
    has_rules = fd.is_there(where.directory + RULES)
    wanted = key is None and (has_rules or where.seconds)
    if wanted or [*map(set, before)] != [*map(set, after)] or (key and not fd.is_there(where.directory + CDB)):
        rules = fd.read_file(where.directory + RULES, LIMIT) if has_rules else b""
        try:
            cdb.make(where.directory + CDB, _records(rules, [*after[0], *after[1]]), MODE, ids)
        except ValueError as error:
            raise ValueError("%s: %s" % ((where.directory + RULES).decode("utf-8", "replace"), error)) from None
    # the text comes last: an address that stands there is taken for open
    for name, old, new in zip(OPEN, before, after, strict=True):
        if old != new:
            durable.replace_with(where.directory + name, lambda number, new=new: fd.write_all(  # type: ignore[misc]
                number, opensmtp.encode(new)), MODE, ids)
    return len(after[0]) + len(after[1])


def _records(rules: bytes, keys: "list[bytes]") -> "Iterator[tuple[bytes, bytes]]":
    known: dict[bytes, bytes] = {}
    for address, data in tcprules.records(rules.split(b"\n")):
        known.setdefault(address, data)
        yield address, data
    for key in keys:
        if key in known:                        # the postmaster's own word about that address
            continue
        base = next((known[each] for each in tcprules.keys(key, None, None) if each in known), b"")
        allowed, variables = tcprules.decode(base)
        if allowed:
            yield key, tcprules.encode(True, {**variables, **opensmtp.VARIABLES})  # noqa: FBT003


def _read(directory: bytes, six: bool) -> "dict[bytes, int]":  # noqa: FBT001  which of the two files
    try:
        number = calls.open(directory + OPEN[six], READING)
    except FileNotFoundError:
        return {}
    try:
        return opensmtp.parse(fd.read_all(number, LIMIT))
    finally:
        calls.close(number)


def _same(one: bytes, other: bytes) -> bool:
    first, second = ip.pack(one), ip.pack(other)
    return first is not None and second is not None and ip.plain(first) == ip.plain(second)
