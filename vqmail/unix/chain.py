"""Put the next program in the place of this one.

A program ends by returning: an exit code, or Next(argv, env), "run that instead of me".  What Next
means is decided here and nowhere else:

    cold    execve(argv)
    warm    argv[0] is a program of this home that is loaded already: undo by hand what exec would
            have undone, then call its main()

Either way descriptors 0, 1, 2 ..., the directory, the umask, the user and a running alarm pass to
the next program, as they do across exec, unless Next says otherwise.
"""

import _signal
import errno
import gc
import sys

from vqmail import codes, vqhome
from vqmail.unix import calls, fd, log, priv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Env = dict[bytes, bytes]
    Main = Callable[[list[bytes], Env], "int | Next"]

# The programs loaded in this process, by name.  Empty in a cold one; a warm server fills it before
# its first fork.  The only state of a module in this package.
_resident: "dict[bytes, Main]" = {}

# errors of execve that say: it is not here, look on along PATH
ELSEWHERE = (errno.ENOENT, errno.ENOTDIR, errno.EACCES)
# ... and those that may pass: whoever waits for the program must not take them for its answer
MAY_PASS = (errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ETXTBSY, errno.ESTALE)

ALL_DESCRIPTORS = 1024          # where /proc does not say which there are

CATCHABLE = tuple(n for n in range(1, 32) if n not in (_signal.SIGKILL, _signal.SIGSTOP))


class Next:
    """Run `argv` with `env` instead of me; with the directory `root` as its root, and in it, if there is one; for
    `user`, a uid and a gid, in the directory `home`, if there is one.  A process has no way back from either."""

    def __init__(self, argv: "list[bytes]", env: "Env", root: bytes = b"", user: "tuple[int, int] | None" = None,
                 home: bytes = b"") -> None:
        self.argv = argv
        self.env = env
        self.root = root
        self.user = user
        self.home = home


def launch(main: "Main") -> None:
    """The whole of a cold program: call `main` with this process's arguments, do what it returns."""
    gc.freeze()                                 # the script switched it off until all is loaded
    gc.enable()
    encoding = sys.getfilesystemencoding()
    argv = [arg.encode(encoding, "surrogateescape") for arg in sys.argv]
    env = dict(calls.environ)
    if env.get(b"LC_CTYPE") == b"C.UTF-8" and not _was_given(b"LC_CTYPE"):
        del env[b"LC_CTYPE"]            # Python's own doing (PEP 538), not for the programs we start
    _follow(run(main, argv, env))


def become(argv: "list[bytes]", env: "Env") -> None:
    """Turn this process into the program argv[0].  Never returns.  For the child side of a fork."""
    _follow(Next(argv, env))


def make_resident(programs: "dict[bytes, Main]") -> None:
    """From now on the programs named in `programs` are called, not executed."""
    _resident.update(programs)


def resident(program: bytes, path: bytes) -> "Main | None":
    """The main of `program` if that word, looked up along `path` as execvp would, names a program of
    this home that is loaded here."""
    if not _resident:
        return None
    name = program.rpartition(b"/")[2]
    if name not in _resident:
        return None
    ours = vqhome.path(b"bin/" + name)
    if program == ours:
        return _resident[name]
    candidates = [program] if b"/" in program else [each + b"/" + name for each in path.split(b":")]
    for candidate in candidates:
        if candidate == ours:
            return _resident[name]
        try:
            found = calls.stat(candidate)
            own = calls.stat(ours)
        except OSError:
            continue
        same = (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)
        return _resident[name] if same else None
    return None


def run(main: "Main", argv: "list[bytes]", env: "Env") -> "int | Next":
    """Call `main`; a failure or a bug becomes an exit code and one line in the log."""
    try:
        return main(argv, env)
    except codes.Failure as failure:
        log.line(log.name_of(argv), str(failure))
        return failure.code
    except MemoryError:
        log.line(log.name_of(argv), "out of memory; give it a higher limit or a smaller message")
        return codes.TEMPORARY
    except Exception as bug:  # noqa: BLE001  the last line of defence: never a success, never text to a peer
        trace = bug.__traceback__
        while trace and trace.tb_next:
            trace = trace.tb_next
        where = "%s:%d" % (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace else "?"
        log.line(log.name_of(argv), "internal error: %s: %s at %s" % (type(bug).__name__, bug, where))
        return codes.TEMPORARY


def call(main: "Main", argv: "list[bytes]", env: "Env") -> int:
    """Run a loaded program inside this process and return its exit code; whatever it makes of itself
    by Next runs here too if it is loaded, otherwise in a child."""
    outcome = here(main, argv, env)
    return apart(outcome) if isinstance(outcome, Next) else outcome


def here(main: "Main", argv: "list[bytes]", env: "Env") -> "int | Next":
    """As call(), but what cannot be run in this process is returned: it is not loaded, or has another root or user."""
    outcome = run(main, argv, env)
    while isinstance(outcome, Next) and not outcome.root and outcome.user is None:
        following = resident(outcome.argv[0], outcome.env.get(b"PATH", b""))
        if following is None:
            break
        outcome = run(following, outcome.argv, outcome.env)
    return outcome


def apart(following: Next) -> int:
    """Run it in a child; the exit code."""
    child = calls.fork()
    if child == 0:
        _follow(following)
    _, status = calls.waitpid(child, 0)
    return status >> 8 if status & 127 == 0 else codes.TEMPORARY


def _was_given(name: bytes) -> bool:
    """Whether this process was started with the variable `name`."""
    try:
        given = fd.read_file(b"/proc/self/environ", 1 << 24)
    except (OSError, ValueError):
        return True
    return b"\0" + name + b"=" in b"\0" + given


def _follow(outcome: "int | Next") -> None:
    while isinstance(outcome, Next):
        main = resident(outcome.argv[0], outcome.env.get(b"PATH", b""))     # before it is out of sight
        if main is not None:
            _undo_as_exec_does()
        if not _enter(outcome):
            outcome = codes.TEMPORARY
        elif main is None:
            outcome = _execute(outcome.argv, outcome.env)
        else:
            outcome = run(main, outcome.argv, outcome.env)
    calls._exit(outcome)


def _enter(following: Next) -> bool:
    """Have its root, its user and its directory; False, and a line in the log, if that cannot be."""
    directory = following.root
    try:
        if following.root:
            calls.chdir(directory)
            calls.chroot(b".")
        # ---- root above, the user below ----
        if following.user is not None:
            priv.drop_to(*following.user)
        if following.home:
            directory = following.home
            calls.chdir(directory)
    except codes.Failure as failure:
        log.line(log.name_of(following.argv), str(failure))
        return False
    except OSError as error:
        log.line(log.name_of(following.argv), b"cannot enter %s: %s" % (directory, (error.strerror or "").encode()))
        return False
    return True


def _execute(argv: "list[bytes]", env: "Env") -> int:
    # Python ignores these two and would pass that on: a pipe of our user's programs would never end.
    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    _signal.signal(_signal.SIGXFSZ, _signal.SIG_DFL)
    program = argv[0]
    candidates = [program] if b"/" in program else [
        (directory or b".") + b"/" + program
        for directory in env.get(b"PATH", b"/usr/local/bin:/usr/bin:/bin").split(b":")]
    why: OSError | ValueError | None = None
    for candidate in candidates:
        try:
            _execute_file(candidate, argv, env)
        except (OSError, ValueError) as error:      # ValueError: a NUL in an argument
            further = getattr(error, "errno", None) in ELSEWHERE
            if not further or why is None or isinstance(why, FileNotFoundError):
                why = error
            if not further:
                break
    log.line(log.name_of(argv), "cannot run it: %s" % (getattr(why, "strerror", None) or why))
    if getattr(why, "errno", None) in MAY_PASS:
        return codes.TEMPORARY
    return codes.EXEC_NOT_FOUND if isinstance(why, FileNotFoundError) else codes.EXEC_WOULD_NOT_START


def _execute_file(path: bytes, argv: "list[bytes]", env: "Env") -> None:
    try:
        calls.execve(path, argv, env)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        # a script without #!, which execvp, and so every shell and qmail, gives to the shell
        calls.execve(b"/bin/sh", [b"/bin/sh", path, *argv[1:]], env)


def _undo_as_exec_does() -> None:
    try:
        numbers: "Iterable[int]" = [int(each) for each in calls.listdir(b"/proc/self/fd")]
    except FileNotFoundError:                   # below another root (Next)
        numbers = range(ALL_DESCRIPTORS)
    for each in numbers:
        try:
            if not calls.get_inheritable(each):
                calls.close(each)
        except OSError:         # the descriptor that listdir itself used
            continue
    for caught in CATCHABLE:
        if callable(_signal.getsignal(caught)):
            _signal.signal(caught, _signal.SIG_DFL)
    _signal.set_wakeup_fd(-1)
