"""The names of messages in a maildir: SECONDS.UNIQUE.HOST

UNIQUE is M microseconds, P process, V device, I inode: two messages of one name would have to be the same file.
HOST has `/` and `:` as \\057 and \\072.  What comes after a `:` is the reader's.
"""


def new(now: int, pid: int, device: int, inode: int, host: bytes, again: bytes = b"") -> bytes:
    """A name for a message delivered at `now`, in nanoseconds; `again` (letters and digits) makes it another one."""
    seconds, rest = divmod(now, 1_000_000_000)
    unique = b"M%dP%dV%dI%d" % (rest // 1000, pid, device, inode)
    return b"%d.%s%s.%s" % (seconds, unique, again and b"_" + again, escaped(host))


def escaped(host: bytes) -> bytes:
    """`host` as it may stand in a file name that others take apart at its colon."""
    return host.replace(b"/", b"\\057").replace(b":", b"\\072") or b"localhost"
