"""vq-tcpserver: run a program for each TCP connection; the programs of this home run warm.

SYNOPSIS    vq-tcpserver [-qQvpPhHrR1doODX] [-c max] [-x rules.cdb] [-B banner] [-u uid] [-g gid] [-U]
                         [-l localname] [-t seconds] [-b backlog] host port program [arg ...]

Keeps tcpserver's contract: 0 and 1 of program are the connection, the TCP* variables say who is at its
ends, rules made by tcprules allow, deny and set variables, -v logs status, pid, ok, deny and end lines.

A program of this home is not executed: worker processes have it loaded, and take one connection after
the other.  Any other program is executed for each connection, as by tcpserver.

host 0 is every IPv4 address, :: every IPv6 address (and IPv4 where the system maps it).

-c n    at most n connections at once, 40 without it
-x f    rules; a rule file that cannot be read denies all, with -X it allows all
-u -g   give up root for this uid and gid as soon as the port is ours; -U: those in $UID and $GID
-l n    the local name is n, no look-up for it
-h -H   look up the client's name (default), or not: only with -H and -R do programs run warm
-p -P   and look whether the name leads back (default not)
-r -R   ask the client's host who connects (default), or not; -t: for so many seconds, 26 without it
-1      print the local port on 1
-B s    write s at once
-q -Q -v    say errors only, errors (default), everything
-o -O -d -D are accepted: nothing is delayed, and no IP options are obeyed, anyway

EXIT        0   stopped by TERM, or the library was renewed
            100 wrong usage
            111 cannot listen

RUNS AS     root until the port is bound, then -u and -g

STANDARDS   tcpserver(1), tcp-environ(5), tcprules(1)
"""

import _signal
import _socket
import gc
import time

from vqmail import codes, vqhome
from vqmail.formats import job, tcprules
from vqmail.store import cdb
from vqmail.unix import calls, chain, fd, log, loop, priv
from vqmail.warm import pool, registry, stale, world

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

    from vqmail.unix.chain import Env

FLAGS = b"qQvpPhHrR1doODXU"
VALUES = b"cxBugltb"
USAGE = "usage: vq-tcpserver [options] host port program [arg ...]"
LOOK = 1.0                      # seconds between two looks at whether the library is new


class Options:
    """What the command line says.  GiveUp if it is wrong."""

    def __init__(self, argv: "list[bytes]", env: "Env") -> None:
        flags, values, rest = _parse(argv[1:])
        if len(rest) < 3:
            raise codes.GiveUp(USAGE)
        self.host, self.port, *self.program = rest
        self.verbose = flags.get(b"v", False)
        self.host_wanted = flags.get(b"h", True)
        self.paranoid = flags.get(b"p", False)
        self.info_wanted = flags.get(b"r", True)
        self.lenient = flags.get(b"X", False)
        self.print_port = flags.get(b"1", False)
        self.limit = _number(values, b"c", 40)
        self.backlog = _number(values, b"b", 128)
        self.seconds = _number(values, b"t", 26)
        self.rules = values.get(b"x")
        self.banner = values.get(b"B", b"")
        self.local_name = values.get(b"l")
        if flags.get(b"U"):
            values = {b"u": env.get(b"UID", b""), b"g": env.get(b"GID", b"")} | values
        self.uid = _number(values, b"u", -1)
        self.gid = _number(values, b"g", -1)


def _parse(words: "list[bytes]") -> "tuple[dict[bytes, bool], dict[bytes, bytes], list[bytes]]":
    """(flags, values, the rest).  A capital letter takes its small one back."""
    flags: dict[bytes, bool] = {}
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
                raise codes.GiveUp(USAGE)
            elif letter in b"PHR":
                flags[letter.lower()] = False
            elif letter in b"qQ":
                flags[b"v"] = False
            else:
                flags[letter] = True
    return flags, values, words


def _number(values: "dict[bytes, bytes]", name: bytes, default: int) -> int:
    text = values.get(name)
    if text is None:
        return default
    if not text.isdigit() or len(text) > 9:
        raise codes.GiveUp("-%s wants a number, not %r" % (name.decode(), text.decode("utf-8", "replace")))
    return int(text)


def main(argv: "list[bytes]", env: "Env") -> int:
    """Serve until TERM."""
    options = Options(argv, env)
    listener = _listen(options)
    if options.print_port:
        fd.write_all(1, b"%d\n" % listener.getsockname()[1])
    if options.uid >= 0 or options.gid >= 0:
        # ---- root above, the server's user below ----
        priv.drop_to(options.uid if options.uid >= 0 else calls.getuid(),
                     options.gid if options.gid >= 0 else calls.getgid())
    return Server(options, listener, env).run()


def _listen(options: Options) -> "socket":
    host = {b"0": "0.0.0.0", b"": "0.0.0.0"}.get(options.host) or options.host.decode("ascii", "replace")
    try:
        port = int(options.port) if options.port.isdigit() else _socket.getservbyname(options.port.decode(), "tcp")
        found = _socket.getaddrinfo(host, port, 0, _socket.SOCK_STREAM, 0, _socket.AI_PASSIVE)
        family, kind, _, _, address = found[0]
        listener = _socket.socket(family, kind)
        listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(options.backlog)
        listener.setblocking(False)
    except (OSError, UnicodeError) as error:
        raise codes.TryLater("cannot listen on %s port %s: %s; is another server there, or are we not root?" % (
            host, options.port.decode("ascii", "replace"), error)) from None
    return listener


class Server:
    """The connections that are open, and who serves them."""

    def __init__(self, options: Options, listener: "socket", env: "Env") -> None:
        self._options = options
        self._listener = listener
        self._env = env
        self._loop = loop.Loop()
        self._pool = pool.Pool(self._loop, options.limit)
        self._running = 0
        self._children: dict[int, None] = {}
        self._lines: list[bytes] = []
        self._stopping = False
        self._watch = stale.Watch()
        self._look_at = 0.0
        self._rules: cdb.Reader | None = None
        self._wake_out, self._wake_in = calls.pipe2(calls.O_CLOEXEC | calls.O_NONBLOCK)
        chain.make_resident(registry.network())
        program = options.program[0]
        main_of = chain.resident(program, env.get(b"PATH", b""))
        self._warm = main_of is not None and not options.host_wanted and not options.info_wanted
        if self._warm:
            name = program.rpartition(b"/")[2]
            options.program[0] = vqhome.path(b"bin/" + name)

    def run(self) -> int:
        """Accept until told to stop; those who are being served are served to their end."""
        for number in (_signal.SIGTERM, _signal.SIGCHLD):
            _signal.signal(number, self._signal)
        _signal.set_wakeup_fd(self._wake_in)
        self._loop.watch(self._wake_out, self._wake)
        self._loop.watch(self._listener.fileno(), self._accept)
        gc.collect()
        gc.freeze()
        self._status()
        while not self._stopping:
            self._write()
            self._loop.turn(None)
        self._write()
        return codes.OK                         # workers finish what they have: they see our end, then exit

    def _signal(self, number: int, _frame: object) -> None:
        if number == _signal.SIGTERM:
            self._stopping = True

    def _wake(self) -> None:
        calls.read(self._wake_out, 4096)
        while self._children:
            pid, status = calls.waitpid(-1, calls.WNOHANG)
            if pid == 0:
                return
            if pid in self._children:
                del self._children[pid]
                self._ended(pid, status)

    def _accept(self) -> None:
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK
            if self._watch.changed():
                self._stopping = True
                return
        while self._running < self._options.limit:
            try:
                number, remote = self._listener._accept()  # type: ignore[attr-defined]  # socket.socket costs 11 ms
            except BlockingIOError:
                return
            except OSError as error:            # the client is gone already, or there are no descriptors left
                log.line(b"tcpserver", "cannot accept: %s" % error.strerror)
                return
            self._serve(number, remote)
        self._loop.forget(self._listener.fileno())

    def _serve(self, number: int, remote: "tuple[str, int]") -> None:
        sock = _socket.socket(fileno=number)
        try:
            sock.setblocking(True)
            sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)    # or each reply may wait for 40 ms
            ends = world.Ends(sock.getsockname(), remote)
        except OSError:
            sock.close()
            return
        sock.detach()
        self._running += 1
        self._status()
        env = ends.env(self._env, self._options.local_name)
        if not self._warm:
            self._execute(number, ends, env)
            return
        if not self._allowed(env, ends, None, None):
            calls.close(number)
            self._say_who(calls.getpid(), ends, allowed=False)
            self._ended(calls.getpid(), 100 << 8)
            return
        if self._options.banner:
            calls.write(number, self._options.banner)       # nothing was sent yet: it cannot block
        pid = self._pool.submit(None, job.encode(self._options.program, env, b"0,1"), [number, calls.dup(number)],
                                lambda code: self._ended(pid, code << 8 if code >= 0 else -code))
        self._say_who(pid, ends, allowed=True)

    def _execute(self, number: int, ends: world.Ends, env: "Env") -> None:
        """A child that looks up what is to be looked up, and then becomes the program."""
        pid = calls.fork()
        if pid:
            calls.close(number)
            self._children[pid] = None
            return
        try:
            self._loop.close()
            _signal.set_wakeup_fd(-1)
            for each in (_signal.SIGTERM, _signal.SIGCHLD):
                _signal.signal(each, _signal.SIG_DFL)
            options = self._options
            host = world.host_of(ends.remote_ip, paranoid=options.paranoid) if options.host_wanted else None
            info = world.info_of(ends, options.seconds) if options.info_wanted else None
            for name, value in zip(world.NAMES, (host, info), strict=True):
                if value:
                    env[name] = value
            allowed = self._allowed(env, ends, host, info)
            self._say_who(calls.getpid(), ends, allowed=allowed, host=host or b"", info=info or b"")
            self._write()
            if allowed:
                fd.move(0, number)
                calls.dup2(0, 1, inheritable=True)
                fd.write_all(1, options.banner)
                chain.become(options.program, env)
            calls._exit(100)
        finally:
            calls._exit(codes.TEMPORARY)

    def _allowed(self, env: "Env", ends: world.Ends, host: "bytes | None", info: "bytes | None") -> bool:
        """Ask the rules; sets what they set in `env`."""
        if self._options.rules is None:
            return True
        try:
            if self._rules is None or self._rules.identity() != cdb.identity(self._options.rules):
                if self._rules is not None:
                    self._rules.close()
                self._rules = cdb.Reader(self._options.rules)
            for key in tcprules.keys(ends.remote_ip, host, info):
                data = self._rules.get(key)
                if data is not None:
                    allowed, variables = tcprules.decode(data)
                    env.update(variables)
                    return allowed
        except (OSError, ValueError) as error:
            if isinstance(error, FileNotFoundError) and self._options.lenient:
                return True
            log.line(b"tcpserver", b"cannot use %s: %s; tcprules makes it" % (self._options.rules, str(error).encode()))
            return False
        return True

    def _say_who(self, pid: int, ends: world.Ends, *, allowed: bool, host: bytes = b"", info: bytes = b"") -> None:
        if self._options.verbose:
            local = self._options.local_name or b""
            self._lines.append(b"tcpserver: pid %d from %s\n" % (pid, ends.remote_ip))
            self._lines.append(b"tcpserver: %s %d %s:%s:%s %s:%s:%s:%s\n" % (
                b"ok" if allowed else b"deny", pid, local, ends.local_ip, ends.local_port,
                host, ends.remote_ip, info, ends.remote_port))

    def _ended(self, pid: int, status: int) -> None:
        if self._running == self._options.limit:
            self._loop.forget(self._listener.fileno())
            self._loop.watch(self._listener.fileno(), self._accept)
        self._running -= 1
        if self._options.verbose:
            self._lines.append(b"tcpserver: end %d status %d\n" % (pid, status))
        self._status()

    def _status(self) -> None:
        if self._options.verbose:
            self._lines.append(b"tcpserver: status: %d/%d\n" % (self._running, self._options.limit))

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        if lines:
            try:
                fd.write_all(2, b"".join(lines))
            except OSError:                     # nobody reads the log; that is no reason not to serve
                return

