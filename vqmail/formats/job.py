"""What a worker is told in one packet: the program, its environment, and where its descriptors go.

    argc NUL targets NUL argv NUL ... NAME=value NUL ...

`targets` says, for each descriptor that comes along, at which number the program expects it, as in `0,1,2`;
`d` is a directory to run in.

A session goes on in a process of somebody else's: UID SP GID SP HOME NUL, and then such a packet.
"""

DIRECTORY = b"d"


def encode(argv: "list[bytes]", env: "dict[bytes, bytes]", targets: bytes) -> bytes:
    """The packet."""
    return b"\0".join([b"%d" % len(argv), targets, *argv, *[b"%s=%s" % each for each in env.items()]])


def encode_session(uid: int, gid: int, home: bytes, packet: bytes) -> bytes:
    """The packet `packet`, to be done by `uid` and `gid` in the directory `home`, which they enter themselves."""
    return b"%d %d %s\0%s" % (uid, gid, home, packet)


def decode_session(packet: bytes) -> "tuple[int, int, bytes, bytes]":
    """(uid, gid, home, packet).  ValueError if this is none of encode_session's."""
    head, _, rest = packet.partition(b"\0")
    uid, gid, home = head.split(b" ", 2)
    return int(uid), int(gid), home, rest


def decode(packet: bytes) -> "tuple[list[bytes], dict[bytes, bytes], list[bytes]]":
    """(argv, env, targets).  ValueError if this is no such packet."""
    count, targets, *words = packet.split(b"\0")
    argc = int(count[:9])
    if not 0 < argc <= len(words):
        raise ValueError("%d arguments announced, %d words sent" % (argc, len(words)))
    env = {}
    for each in words[argc:]:
        name, _, value = each.partition(b"=")
        env[name] = value
    return words[:argc], env, targets.split(b",")
