"""Which addresses are this machine's own: mail sent to one of them would come back (QMAIL interfaces 13.2 and 19).

    those of its interfaces     as the kernel lists them
    127.0.0.0/8                 of which the kernel lists one, but all lead here
    0.0.0.0 and ::              this machine, whichever it is
    control/moreipme            more, such as the ones that a NAT gives it
    control/notipme             not these; 0.0.0.0 and :: are ours all the same
"""

import time

from vqmail import codes
from vqmail.formats import ip
from vqmail.store import control, current
from vqmail.unix import addresses, log

KEEP = 30                       # seconds for which the kernel's list is believed


class Addresses:
    """The list, with a memory that lives as long as it."""

    def __init__(self) -> None:
        self._own: tuple[float, frozenset[bytes]] = (0.0, frozenset())
        self._lists = current.Current(_lists, (b"notipme", b"moreipme"))

    def has(self, packed: bytes) -> bool:
        """Whether the 4 or 16 bytes are an address of ours.  TryLater if that cannot be told."""
        packed = ip.plain(packed)
        if not any(packed):
            return True
        less, more = self._lists.get()
        if packed in less:
            return False
        if packed[:1] == b"\x7f" and len(packed) == 4:
            return True
        return packed in self._interfaces() or packed in more

    def _interfaces(self) -> "frozenset[bytes]":
        until, own = self._own
        now = time.monotonic()
        if now >= until:
            try:
                own = addresses.own()
            except OSError as error:
                raise codes.TryLater("cannot list this machine's addresses: %s (#4.3.0)" % (error.strerror or error)
                                     ) from None
            self._own = (now + KEEP, own)
        return own


def _lists() -> "tuple[set[bytes], set[bytes]]":
    return _listed(b"notipme"), _listed(b"moreipme")


def _listed(name: bytes) -> "set[bytes]":
    """The addresses in control/notipme or control/moreipme; what is none is logged."""
    found = set()
    for each in control.entries(name) or []:
        packed = ip.literal(each) or ip.pack(each)
        if packed is None:
            log.line(b"vq-remote", b"control/%s: %s is no IP address; write one a line" % (name, each))
        else:
            found.add(ip.plain(packed))
    return found
