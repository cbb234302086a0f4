"""Quoting of local parts (RFC 5321 4.1.2), and the sender that names its recipient (VERP)."""

# atext and the dot: what needs no quotes
PLAIN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~."


def quote(address: bytes) -> bytes:
    """`address` as it stands in a header or between angle brackets; its local part is given unquoted."""
    local, at, domain = address.rpartition(b"@")
    if not at:
        local, domain = address, b""
    if not local and not at:
        return b""
    plain = local and not local.translate(None, PLAIN)
    if plain and not local.startswith(b".") and not local.endswith(b".") and b".." not in local:
        return address
    escaped = b"".join(b"\\%c" % each if each in b'"\\\r\n\0' else b"%c" % each for each in local)
    return b'"' + escaped + b'"' + at + domain


def verp(sender: bytes, recipient: bytes) -> bytes:
    """The sender of one delivery.  `pre@host-@[]` becomes `prebox=rhost@host` for recipient `box@rhost`;
    any other sender stays (QMAIL interface 4.5)."""
    if not sender.endswith(b"-@[]"):
        return sender
    local, at, host = sender[:-4].rpartition(b"@")
    box, at_too, rhost = recipient.rpartition(b"@")
    if not at or not at_too:
        return sender
    return b"%s%s=%s@%s" % (local, box, rhost, host)
