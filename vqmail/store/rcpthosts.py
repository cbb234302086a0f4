"""The domains we receive mail for: control/rcpthosts, and morercpthosts.cdb for the many (QMAIL interface 12.3).

    example.com     this domain
    .example.com    every domain that ends so

morercpthosts.cdb has the same words as keys.  It counts only if there is a rcpthosts.
"""

from vqmail import codes, vqhome
from vqmail.store import cdb, control

MORE = b"control/morercpthosts.cdb"


class RcptHosts:
    """control/rcpthosts as it is now.  `missing`: there is no such file, so we receive for nobody."""

    def __init__(self) -> None:
        entries = control.entries(b"rcpthosts")
        self.missing = entries is None
        self._hosts = frozenset(entries or ())

    def accept(self, address: bytes) -> bool:
        """Whether a stranger may send to `address`.  TryLater if morercpthosts.cdb cannot be read."""
        if self.missing:
            return False
        _, at, domain = address.rpartition(b"@")
        if not at:
            return True                     # it is ours: nobody else's name is on it
        words = _words(domain.lower())
        return not self._hosts.isdisjoint(words) or _has_key(words)


def _words(domain: bytes) -> "list[bytes]":
    """a.b.c, .b.c, .c"""
    words = [domain]
    at = domain.find(b".", 1)
    while at >= 0:
        words.append(domain[at:])
        at = domain.find(b".", at + 1)
    return words


def _has_key(words: "list[bytes]") -> bool:
    path = vqhome.path(MORE)
    try:
        with cdb.Reader(path) as more:
            return any(more.get(each) is not None for each in words)
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise codes.TryLater("cannot read %s: %s; make it again with vq-newmrh" % (
            path.decode("utf-8", "replace"), getattr(error, "strerror", None) or error)) from None
