"""Servers that follow a script, certificates for them, and vq-remote cold and warm."""

import json
import pathlib
import shutil
import socket
import ssl
import subprocess
import threading
import time
import typing

import support

from vqmail.setup import install

TEXT = object()                 # read a message up to its final dot
CLOSE = object()                # hang up
SILENCE = object()              # say nothing until the client hangs up
Step = typing.Union[bytes, str, ssl.SSLContext, object, typing.Callable[["Peer"], None]]

# The warm process: one delivery after another to the targets that the test names, then what it kept is closed.
WARM = """\
import json, os, sys
sys.path.insert(0, sys.argv[1])
from vqmail.outgoing import delivery, kept, mx, route
class Names:
    def targets(self, route):
        return [mx.Target(address.encode(), name.encode()) for address, name in job["targets"]]
world = json.load(sys.stdin)
if world["smtps"]:                                              # as if the port were 465
    find = route.Tables.find
    def smtps(*arguments, **more):
        found = find(*arguments, **more)
        found.tls = route.SMTPS
        return found
    route.Tables.find = smtps
before = os.listdir("/proc/self/fd")
links = kept.Kept(world["idle"], world["uses"])
for job in world["jobs"]:
    message = os.open(job["message"], os.O_RDONLY)
    text = delivery.deliver(b"x.test", job["sender"].encode(), [each.encode() for each in job["recipients"]], message, Names(),
                            links)
    os.close(message)
    print(json.dumps(text.decode("latin-1")), flush=True)
links.close()
assert before == os.listdir("/proc/self/fd"), "a descriptor was left open"
"""


class Peer:
    """One connection to a server: what the client said, line by line, and the messages it sent."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock: socket.socket = sock
        self.lines: list[str] = []
        self.texts: list[bytes] = []
        self.tls = False
        self.source = str(sock.getpeername()[0])
        self._buffer = b""

    def run(self, script: "typing.Sequence[Step]") -> None:
        """Follow `script`, then wait for the client's end."""
        for step in script:
            if isinstance(step, bytes):
                self.sock.sendall(step)
            elif isinstance(step, str):
                line = self.line()
                self.lines.append(line)
                if not line.startswith(step):
                    return
            elif step is TEXT:
                self.texts.append(self.until(b"\r\n.\r\n"))
            elif step is CLOSE:
                return
            elif step is SILENCE:
                break
            elif isinstance(step, ssl.SSLContext):
                self.sock = step.wrap_socket(self.sock, server_side=True)
                self.tls = True
            else:
                assert callable(step)
                step(self)
        while line := self.line():
            self.lines.append(line)

    def line(self) -> str:
        return self.until(b"\n").decode("latin-1").rstrip("\r\n")

    def until(self, end: bytes) -> bytes:
        """What the client says up to `end`, less if it hangs up."""
        begun = b"\r\n" if end == b"\r\n.\r\n" else b""         # the line of DATA ended so
        while end not in begun + self._buffer:
            got = self.sock.recv(65536)
            if not got:
                break
            self._buffer += got
        text, found, self._buffer = (begun + self._buffer).partition(end)
        return (text + found)[len(begun):]


class Server:
    """Follows scripts[0] on its first connection, scripts[1] on its second, and the last one from there on."""

    def __init__(self, *scripts: "typing.Sequence[Step]", address: str = "127.0.0.1", port: int = 0) -> None:
        self.peers: list[Peer] = []
        self._scripts = scripts
        self._listener = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            peer = Peer(sock)
            self.peers.append(peer)
            script = self._scripts[min(len(self.peers), len(self._scripts)) - 1]
            thread = threading.Thread(target=self._serve, args=(peer, script))
            self._threads.append(thread)
            thread.start()

    @staticmethod
    def _serve(peer: Peer, script: "typing.Sequence[Step]") -> None:
        peer.sock.settimeout(60)
        try:
            peer.run(script)
        except OSError:                         # the client has gone, or its TLS failed
            pass
        finally:
            peer.sock.close()

    def close(self) -> None:
        """Stop, and wait for the connections' ends."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._threads:
            each.join(60)


class World:
    """A home that sends mail, and the servers it sends to."""

    def __init__(self, home: support.Home) -> None:
        self.home = home
        for each in (home.path / "control").iterdir():          # of the test before
            each.rmdir() if each.is_dir() else each.unlink()
        shutil.rmtree(home.path / "scratch", ignore_errors=True)
        for name in ("tcpto", "tcpto6"):
            table = home.path / "queue/lock" / name
            table.write_bytes(bytes(table.stat().st_size))
        self.servers: list[Server] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        home.control("me", "host.test\n")
        home.control("timeoutremote", "20\n")
        home.control("timeoutconnect", "20\n")

    def serve(self, *scripts: "typing.Sequence[Step]", address: str = "127.0.0.1", port: int = 0) -> Server:
        """A server that all mail goes to."""
        server = Server(*scripts, address=address, port=port)
        self.servers.append(server)
        self.route(server.port, f"[{address}]" if ":" in address else address)
        return server

    def route(self, port: int, address: str = "127.0.0.1") -> None:
        """All mail goes there."""
        self.home.control("smtproutes", f":{address}:{port}\n")

    def start(self, argv: "list[str]", **options: "typing.Any") -> "subprocess.Popen[bytes]":
        """A server that is a program; ended with the test."""
        process: subprocess.Popen[bytes] = subprocess.Popen(argv, stdin=subprocess.DEVNULL, **options)
        self._processes.append(process)
        return process

    def tcpserver(self, argv: "list[str]", **env: str) -> None:
        """All mail goes to a program behind the real tcpserver, run as the home's user."""
        uid, gid = support.single_ids()
        process = self.start(["/usr/bin/tcpserver", "-1", "-H", "-R", "-l", "mx.x.test", "127.0.0.1", "0", *argv],
                             stdout=subprocess.PIPE, user=uid, group=gid, extra_groups=[],
                             env={"PATH": f"{self.home.path}/bin:/usr/bin:/bin:/usr/sbin"} | env)
        assert process.stdout
        self.route(int(process.stdout.readline()))

    def send(self, message: bytes = b"Subject: x\n\nhello\n", recipients: "typing.Sequence[str]" = ("bob@x.test",),
             sender: str = "ann@a.test", host: str = "x.test", **options: "typing.Any") -> bytes:
        """What vq-remote says, cold."""
        done = self.home.run(["vq-remote", host, sender, *recipients], message, **options)
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout

    def send_all(self, *jobs: "tuple[list[tuple[str, str]], bytes]", idle: float = 30, uses: int = 100,
                 smtps: bool = False) -> "list[bytes]":
        """What one warm process says to each of (targets, message), in which it keeps connections."""
        made = []
        for number, (targets, message) in enumerate(jobs):
            path = self.home.write(f"scratch/message{number}", message)
            made.append({"targets": targets, "message": str(path), "sender": "ann@a.test", "recipients": ["bob@x.test"]})
        uid, gid = support.single_ids()
        done = subprocess.run([install.interpreter(), "-IS", "-c", WARM, str(self.home.path / "lib")],
                              input=json.dumps({"idle": idle, "uses": uses, "smtps": smtps, "jobs": made}).encode(), capture_output=True, timeout=100, check=False, user=uid, group=gid, extra_groups=[])
        assert (done.returncode, done.stderr) == (0, b"")
        return [json.loads(each).encode("latin-1") for each in done.stdout.splitlines()]

    def close(self) -> None:
        """End what was started."""
        while self.servers:
            self.servers.pop().close()
        while self._processes:
            process = self._processes.pop()
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()


def free_port(address: str = "127.0.0.1") -> int:
    """A port that nobody listens on."""
    with socket.create_server((address, 0)) as sock:
        return int(sock.getsockname()[1])


def wait_for(port: int) -> None:
    """Return when something listens there."""
    deadline = time.monotonic() + 100
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "nobody listens"
            time.sleep(0.02)
        else:
            return


