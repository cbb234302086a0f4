"""Which domain an address of ours belongs to: the file of vq-virtuald, /virtual/conf.pop.

    address directory       10.0.0.2 /virtual/domain1.com: the directory of the domain that its last part names
    address domain          10.0.0.2 domain1.com
    * directory-or-domain   all other addresses

Blanks part the two words; lines that are empty or begin with # do not count.
"""

from vqmail.formats import ip

OTHERS = b"*"
LONGEST = 255


def parse(text: bytes) -> "tuple[dict[bytes, bytes], list[tuple[int, str]]]":
    """(address to directory or domain, what is wrong with which line).  Addresses are 4 or 16 bytes, or OTHERS."""
    found: dict[bytes, bytes] = {}
    faults: list[tuple[int, str]] = []
    for number, line in enumerate(text.split(b"\n"), 1):
        words = line.split()
        if not words or words[0].startswith(b"#"):
            continue
        place = words[0] if words[0] == OTHERS else ip.pack(words[0])
        wrong = ""
        if len(words) != 2:
            wrong = "has %d words; write the address and the directory or domain" % len(words)
        elif place is None:
            wrong = "does not begin with an IP address of ours or *"
        elif not domain_of(words[1]):
            wrong = "does not end in a directory that is called as a domain, or in a domain"
        elif ip.plain(place) in found:
            wrong = "is the second one for its address; remove one"
        if wrong:
            faults.append((number, wrong))
        elif place is not None:
            found[ip.plain(place)] = words[1].rstrip(b"/")
    return found, faults


def domain_of(where: bytes) -> bytes:
    """The domain that a directory or domain means, in lower case; b"" if it means none."""
    name = where.rstrip(b"/").rpartition(b"/")[2].lower()
    if not where.startswith(b"/") and b"/" in where:
        return b""
    usable = 0 < len(name) <= LONGEST and name[:1] not in (b".", b"-") and name[-1:] != b"." and b".." not in name
    return name if usable and all(32 < each < 127 for each in name) else b""


def lookup(hosts: "dict[bytes, bytes]", address: bytes) -> bytes:
    """The directory or domain of the address of ours; b"" if there is none for it, nor for the others."""
    packed = ip.pack(address)
    own = hosts.get(ip.plain(packed), b"") if packed is not None else b""
    return own or hosts.get(OTHERS, b"")
