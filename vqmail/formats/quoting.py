"""Quoting of local parts (RFC 5321 4.1.2) and of names, and the sender that names its recipient (VERP)."""

# atext and the dot: what needs no quotes
PLAIN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~."

# what stands for itself in an encoded word, wherever that stands
LITERAL_IN_WORD = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!*+-/"
WORD_LIMIT = 63                 # of 75 with what stands around it


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


def phrase(name: bytes) -> bytes:
    """`name` as it stands before an address in angle brackets: in quotes, or if it is UTF-8, as encoded words."""
    if name.isascii() or not _is_utf8(name):
        return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return b" ".join(_encoded_words(name.decode("utf-8")))


def comment(name: bytes) -> bytes:
    """`name` as it stands behind an address, with its parentheses."""
    if name.isascii() or not _is_utf8(name):
        return b"(" + name.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)") + b")"
    return b"(" + b" ".join(_encoded_words(name.decode("utf-8"))) + b")"


def _is_utf8(text: bytes) -> bool:
    try:
        return bool(text.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _encoded_words(text: str) -> "list[bytes]":
    words = [b""]                                                                       # RFC 2047 4.2 and 5
    for letter in text:
        code = b"".join([b"_" if each == 32 else b"%c" % each if each in LITERAL_IN_WORD else b"=%02X" % each
                         for each in letter.encode("utf-8")])
        if len(words[-1]) + len(code) > WORD_LIMIT:
            words.append(b"")
        words[-1] += code
    return [b"=?utf-8?Q?%s?=" % each for each in words]


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
