"""What the administrators' commands share.

A command is a module with

    def main(argv, env):                    return command.run(serve, argv, env)
    def serve(argv, env, caller) -> int     does it, for `caller`, with the rights of root

Root runs serve() right here.  For anybody else the local service `vq-service admin` runs the same function, in a
process of its own, with the caller's descriptors: 0, 1, 2, and his terminal as 3, if there is one, for passwords.
The caller chooses all of the arguments; what he may do is for serve() to ask `caller`.

Whatever is written for the caller to see is written when no lock is held: he might not read it.
"""

import importlib
import json
import pathlib
import signal

from vqmail import codes, vqhome
from vqmail.admin import caller
from vqmail.formats import job
from vqmail.store import roles
from vqmail.unix import calls, fd, limits, sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vqmail.unix.chain import Env

    Serve = Callable[[list[bytes], Env, caller.Caller], int]

SOCKET = vqhome.path(b"run/admin/socket")
TERMINAL = 3                    # the descriptor
HANDED = (b"TERM", b"NO_COLOR", b"COLUMNS")     # of the caller's environment
COMMANDS = {b"vq-domain": "domain_command", b"vq-user": "user_command", b"vq-alias": "alias_command",
            b"vq-passwd": "passwd_command", b"vq-quota": "quota_command"}


def run(serve: "Serve", argv: "list[bytes]", env: "Env") -> int:
    """Do what `argv` says, here if we have the rights, by the service otherwise; the exit code."""
    limits.no_core()                            # there may be a password in it
    terminal = _terminal()
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if calls.geteuid() == 0 or roles.single_user():
            if terminal > TERMINAL:
                calls.dup2(terminal, TERMINAL, inheritable=False)
            return serve(argv, env, caller.Caller(calls.geteuid()))
        return _ask(argv, env, terminal)
    except KeyboardInterrupt:
        raise codes.TryLater("interrupted") from None
    finally:
        if terminal >= 0:
            calls.closerange(TERMINAL, terminal + 1)


def encode(text: "str | None") -> bytes:
    """An argument as it was given."""
    return (text or "").encode("utf-8", "surrogateescape")


def show(value: object) -> None:
    """Write a value as JSON; bytes in it are text."""
    say(json.dumps(_plain(value), indent=2, ensure_ascii=False).encode("utf-8", "surrogateescape"))


def say(text: "bytes | str") -> None:
    """Write a line to the caller, who may have gone.  TryLater if it cannot be written: what was done is done."""
    if isinstance(text, str):
        text = text.encode("utf-8", "surrogateescape")
    try:
        fd.write_all(1, text + b"\n")
    except BrokenPipeError:
        return
    except OSError as error:
        raise codes.TryLater("cannot write the answer: %s" % error.strerror) from None


def served() -> "dict[bytes, Serve]":
    """serve() of each command that the service runs for everybody: ours, and other systems' under their own names."""
    found: dict[bytes, Serve] = {}
    here = pathlib.Path(__file__).parent
    names = {name: "admin." + module for name, module in COMMANDS.items() if (here / (module + ".py")).is_file()}
    for each in sorted((here.parent / "faces").glob("*.py")):
        names[each.stem.replace("_", "-").encode()] = "faces." + each.stem
    for name, module in names.items():
        serve = getattr(importlib.import_module("vqmail." + module), "serve", None)
        if serve is not None:
            found[name] = serve
    return found


def _ask(argv: "list[bytes]", env: "Env", terminal: int) -> int:
    """Have the service do it."""
    name = argv[0].rpartition(b"/")[2]
    descriptors = [0, 1, 2]
    targets = b"0,1,2"
    if terminal >= 0:
        descriptors.append(terminal)
        targets += b",%d" % TERMINAL
    try:
        service = sockets.connect(SOCKET)
    except OSError as error:
        raise codes.TryLater("no service at %s: %s; is the service `admin` up? (root needs none)" % (
            SOCKET.decode(), error.strerror)) from None
    try:
        handed = {each: env[each] for each in HANDED if each in env}
        sockets.send(service, job.encode([name, *argv[1:]], handed, targets), descriptors)
        code = service.recv(sockets.PACKET)
    except OSError as error:
        raise codes.TryLater("the service at %s does not answer: %s" % (SOCKET.decode(), error.strerror)) from None
    finally:
        service.close()
    if not code.isdigit():
        raise codes.TryLater("the service at %s ended in the middle; look at its log" % SOCKET.decode())
    return int(code)


def _terminal() -> int:
    """The terminal we are run from, open; -1 if there is none."""
    try:
        return calls.open(b"/dev/tty", calls.O_RDWR | calls.O_NOCTTY | calls.O_CLOEXEC)
    except OSError:
        return -1


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, dict):
        return {_plain(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        plain = [_plain(each) for each in value]
        return sorted(plain, key=str) if isinstance(value, (set, frozenset)) else plain
    return value
