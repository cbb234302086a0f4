"""Which channel an address goes to, and as what (QMAIL interface 8).

    no @                    @ and envnoathost are added
    domain in percenthack   user%host@domain becomes user@host
    domain in locals        local, as it is
    virtualdomains          keys tried: the address, the domain, .suffixes of it, the empty one; the first decides:
                            local as prefix-address, or remote if its prefix is empty
    otherwise               remote
"""

from vqmail.store import control

LOCAL, REMOTE = 0, 1
TYPE_CHECKING = False


class Rules:
    """The control files that rewrite, as they are now."""

    def __init__(self) -> None:
        self._no_host = control.line(b"envnoathost")
        self._locals = frozenset(control.entries(b"locals") or ())
        self._percent = frozenset(control.entries(b"percenthack") or ())
        self._virtual = control.mapping(b"virtualdomains")

    def rewrite(self, address: bytes) -> "tuple[int, bytes]":
        """(LOCAL or REMOTE, the address as it is delivered)."""
        local, at, domain = address.rpartition(b"@")
        if not at:
            local, domain = address, self._no_host
        while self._percent and domain.lower() in self._percent and b"%" in local:
            local, _, domain = local.rpartition(b"%")
        address = local + b"@" + domain
        if domain.lower() in self._locals:
            return LOCAL, address
        prefix = self.prefix(address, domain)
        if prefix:
            return LOCAL, prefix + b"-" + address
        return REMOTE, address

    def prefix(self, address: bytes, domain: bytes) -> bytes:
        """What virtualdomains says of `address`; b"" if it is not virtual."""
        for key in _keys(address.lower(), domain.lower()):
            found = self._virtual.get(key)
            if found is not None:
                return found
        return b""

    def domains(self) -> "list[bytes]":
        """The whole domains in virtualdomains that have a prefix."""
        return [key for key, prefix in self._virtual.items() if prefix and key and b"@" not in key and key[:1] != b"."]

    def strip_prefix(self, address: bytes) -> bytes:
        """A stored address as its sender knows it: without the prefix that rewrite() gave it."""
        local, at, domain = address.rpartition(b"@")
        if not at or domain.lower() in self._locals:
            return address
        for start in [place + 1 for place, byte in enumerate(local) if byte == ord("-")]:
            bare = address[start:]
            if self.prefix(bare, domain) + b"-" == address[:start]:
                return bare
        return address


def _keys(address: bytes, domain: bytes) -> "list[bytes]":
    keys = [address, domain]
    place = domain.find(b".")
    while place >= 0:
        keys.append(domain[place:])
        place = domain.find(b".", place + 1)
    return [*keys, b""]
