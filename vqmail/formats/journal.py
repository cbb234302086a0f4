"""The journal of a change to many files (users/journal): steps in their order, each the same when it is done twice.

    one netstring for each step, in it one for each word; the last step is `end`

    write PATH MODE UID GID TEXT        the file is there with TEXT; UID and GID may be `-`: whoever we are
    rewrite PATH MODE UID GID TEXT MARK the same, if the file is still the one that MARK says (store/domaintext)
    remove PATH                         the file, link or empty directory is not there
    directory PATH MODE UID GID         the directory is there
    link PATH TARGET                    the symbolic link is there
    move OLD NEW INODE                  what has that number is at NEW
    tree PATH                           the directory is not there, nor anything that was in it
    compile DOMAIN                      of a domain's users; of users/assign without DOMAIN
    hosts                               morercpthosts is compiled
    reload                              vq-send reads its control files again
"""

from vqmail.formats import netstring

TYPE_CHECKING = False
if TYPE_CHECKING:
    Step = tuple[bytes, ...]

WRITE, REMOVE, DIRECTORY, LINK, MOVE, TREE = b"write", b"remove", b"directory", b"link", b"move", b"tree"
REWRITE = b"rewrite"
COMPILE, HOSTS, RELOAD, END = b"compile", b"hosts", b"reload", b"end"
WORDS = {WRITE: 6, REWRITE: 7, REMOVE: 2, DIRECTORY: 5, LINK: 3, MOVE: 4, TREE: 2, COMPILE: 2, HOSTS: 1, RELOAD: 1,
         END: 1}


def encode(steps: "list[Step]") -> bytes:
    """The journal."""
    return b"".join([netstring.encode(b"".join(map(netstring.encode, step))) for step in [*steps, (END,)]])


def decode(text: bytes) -> "list[Step]":
    """The steps.  ValueError if this is no whole journal."""
    steps = [tuple(_split(each)) for each in _split(text)]
    if not steps or steps.pop() != (END,):
        raise ValueError("it has no end")
    for step in steps:
        if not step or WORDS.get(step[0]) != len(step) or step[0] == END:
            raise ValueError("it has a step that is none: %r" % (step[:1],))
    return steps


def _split(text: bytes) -> "list[bytes]":
    """The netstrings in `text`."""
    found = []
    at = 0
    while at < len(text):
        colon = text.find(b":", at, at + 12)
        size = text[at:max(colon, at)]
        if not size.isdigit():
            raise ValueError("it has no length at byte %d" % at)
        at = colon + 1 + int(size)
        if text[at:at + 1] != b",":
            raise ValueError("it is cut at byte %d" % at)
        found.append(text[colon + 1:at])
        at += 1
    return found
