"""The environment of a delivery: what a program line in a dot-qmail file knows of its message (QMAIL interface 6.3).

Most of it is chosen by strangers.  So a newline in a value is `_`, and a value that an old bash would take for a
function (`() {`) gets a space in front.
"""

from vqmail.formats import header, quoting


def lines(local: bytes, domain: bytes, sender: bytes, date: bytes) -> "dict[bytes, bytes]":
    """UFLINE, RPLINE and DTLINE, complete with their newlines; `date` is asctime's."""
    return {
        b"UFLINE": header.from_line(sender, date),
        b"RPLINE": header.return_path(quoting.quote(sender)),
        b"DTLINE": header.delivered_to(local + b"@" + domain),
    }


def variables(user: bytes, home: bytes, local: bytes, ext: bytes, domain: bytes, sender: bytes) -> "dict[bytes, bytes]":
    """All the others but DEFAULT and NEWSENDER."""
    values = {
        b"USER": user, b"HOME": home, b"LOCAL": local, b"RECIPIENT": local + b"@" + domain, b"SENDER": sender,
        b"HOST": domain, b"EXT": ext,
    }
    for name in (b"HOST2", b"HOST3", b"HOST4"):
        before, dot, _ = domain.rpartition(b".")
        domain = before if dot else domain
        values[name] = domain
    for name in (b"EXT2", b"EXT3", b"EXT4"):
        ext = ext.partition(b"-")[2]
        values[name] = ext
    return {name: harmless(value) for name, value in values.items()}


def one_line(value: bytes) -> bytes:
    """`value`, of a variable like DTLINE that anybody may have set since, as one header line."""
    return value.removesuffix(b"\n").replace(b"\n", b"_") + b"\n"


def harmless(value: bytes) -> bytes:
    """`value` as it may stand in the environment of a shell."""
    value = value.replace(b"\n", b"_")
    return b" " + value if value.startswith(b"() {") else value
