"""Where mail for a host goes: what smtproutes, authsenders, outgoingip and tlshosts say (QMAIL interfaces 13.2 and 19).

    authsenders     wins over smtproutes; its sender is the envelope sender
    smtproutes      the most specific key that is there decides
    tlshosts        a certificate must prove the name of the host we speak to, the relay of a route or the MX, if that
                    name is listed, or the recipient's host.  An MX comes from DNS, which may be forged: who must not
                    trust that names the relay in smtproutes, too.

A line of smtproutes or outgoingip that makes no sense is logged and passed over.  To pass over one of authsenders or
tlshosts would send mail without AUTH, or in the clear: there it waits instead.
"""

from vqmail import codes, vqhome
from vqmail.formats import controlfile, ip, smtproutes
from vqmail.record import Record
from vqmail.store import control
from vqmail.unix import calls, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

MAY, VERIFY, SMTPS = "may", "verify", "smtps"
SMTPS_PORT = 465
OTHERS = 0o004
FILES = (b"authsenders", b"smtproutes", b"outgoingip", b"tlshosts")       # what Tables are made of


class Route(Record):
    """Where to and how.

    host        what to look up: a name, an address, or an address in brackets that came from the recipient
    direct      a relay or an address: no MX is looked up
    user        b"" without AUTH
    sources     our IPv4 and our IPv6 address to send from, b"" for any
    tls         MAY: if it is offered; VERIFY: or not at all; SMTPS: from the start
    prove       whoever gets this mail must prove its name
    proved      the names in tlshosts: these must, too; must_prove() asks both
    """

    __slots__ = ("host", "port", "direct", "user", "password", "sources", "tls", "prove", "proved")
    host: bytes
    port: int
    direct: bool
    user: bytes
    password: bytes
    sources: "tuple[bytes, bytes]"
    tls: str
    prove: bool
    proved: "frozenset[bytes]"

    def __repr__(self) -> str:
        return f"Route({self.host!r}, {self.port}, direct={self.direct}, user={self.user!r}, tls={self.tls})"

    def must_prove(self, name: bytes) -> bool:
        """Whether a host called `name` must prove that by its certificate to get this mail; never without TLS."""
        return self.prove or _is_in(name, self.proved)


class Tables:
    """What the files say now.  TryLater if one cannot be read, or must not be guessed."""

    def __init__(self) -> None:
        self._senders = _table(b"authsenders", smtproutes.split_sender)
        self._routes = _table(b"smtproutes", smtproutes.split_route)
        self._addresses = _addresses()
        self._proved = frozenset(_table(b"tlshosts", _tls_line))

    def find(self, host: bytes, sender: bytes, *, relay: bool = False) -> Route:
        """Where mail from `sender` for `host` goes; a `relay` itself, not its MX, unless a route leads elsewhere.

        TryLater if a line of authsenders makes no sense.
        """
        hosts = smtproutes.host_keys(host)
        via = (_first(b"authsenders", self._senders, smtproutes.authenticated_relay, smtproutes.sender_keys(sender))
               or _first(b"smtproutes", self._routes, smtproutes.relay, hosts)
               or smtproutes.Relay(b"", smtproutes.SMTP, b"", b""))
        to = via.host or (b"[%s]" % hosts[0] if ip.pack(hosts[0]) is not None else hosts[0])
        prove = _is_in(host, self._proved) or _is_in(to, self._proved)
        tls = SMTPS if via.port == SMTPS_PORT else VERIFY if prove else MAY
        direct = relay or bool(via.host) or ip.literal(to) is not None
        return Route(to, via.port, direct, via.user, via.password, self._sources(sender), tls, prove, self._proved)

    def _sources(self, sender: bytes) -> "tuple[bytes, bytes]":
        """Our (IPv4, IPv6) address for mail of `sender`, each from the most specific line that has one."""
        keys = smtproutes.host_keys(sender.rpartition(b"@")[2] if b"@" in sender else b"")
        four, six = (next((self._addresses[key, size] for key in keys if (key, size) in self._addresses), b"")
                     for size in (4, 16))
        return four, six


def check() -> None:
    """Log, once when the spawner starts, each line that makes no sense, and passwords that everybody can read."""
    for name, split, parse in ((b"smtproutes", smtproutes.split_route, smtproutes.relay),
                               (b"authsenders", smtproutes.split_sender, smtproutes.authenticated_relay),
                               (b"outgoingip", smtproutes.split_address, _as_it_is),
                               (b"tlshosts", _tls_line, _as_it_is)):
        try:
            for number, line in controlfile.numbered(control.read(name) or b""):
                try:
                    parse(split(line)[1])
                except ValueError as error:
                    _complain(name, number, error)
        except codes.Failure as error:
            log.line(b"vq-remote", str(error))
    for name in (b"authsenders", b"smtproutes"):
        path = vqhome.path(b"control/" + name)
        try:
            if b"|" in (control.read(name) or b"") and calls.stat(path).st_mode & OTHERS:
                log.line(b"vq-remote", b"%s: every user can read the passwords in it; chgrp qmail and chmod 640" % path)
        except (OSError, codes.Failure):
            pass                                # absent meanwhile, or said above


def _table(name: bytes, split: "Callable[[bytes], tuple[bytes, bytes]]") -> "dict[bytes, tuple[int, bytes]]":
    """(number, value) of the lines of control/`name` by their keys; of two lines with one key the last one counts."""
    return {key: (number, value) for number, key, value in _lines(name, split)}


def _first(name: bytes, table: "dict[bytes, tuple[int, bytes]]", parse: "Callable[[bytes], smtproutes.Relay]",
           keys: "list[bytes]") -> "smtproutes.Relay | None":
    """What the `table` of control/`name` says for the first of `keys` that is there and makes sense."""
    for key in keys:
        if key in table:
            number, value = table[key]
            try:
                return parse(value)
            except ValueError as error:
                _pass_over(name, number, error)
    return None


def _addresses() -> "dict[tuple[bytes, int], bytes]":
    """What outgoingip says for a key and a size of addresses, 4 or 16 bytes; b"" for any of ours."""
    found = {(key, len(packed)): packed for _, key, packed in _lines(b"outgoingip", smtproutes.split_address)}
    return {key: ip.text(packed) if any(packed) else b"" for key, packed in found.items()}


def _is_in(host: bytes, names: "frozenset[bytes]") -> bool:
    return bool(names) and any(key in names for key in smtproutes.host_keys(host)[:-1])


def _lines(name: bytes, split: "Callable[[bytes], tuple[bytes, bytes]]") -> "Iterator[tuple[int, bytes, bytes]]":
    """(number, key, value) of each line that has them."""
    for number, line in controlfile.numbered(control.read(name) or b""):
        try:
            key, value = split(line)
        except ValueError as error:
            _pass_over(name, number, error)
        else:
            yield number, key, value


def _pass_over(name: bytes, number: int, error: ValueError) -> None:
    """Log a line that makes no sense.  TryLater if without it mail would leave less safely than it is meant to."""
    if name in (b"authsenders", b"tlshosts"):
        raise codes.TryLater(_words(name, number, error) + " (#4.3.0)")
    _complain(name, number, error)


def _complain(name: bytes, number: int, error: ValueError) -> None:
    log.line(b"vq-remote", _words(name, number, error))


def _words(name: bytes, number: int, error: ValueError) -> str:
    return "control/%s, line %d: %s" % (name.decode(), number, error)


def _tls_line(line: bytes) -> "tuple[bytes, bytes]":
    return smtproutes.tls_host(line), b""


def _as_it_is(value: "Any") -> "Any":
    return value
