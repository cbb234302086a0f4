"""What vq-loginreply says on descriptor 4 about the account that a checkpassword program made it run as.

    uid NUL gid NUL HOME NUL USER NUL SHELL
"""

from vqmail.record import Record

LIMIT = 8192
DIGITS = 10
CONTROLS = bytes(each for each in range(256) if each < 32 or each == 127)


class Reply(Record):
    """The account."""

    __slots__ = ("uid", "gid", "home", "user", "shell")
    uid: int
    gid: int
    home: bytes
    user: bytes
    shell: bytes


def encode(reply: Reply) -> bytes:
    """The packet."""
    return b"%d\0%d\0%s\0%s\0%s" % (reply.uid, reply.gid, reply.home, reply.user, reply.shell)


def decode(data: bytes) -> Reply:
    """The account.  ValueError if this is none, or is root's: nobody reads mail as root."""
    fields = data.split(b"\0")
    if len(fields) != 5 or not all(each.isdigit() and len(each) <= DIGITS for each in fields[:2]):
        raise ValueError("not uid, gid, home, user and shell")
    reply = Reply(int(fields[0]), int(fields[1]), *fields[2:])
    if reply.uid == 0 or not reply.home.startswith(b"/"):
        raise ValueError("uid %d with the home %r is nobody who may log in" % (reply.uid, reply.home))
    if reply.user.translate(None, CONTROLS) != reply.user:      # it gets into the environment, headers, replies
        raise ValueError("a user's name with control characters in it")
    return reply
