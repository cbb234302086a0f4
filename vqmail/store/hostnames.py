"""control/hostnames: what this host calls itself at each of its addresses, so that a domain with an address of its own
has a name of its own there.

    192.0.2.2 mail.domain1.com

A line that makes no sense is passed over; vq-showctl tells of it.
"""

from vqmail.formats import ip
from vqmail.store import control

FILE = b"hostnames"
WORDS = 2                       # on a line


class HostNames:
    """The names, as the file is now.  TryLater if it cannot be read."""

    def __init__(self) -> None:
        self._names: dict[bytes, bytes] = {}
        for entry in control.text_entries(FILE) or ():
            words = entry.split()
            packed = ip.pack(words[0]) if len(words) == WORDS else None
            if packed is not None:
                self._names.setdefault(ip.plain(packed), words[1])

    def at(self, address: bytes, otherwise: bytes) -> bytes:
        """The name at one of our addresses."""
        packed = ip.pack(address) if self._names else None
        return otherwise if packed is None else self._names.get(ip.plain(packed), otherwise)
