"""One connection, from the moment it was accepted to the program: in a worker, or in a child of its own.

Whatever may take its time is done here, not where connections are accepted: names, ident, the rules.
"""

import _socket

from vqmail import codes
from vqmail.formats import tcprules
from vqmail.store import cdb
from vqmail.unix import calls, chain, fd, log
from vqmail.warm import world

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env
    from vqmail.warm.tcpoptions import Options

NAME = b"tcpserver"             # what the log lines begin with: fail2ban and the like know it
UNSAFE = b"%:"                  # a log line has fields with : between them
SAFE = bytes(byte if 33 <= byte <= 126 and byte not in UNSAFE else ord("?") for byte in range(256))
FIELD_LIMIT = 100
TLS = b"vq-tls"
DENIED = codes.PERMANENT


class Connections:
    """What is done with each connection of a server."""

    def __init__(self, options: "Options", family: int, env: "Env") -> None:
        self._options = options
        self._family = family
        self._env = env
        self._main = chain.resident(options.program[0], env.get(b"PATH", b""))
        self._local_names: dict[bytes, bytes] = {}      # ours, not a client's: nothing of a connection is kept

    def is_program(self, name: bytes) -> bool:
        """Whether the program is our own `name`, without arguments; vq-tls may come before it."""
        program = self._options.program[self.in_tls:]
        return (len(program) == 1 and program[0].rpartition(b"/")[2] == name
                and chain.resident(program[0], self._env.get(b"PATH", b"")) is not None)

    @property
    def in_tls(self) -> bool:
        """Whether clients speak TLS from the first byte: the program comes behind our own vq-tls."""
        return self.warm and self._options.program[0].rpartition(b"/")[2] == TLS

    @property
    def warm(self) -> bool:
        """Whether the program is one that is loaded here."""
        return self._main is not None

    def run(self, packet: bytes, descriptors: "list[int]") -> "int | chain.Next":
        """Serve a connection in this process; the exit code of the program, or what goes on elsewhere (chain.here)."""
        assert self._main is not None
        try:
            env = self._begin(parse(packet), *descriptors)
        except (codes.Failure, OSError) as failure:
            return self._drop(failure)
        return DENIED if env is None else chain.here(self._main, list(self._options.program), env)

    def become(self, remote: "tuple[str, int]", descriptor: int) -> None:
        """Turn this process into the program, at the connection.  Never returns."""
        try:
            env = self._begin(remote, descriptor)
        except (codes.Failure, OSError) as failure:
            calls._exit(self._drop(failure))
        if env is None:
            calls._exit(DENIED)
        else:
            chain.become(self._options.program, env)

    def _drop(self, why: Exception) -> int:
        if not self._options.quiet:
            log.line(NAME, "warning: dropping connection, %s" % why)
        return codes.TEMPORARY

    def _begin(self, remote: "tuple[str, int]", descriptor: int) -> "Env | None":
        """Put the connection at 0 and 1 and find out about it; the program's environment, None if a rule denies it."""
        calls.dup2(descriptor, 0, inheritable=True)
        calls.dup2(descriptor, 1, inheritable=True)
        calls.close(descriptor)
        return self.meet(remote, 0, calls.getpid())

    @property
    def quick(self) -> bool:
        """Whether nothing is looked up for a connection that may take its time."""
        options = self._options
        return not (options.wants_name or options.wants_info or options.local_name is None)

    def meet(self, remote: "tuple[str, int]", descriptor: int, number: int) -> "Env | None":
        """Find out about the connection `descriptor`, which the log calls `number`; the program's environment, None if
        a rule denies it.  TryLater or OSError on trouble."""
        ends = world.Ends(self._local_end(descriptor), remote)
        options = self._options
        pid = b"%d" % number
        lines = b"tcpserver: pid %b from %b\n" % (pid, ends.remote_ip) if options.verbose else b""
        if lines and not self.quick:
            _write_log(lines)
            lines = b""
        if options.banner:
            fd.write_all(descriptor, options.banner)
        local_name = options.local_name if options.local_name is not None else self._local_name(ends.local_ip)
        name = world.name_of(ends.remote_ip, paranoid=options.paranoid) if options.wants_name else None
        info = world.info_of(ends, options.seconds) if options.wants_info else None
        try:
            allowed, variables = self._rule(ends, name, info)
        except codes.Failure:
            _write_log(lines)
            raise
        if options.verbose:
            _write_log(b"%btcpserver: %b %b %b:%b:%b %b:%b:%b:%b\n" % (
                lines, b"ok" if allowed else b"deny", pid,
                _field(local_name), ends.local_ip, ends.local_port,
                _field(name), ends.remote_ip, _field(info), ends.remote_port))
        if not allowed:
            return None
        env = world.environment(self._env, ends, local_name, name, info)
        for variable, value in variables.items():
            if value is not None:
                env[variable] = value
            else:
                env.pop(variable, None)
        return env

    def _local_end(self, descriptor: int) -> "tuple[str, int]":
        sock = _socket.socket(self._family, _socket.SOCK_STREAM, 0, descriptor)
        try:
            if self._family == _socket.AF_INET and not self._options.keeps_ip_options:
                try:
                    sock.setsockopt(_socket.IPPROTO_IP, _socket.IP_OPTIONS, None, 0)
                except OSError:                 # there are none, and this system does not know them
                    pass
            found: tuple[str, int] = sock.getsockname()
            return found
        finally:
            sock.detach()

    def _local_name(self, ip: bytes) -> "bytes | None":
        name = self._local_names.get(ip) or world.name_of(ip)
        if name is not None:
            self._local_names[ip] = name
        return name

    def _rule(self, ends: world.Ends, name: "bytes | None",
              info: "bytes | None") -> "tuple[bool, dict[bytes, bytes | None]]":
        """Ask the rules, which are opened anew for each connection: tcprules may have made new ones."""
        path = self._options.rules
        if path is None:
            return True, {}
        try:
            with cdb.Reader(path) as rules:
                for key in tcprules.keys(ends.remote_ip, name.lower() if name is not None else None, info):
                    data = rules.get(key)
                    if data is not None:
                        return tcprules.decode(data)
        except FileNotFoundError:
            if not self._options.lenient:
                raise codes.TryLater("unable to read %s: file does not exist; make it with tcprules, or give -X to let "
                                     "everybody in without it" % path.decode("utf-8", "replace")) from None
        except (OSError, ValueError) as error:
            raise codes.TryLater("unable to read %s: %s" % (path.decode("utf-8", "replace"), error)) from None
        return True, {}


def announce(remote: "tuple[str, int]") -> bytes:
    """What a worker is told about a connection: where it comes from."""
    return b"%d %s" % (remote[1], remote[0].encode("ascii"))


def parse(packet: bytes) -> "tuple[str, int]":
    """What announce() was told."""
    port, _, ip = packet.decode("ascii").partition(" ")
    return ip, int(port)


def _field(text: "bytes | None") -> bytes:
    """A name in a log line: it is a stranger's, and must not look like two fields or two lines."""
    if not text:
        return b""
    safe = text[:FIELD_LIMIT].translate(SAFE)
    return safe + b"..." if len(text) > FIELD_LIMIT else safe


def _write_log(lines: bytes) -> None:
    try:
        fd.write_all(2, lines)
    except OSError:                             # nobody reads the log: no reason not to serve
        return
