"""utmp(5): who is logged in at which terminal, as Linux on x86 writes it.

    at      bytes   field
    0       2       type; 7 is a user's process
    8       32      line, such as pts/0, to its first NUL
    44      32      user, to its first NUL

A record has 384 bytes; what else is in it is of no use here.
"""

RECORD = 384
LIMIT = 4 << 20                 # bytes of a utmp file that are looked at: ten thousand logins
USER_PROCESS = 7


def terminals(text: bytes, user: bytes) -> "list[bytes]":
    """The lines at which `user` is logged in, below /dev.  One that would lead out of there is left out, as is an
    unfinished record at the end."""
    found = []
    for at in range(0, len(text) - RECORD + 1, RECORD):
        record = text[at:at + RECORD]
        line = _text(record[8:40])
        if int.from_bytes(record[:2], "little") != USER_PROCESS or _text(record[44:76]) != user:
            continue
        if line and not line.startswith(b"/") and b"." not in line:
            found.append(line)
    return found


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]
