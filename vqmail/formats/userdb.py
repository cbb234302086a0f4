"""Courier's userdb: one user a line, name TAB field=value|field=value...

    bob@example.com<TAB>home=/home/vmail/bob|mail=/home/vmail/bob/Maildir|uid=500|gid=500|systempw=$1$...|quota=5000000S
"""

PASSWORDS = (b"systempw", b"pop3pw", b"imappw", b"esmtppw")         # the first that is there


def parse(line: bytes) -> "tuple[bytes, dict[bytes, bytes]]":
    """(name in lower case, fields).  ValueError if it is no such line."""
    name, tab, rest = line.partition(b"\t")
    if not tab or not name.strip():
        raise ValueError("has no name with a TAB behind it")
    fields: dict[bytes, bytes] = {}
    for each in rest.split(b"|"):
        key, _, value = each.partition(b"=")
        fields.setdefault(key.strip(), value)
    return name.strip().lower(), fields


def password(fields: "dict[bytes, bytes]") -> bytes:
    """The stored password; b"" if there is none."""
    return next((fields[each] for each in PASSWORDS if fields.get(each)), b"")
