"""The command line of vq-tcpserver."""

from vqmail import codes
from vqmail.unix import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

FLAGS = b"qQvpPhHrR1doODXU"
VALUES = b"cxBugltb"
TAKES_BACK = {b"P": b"p", b"H": b"h", b"R": b"r", b"O": b"o", b"D": b"d"}
USAGE = "usage: vq-tcpserver [options] host port program [arg ...]"


class Options:
    """What the command line says.  GiveUp if it is wrong, TryLater if it names what is not there."""

    def __init__(self, argv: "list[bytes]", env: "Env") -> None:
        flags, values, rest = _parse(argv[1:])
        if len(rest) < 3:
            raise codes.GiveUp(USAGE)
        self.host, self.port, *self.program = rest
        self.quiet = b"q" in flags
        self.verbose = b"v" in flags
        self.wants_name = b"h" in flags
        self.paranoid = b"p" in flags
        self.wants_info = b"r" in flags
        self.lenient = b"X" in flags
        self.prints_port = b"1" in flags
        self.keeps_ip_options = b"o" in flags
        self.delays = b"d" in flags
        self.limit = _number(values, b"c", 40)
        self.backlog = _number(values, b"b", 128)
        self.seconds = _number(values, b"t", 26)
        self.banner = values.get(b"B", b"")
        self.local_name = values.get(b"l")
        self.rules = values.get(b"x")
        if self.rules is not None and not self.rules.startswith(b"/"):
            self.rules = calls.readlink(b"/proc/self/cwd") + b"/" + self.rules
        if self.limit == 0:
            raise codes.GiveUp("-c 0 would serve nobody")
        self.owner = _owner(b"U" in flags, values, env)


def _parse(words: "list[bytes]") -> "tuple[set[bytes], dict[bytes, bytes], list[bytes]]":
    """(flags, values, the rest).  The later option counts."""
    flags = {b"h"}
    values: dict[bytes, bytes] = {}
    while words and words[0].startswith(b"-") and words[0] != b"-":
        word, *words = words
        if word == b"--":
            break
        letters = word[1:]
        while letters:
            letter, letters = letters[:1], letters[1:]
            if letter in VALUES:
                if not letters and not words:
                    raise codes.GiveUp(USAGE)
                values[letter] = letters or words.pop(0)
                letters = b""
            elif letter not in FLAGS:
                raise codes.GiveUp("there is no option -%s; %s" % (letter.decode("ascii", "replace"), USAGE))
            elif letter in b"qQv":
                flags = flags - {b"q", b"v"} | {letter}
            elif letter in TAKES_BACK:
                flags.discard(TAKES_BACK[letter])
            else:
                flags.add(letter)
    return flags, values, words


def _number(values: "dict[bytes, bytes]", name: bytes, default: int) -> int:
    text = values.get(name)
    if text is None:
        return default
    if not text.isdigit() or len(text) > 9:
        raise codes.GiveUp("-%s wants a number, not %r" % (name.decode(), text.decode("utf-8", "replace")))
    return int(text)


def _owner(from_env: bool, values: "dict[bytes, bytes]", env: "Env") -> "tuple[int, int] | None":
    """(uid, gid) to become; None to stay who we are, as with -u 0 -g 0."""
    if from_env:
        if b"UID" not in env or b"GID" not in env:
            raise codes.TryLater("-U finds no UID and GID in the environment; envuidgid sets them")
        values = values | {b"u": env[b"UID"], b"g": env[b"GID"]}
    uid, gid = _number(values, b"u", 0), _number(values, b"g", 0)
    if (uid == 0) != (gid == 0):
        raise codes.GiveUp("-u and -g belong together: give both, or neither to stay who you are")
    return (uid, gid) if uid else None
