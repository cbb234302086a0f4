"""vq-pw2u: turn a passwd file into users/assign.

SYNOPSIS    vq-pw2u [ -/ohHuUC ] [ -c char ] < passwd > assign

READS       0   lines of a passwd file: user:hash:uid:gid:gecos:home:shell
WRITES      1   users/assign

Each user controls his own name and everything that begins with it and a dash; alias controls the
rest.  Users with uid 0 are skipped, and homes that do not begin with a slash.  After a failure the
last line, a dot, is missing: vq-newu refuses the output.

    -o      skip users whose home is missing or not theirs (default)
    -h      stop at a missing home, skip users whose home is not theirs
    -H      do not look at homes
    -U      skip names with upper-case letters (default)
    -u      take them
    -c char the character between a name and its extension, instead of the dash
    -C      no extensions
    -/      the files of extensions are .qmail-/EXT instead of .qmail-EXT

FILES       users/include   users who count, one a line; without it all do
            users/exclude   users who do not
            users/mailnames user:name:name...: these names instead of the user's own
            users/subusers  sub:user:pre: gives sub to user's files .qmail-pre
            users/append    lines for the end

EXIT        0   all is written
            100 wrong usage
            111 there is no alias, a line is broken, a file cannot be read or written

RUNS AS     anybody who may look at the homes

STANDARDS   qmail-pw2u(8)
"""

import errno

from vqmail import codes, vqhome
from vqmail.formats import assign, controlfile
from vqmail.unix import calls, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vqmail.unix.chain import Env

LIMIT = 64 << 20                # bytes of one file
USAGE = "usage: vq-pw2u [ -/ohHuUC ] [ -c char ] < passwd > assign"
ALIAS = b"alias"


def main(argv: "list[bytes]", env: "Env") -> int:  # noqa: ARG001  every program has this shape
    """Translate descriptor 0 to descriptor 1."""
    options = _options(argv[1:])
    try:
        for lines in _assignments(options):
            fd.write_all(1, lines)
    except OSError as error:
        raise codes.TryLater("cannot read or write: %s" % error.strerror) from None
    return codes.OK


def _options(words: "list[bytes]") -> "dict[bytes, bytes]":
    """home: o, h or H; case: u or U; char: the break, b"" for none; dash."""
    options = {b"home": b"o", b"case": b"U", b"char": b"-", b"dash": b"-"}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word[:1] != b"-" or len(word) < 2:
            raise codes.GiveUp(USAGE)
        for place in range(1, len(word)):
            letter = word[place:place + 1]
            if letter == b"c":
                char = word[place + 1:] or (rest.pop(0) if rest else b"")
                if not char or char[:1] in b":\n\0":
                    raise codes.GiveUp(USAGE)
                options[b"char"] = char[:1]
                break
            name, value = LETTERS.get(letter, (b"", b""))
            if not name:
                raise codes.GiveUp(USAGE)
            options[name] = value
    return options


LETTERS = {b"o": (b"home", b"o"), b"h": (b"home", b"h"), b"H": (b"home", b"H"), b"u": (b"case", b"u"),
           b"U": (b"case", b"U"), b"C": (b"char", b""), b"/": (b"dash", b"-/")}


def _assignments(options: "dict[bytes, bytes]") -> "Iterator[bytes]":
    include, exclude = _list(b"include"), _list(b"exclude") or frozenset()
    mailnames = controlfile.mapping(_read(b"mailnames") or b"")
    dash, char = options[b"dash"], options[b"char"]
    known: dict[bytes, bytes] = {}
    for number, line in enumerate(_stdin(), 1):
        if not line or line[:1] in b"+-#":      # NIS, comments
            continue
        fields = line.split(b":")
        if len(fields) < 6 or b"\0" in line or not (assign.is_id(fields[2]) and assign.is_id(fields[3])):
            raise codes.TryLater("line %d of the passwd file is broken; mend it" % number)
        user, uid, home = fields[0], int(fields[2]), fields[5]
        if (uid == 0 or home[:1] != b"/" or (options[b"case"] == b"U" and user != user.lower())
                or (include is not None and user.lower() not in include) or user.lower() in exclude
                or (options[b"home"] != b"H" and not _owns(home, uid, options[b"home"] == b"h"))):
            continue
        known[user] = owner = b":%s:%d:%d:%s:" % (user, uid, int(fields[3]), home)
        lines = [b"+" + owner + dash + b"::\n"] if user == ALIAS else []
        for name in mailnames.get(user.lower(), user).split(b":"):
            if name:
                lines.append(b"=" + name + owner + b"::\n")
                lines += [b"+" + name + char + owner + dash + b"::\n"] if char else []
        yield b"".join(lines)
    if ALIAS not in known:
        raise codes.TryLater("there is no user alias, or it does not own its home: mail for nobody needs it")
    for number, line in enumerate((_read(b"subusers") or b"").split(b"\n"), 1):
        if not line or line.startswith(b"#"):
            continue
        fields = line.split(b":")
        if len(fields) < 4 or fields[1] not in known:
            raise codes.TryLater("users/subusers line %d: %s" % (number, (
                "needs three colons, sub:user:pre:" if len(fields) < 4 else "there is no such user; remove the line")))
        sub, owner, pre = fields[0], known[fields[1]] + dash + b":" + fields[2], b"-:\n"
        yield b"=" + sub + owner + b":\n"
        yield b"+" + sub + char + owner + pre if char else b""
    appended = _read(b"append") or b""
    yield appended if not appended or appended.endswith(b"\n") else appended + b"\n"
    yield b".\n"


def _owns(home: bytes, uid: int, must: bool) -> bool:
    """Whether `home` is there and belongs to `uid`; TryLater if it `must` be there and is not, or cannot be told."""
    try:
        return calls.stat(home).st_uid == uid
    except OSError as error:
        if not must and error.errno in (errno.ENOENT, errno.ENOTDIR):
            return False
        raise codes.TryLater("cannot look at the home %s: %s" % (
            home.decode("utf-8", "replace"), error.strerror)) from None


def _stdin() -> "Iterator[bytes]":
    """The lines of descriptor 0, which may be a pipe."""
    begun = b""
    for piece in fd.rest(0):
        *whole, begun = (begun + piece).split(b"\n")
        yield from whole
    yield begun


def _list(name: bytes) -> "frozenset[bytes] | None":
    text = _read(name)
    return None if text is None else frozenset(each.lower() for each in controlfile.entries(text))


def _read(name: bytes) -> "bytes | None":
    path = vqhome.path(b"users/" + name)
    try:
        return fd.read_file(path, LIMIT)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise codes.TryLater("cannot read %s: %s" % (path.decode(), error)) from None
