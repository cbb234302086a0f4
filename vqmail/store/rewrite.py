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
FILES = (b"me", b"envnoathost", b"locals", b"percenthack", b"virtualdomains")       # what Rules are made of
TYPE_CHECKING = False


class Rules:
    """The control files that rewrite, as they are now."""

    def __init__(self) -> None:
        self._no_host = control.line(b"envnoathost")
        self._locals = frozenset(control.entries(b"locals") or ()) - {b""}      # no me, no name of ours
        self._percent = frozenset(control.entries(b"percenthack") or ())
        self._virtual = control.mapping(b"virtualdomains")

    def rewrite(self, address: bytes, steps: "list[tuple[bytes, bytes]] | None" = None) -> "tuple[int, bytes]":
        """(LOCAL or REMOTE, the address as it is delivered).  `steps` are told what was decided by which file."""
        local, at, domain = address.rpartition(b"@")
        if not at:
            local, domain = address, self._no_host
            address = local + b"@" + domain
            if steps is not None:
                steps.append((b"control/envnoathost", b"makes it %s" % address))
        domain = domain.lower()
        if domain in self._percent:
            while domain in self._percent and b"%" in local:
                local, _, domain = local.rpartition(b"%")
                address = local + b"@" + domain
                domain = domain.lower()
            domain = domain.rpartition(b"@")[2]
            if steps is not None:
                steps.append((b"control/percenthack", b"makes it %s" % address))
        is_local = domain in self._locals
        if steps is not None:
            steps.append((b"control/locals", b"%s %s" % (b"has" if is_local else b"does not have", domain)))
        if is_local:
            return LOCAL, address
        key = self._key(address, domain)
        prefix = b"" if key is None else self._virtual[key]
        if steps is not None:
            steps.append((b"control/virtualdomains", b"does not have %s: it goes out" % domain if key is None else
                          b"%s:%s makes it %s-%s" % (key, prefix, prefix, address) if prefix else
                          b"%s: has no prefix: it goes out" % key))
        return (LOCAL, prefix + b"-" + address) if prefix else (REMOTE, address)

    def prefix(self, address: bytes, domain: bytes) -> bytes:
        """What virtualdomains says of `address`, whose domain is `domain` in lower case; b"" if it is not virtual."""
        key = self._key(address, domain)
        return b"" if key is None else self._virtual[key]

    def _key(self, address: bytes, domain: bytes) -> "bytes | None":
        """Which line of virtualdomains decides."""
        virtual = self._virtual
        if not virtual:
            return None
        address = address.lower()
        if address in virtual:
            return address
        if domain in virtual:
            return domain
        place = domain.find(b".")
        while place >= 0:
            suffix = domain[place:]
            if suffix in virtual:
                return suffix
            place = domain.find(b".", place + 1)
        return b"" if b"" in virtual else None

    def owned_by(self, domain: bytes) -> bytes:
        """The prefix that all addresses of `domain` get which have no line of their own; b"" if it is not virtual."""
        domain = domain.lower()
        return b"" if domain in self._locals else self.prefix(domain, domain)

    def domains(self) -> "list[bytes]":
        """The whole domains in virtualdomains that have a prefix."""
        return [key for key, prefix in self._virtual.items() if prefix and key and b"@" not in key and key[:1] != b"."]

    def strip_prefix(self, address: bytes) -> bytes:
        """A stored address as its sender knows it: without the prefix that rewrite() gave it."""
        local, at, domain = address.rpartition(b"@")
        domain = domain.lower()
        if not at or not self._virtual or domain in self._locals:
            return address
        start = local.find(b"-") + 1
        while start:
            bare = address[start:]
            if self.prefix(bare, domain) == address[:start - 1]:
                return bare
            start = local.find(b"-", start) + 1
        return address
