"""What POP3 clients know a message by (RFC 1939 7), as those had it who served the Maildir before.

    qmail       the name of the file up to its flags: qmail-pop3d, Courier, vpopmail, and Dovecot's %f
    tpop3d      its MD5 in hex: tpop3d, and Dovecot's %Mf
    dovecot     what the file dovecot-uidlist says: number and validity in hex, which is Dovecot's %08Xu%08Xv, or
                what it kept from another server (P)

dovecot-uidlist:

    3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1      validity after V
    25006 :1276528487.M364837P9451.kurkku,S=1355:2,             number, then fields, then the name
    25017 W2481 Pabc :1276533073.M242911P3632.kurkku

and since long ago, without letters and fields: `1 VALIDITY NEXT`, `NUMBER NAME`.
"""

from vqmail.formats import digest, maildirname

QMAIL, TPOP3D, DOVECOT = b"qmail", b"tpop3d", b"dovecot"
STYLES = (QMAIL, TPOP3D, DOVECOT)
DIGITS = 10                     # of a number of 32 bits


def tpop3d(name: bytes) -> bytes:
    """The unique-id that tpop3d gave."""
    return digest.of("md5", maildirname.unique(name)).hex().encode()


def qmail(name: bytes) -> bytes:
    """The unique-id that qmail-pop3d gave, where that was fit for the protocol."""
    return maildirname.unique_id(name)


def dovecot_list(text: bytes) -> "dict[bytes, bytes]":
    """The unique-ids that Dovecot gave, by name without flags, of the content of dovecot-uidlist.  ValueError if it is
    none; what is wrong with a line is that line's affair."""
    header, *lines = text.split(b"\n")
    version, *words = header.split(b" ")
    if version == b"3":
        validity = next((each[1:] for each in words if each[:1] == b"V"), b"")
    else:
        validity = words[0] if version == b"1" and words else b""
    if not _is_number(validity):
        raise ValueError("dovecot-uidlist has no header")
    there = b"%08x" % int(validity)
    found = {}
    for line in lines[:-1]:                     # a line without its end is just being written
        before, _, name = line.partition(b" :" if version == b"3" else b" ")
        number, *fields = before.split(b" ")
        if _is_number(number) and name:
            kept = next((each[1:] for each in fields if each[:1] == b"P"), b"")
            found[maildirname.unique(name)] = kept if maildirname.is_unique_id(kept) else b"%08x" % int(number) + there
    return found


def kept(ids: "dict[bytes, bytes]") -> bytes:
    """The content of our own file: the unique-id and the name of each message, a line each."""
    return b"".join(b"%s %s\n" % (each, name) for name, each in ids.items())


def parse_kept(text: bytes) -> "dict[bytes, bytes]":
    """What was kept, by name."""
    pairs = (line.partition(b" ") for line in text.split(b"\n"))
    return {name: each for each, _, name in pairs if name and maildirname.is_unique_id(each)}


def different(names: "list[bytes]", ids: "list[bytes]") -> "list[bytes]":
    """The `ids`, no two of them equal: what is there twice is replaced by what belongs to the name alone."""
    if len(set(ids)) == len(ids):
        return ids
    seen: set[bytes] = set()
    made = []
    for name, each in zip(names, ids, strict=True):
        one = each
        while one in seen:
            one = maildirname.hashed(one[:8] + maildirname.unique(name))
        seen.add(one)
        made.append(one)
    return made


def _is_number(word: bytes) -> bool:
    return word.isdigit() and len(word) <= DIGITS
