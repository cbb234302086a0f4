"""open-smtp: who may relay because he has read his mail, and since when (vpopmail).

    192.0.2.9:allow,RELAYCLIENT="",RBLSMTPD=""<TAB>1700000000
    2001:db8:1:2::allow,RELAYCLIENT="",RBLSMTPD=""<TAB>1700000000       in open-smtp6: all of 2001:db8:1:2::/64

What stands before the tab is a line for tcprules, which knows no IPv6.
"""

from vqmail.formats import ip

RULE = b':allow,RELAYCLIENT="",RBLSMTPD=""'
VARIABLES = {b"RELAYCLIENT": b"", b"RBLSMTPD": b""}
# addresses at which everybody looks alike: a proxy's, a web mailer's
LOOPBACK = (b"\x7f\0\0\1", bytes(15) + b"\1", bytes(4), bytes(16))
LINK = b"\xfe\x80"              # every neighbour is in the same /64


def key(address: bytes) -> bytes:
    """What tcpserver's rules call a client: his address, or of IPv6 the /64, as one of eight groups; b"" if the
    address must never be opened, or is none."""
    packed = ip.pack(address)
    if packed is None or ip.plain(packed) in LOOPBACK or packed.startswith(LINK):
        return b""
    packed = ip.plain(packed)
    if len(packed) == 4:
        return ip.text(packed)
    return b"".join(b"%x:" % int.from_bytes(packed[at:at + 2], "big") for at in range(0, 8, 2))


def parse(text: bytes) -> "dict[bytes, int]":
    """Key to time.  What is no line of this kind is left out."""
    found: dict[bytes, int] = {}
    for line in text.split(b"\n"):
        rule, _, time = line.partition(b"\t")
        place = rule.find(b":allow,")
        known = key(rule[:place] + b":" if rule[:place].endswith(b":") else rule[:place]) if place > 0 else b""
        if known and time.strip().isdigit() and len(time) < 16:
            found[known] = int(time)
    return found


def encode(open_ones: "dict[bytes, int]") -> bytes:
    """The text, the oldest first."""
    return b"".join(b"%s%s\t%d\n" % (each, RULE, time)
                    for each, time in sorted(open_ones.items(), key=lambda pair: pair[1]))
