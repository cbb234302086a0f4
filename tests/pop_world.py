"""vq-popup, vq-checkpassword and vq-pop3d in an installation under a single user, cold (a process for each run) and
warm (one process for all)."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import typing
import warnings

import support

from vqmail.setup import install

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import crypt

# The warm process: the first line of a connection says what to run on it; the code and what was left open are answered
# on another one.
WARM = """\
import json, os, socket, sys
sys.path.insert(0, sys.argv[1])
from vqmail.prog import checkpassword, pop3d, popup
from vqmail.unix import chain
chain.make_resident({b"vq-popup": popup.main, b"vq-checkpassword": checkpassword.main, b"vq-pop3d": pop3d.main})
listener = socket.socket(fileno=os.dup2(int(sys.argv[2]), 20, inheritable=False))
os.close(int(sys.argv[2]))
null = os.dup2(os.open("/dev/null", os.O_RDWR), 30, inheritable=False)
for number in range(3, 10):                     # ours are above, that 3 may be given
    os.dup2(null, number, inheritable=False)
while True:
    answer, _ = listener.accept()
    connection, _ = listener.accept()
    row = b""
    while not row.endswith(b"\\n"):
        row += connection.recv(1)
    job = json.loads(row)
    argv = [os.fsencode(each) for each in job["argv"]]
    env = {os.fsencode(name): os.fsencode(value) for name, value in job["env"].items()}
    for number in (0, 1):
        os.dup2(connection.fileno(), number)
    connection.close()
    os.chdir(job["directory"])
    if job["three"] is None:
        os.close(3)
    before = sorted(os.listdir("/proc/self/fd")), os.umask(0o022)
    if job["three"] is not None:
        out, into = os.pipe()
        os.write(into, bytes.fromhex(job["three"]))
        os.close(into)
        os.dup2(out, 3)
        os.close(out)
    code = chain.call(chain.resident(argv[0], b""), argv, env)
    if job["three"] is not None:
        os.dup2(null, 3, inheritable=False)     # whether it was closed is for the next program to see
    after = sorted(os.listdir("/proc/self/fd")), os.umask(0o022)
    os.dup2(null, 3, inheritable=False)
    for number in (0, 1):
        os.dup2(null, number)
    answer.sendall(b"%d %s" % (code, b"" if before == after else repr((before, after)).encode()))
    answer.close()
"""


class Session:
    """A program that talks to us."""

    def __init__(self, sock: socket.socket, wait: "typing.Callable[[], int]", pid: int) -> None:
        self.sock = sock
        self.pid = pid
        self._wait = wait
        self._code: int | None = None
        self._buffer = b""
        sock.settimeout(60)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def line(self) -> bytes:
        """The next line from it; b"" at the end."""
        while b"\n" not in self._buffer:
            data = self._receive()
            if not data:
                break
            self._buffer += data
        said, newline, self._buffer = self._buffer.partition(b"\n")
        return said + newline

    def ask(self, command: bytes) -> bytes:
        """The first line of the answer to one command."""
        self.send(command + b"\r\n")
        return self.line()

    def rest(self) -> bytes:
        """What it still says before it closes."""
        said, self._buffer = self._buffer, b""
        while data := self._receive():
            said += data
        return said

    def code(self) -> int:
        """Hang up; its exit code."""
        self.sock.close()
        if self._code is None:
            self._code = self._wait()
        return self._code

    def _receive(self) -> bytes:
        try:
            return self.sock.recv(65536)
        except ConnectionResetError:            # it closed without reading everything
            return b""


class World:
    """Two domains; on demand messages, clients, and checkers of our own."""

    def __init__(self, home: support.Home, *, warm: bool) -> None:
        self.home = home
        self.warm = warm
        self.virtual = home.path / "virtual"
        self.log_path = home.path.parent / "log"
        self.log_path.touch()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._sessions: list[Session] = []
        self._warm_path: pathlib.Path | None = None
        self._passwords: dict[str, dict[str, str]] = {}
        home.control("virtualroot", f"{self.virtual}\n")
        home.control("minuid", "1\n")
        home.control("passwordscheme", "keep\n")        # we write the passwd files ourselves, without a lock
        home.control("virtualdomains", "example.test:one\nother.test:two\n")
        self.user("example.test", "ann", "one two ")
        self.user("example.test", "bob", "secret")
        self.user("other.test", "bob", "other")

    def user(self, domain: str, name: str, password: "str | None" = None, stored: str = "") -> pathlib.Path:
        """Make or change a virtual user; the home."""
        uid, gid = support.single_ids()
        self._passwords.setdefault(domain, {})[name] = stored or crypt.crypt(password or "", "$6$rounds=1000$saltsalt")
        self.home.write(f"virtual/{domain}/etc/passwd", "".join(
            f"{each}:{hashed}:{uid}:{gid}::home/{each}:/bin/false\n" for each, hashed in self._passwords[domain].items()))
        directory = self.virtual / domain / "home" / name
        for each in (directory.parent, directory, directory / "Maildir", *(
                directory / "Maildir" / each for each in ("new", "cur", "tmp"))):
            if not each.exists():
                each.mkdir()
                os.chown(each, uid, gid)
        return directory

    def put(self, name: str, text: bytes, user: str = "ann", domain: str = "example.test") -> pathlib.Path:
        """A message; `name` begins with new/ or cur/."""
        return self.home.write(f"virtual/{domain}/home/{user}/Maildir/{name}", text, 0o600)

    def files(self, user: str = "ann", domain: str = "example.test") -> "list[str]":
        """The messages of a user."""
        maildir = self.virtual / domain / "home" / user / "Maildir"
        return sorted(str(each.relative_to(maildir)) for each in maildir.rglob("*") if each.is_file())

    def checker(self, text: str) -> str:
        """A checkpassword program of our own, in sh."""
        return str(self.home.write("scratch/checker", "#!/bin/sh\n" + text, 0o755))

    def popup(self, *checker: str, **env: str) -> Session:
        """vq-popup with our programs behind it, or with `checker`."""
        return self.run(["vq-popup", "pop.example.test", *(checker or (
            self.home.bin("vq-checkpassword"), self.home.bin("vq-pop3d"), "Maildir"))], env)

    def pop3d(self, user: str = "ann", domain: str = "example.test", maildir: str = "Maildir") -> Session:
        """vq-pop3d as after a login."""
        return self.run(["vq-pop3d", maildir], {"USER": f"{user}@{domain}"}, self.virtual / domain / "home" / user)

    def run(self, argv: "list[str]", env: "dict[str, str]", directory: "pathlib.Path | None" = None,
            three: "bytes | None" = None) -> Session:
        """A program of ours on a connection; `three` is what it can read on descriptor 3."""
        argv = [self.home.bin(argv[0]), *argv[1:]]
        env = {"PATH": f"{self.home.path}/bin:/usr/bin:/bin", "TCPREMOTEIP": "192.0.2.1", "TCPLOCALIP": "192.0.2.9"} | env
        start = self._run_warm if self.warm else self._run_cold
        session = start(argv, env, directory or self.home.path, three)
        self._sessions.append(session)
        return session

    def checkpassword(self, three: "bytes | None", *program: str, **env: str) -> "tuple[int, bytes]":
        """(exit code, what the program behind vq-checkpassword wrote)."""
        session = self.run(["vq-checkpassword", *program], env, None, three)
        session.sock.shutdown(socket.SHUT_WR)
        said = session.rest()
        return session.code(), said

    def log(self) -> str:
        """All that was logged."""
        return self.log_path.read_text()

    def hang_up(self) -> None:
        """Let no session outlive its test: the warm process has one at a time.  See that each left nothing behind."""
        while self._sessions:
            self._sessions.pop().code()

    def close(self) -> None:
        """End what was started."""
        for each in self._processes:
            each.kill()
            each.wait()

    def _run_cold(self, argv: "list[str]", env: "dict[str, str]", directory: pathlib.Path,
                  three: "bytes | None") -> Session:
        ours, theirs = socket.socketpair()
        options: dict[str, typing.Any] = {}
        if three is not None:
            out, into = os.pipe()
            os.write(into, three)
            os.close(into)
            options = {"preexec_fn": lambda: os.dup2(out, 3), "pass_fds": (3,)}
        with theirs:
            process = self._start(argv, env, stdin=theirs, stdout=theirs, cwd=directory, **options)
        if three is not None:
            os.close(out)
        return Session(ours, lambda: process.wait(60), process.pid)

    def _run_warm(self, argv: "list[str]", env: "dict[str, str]", directory: pathlib.Path,
                  three: "bytes | None") -> Session:
        if self._warm_path is None:
            self._warm_path = self.home.path.parent / "socket"
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(os.fsencode(self._warm_path))
                listener.listen()
                self._start([install.interpreter(), "-IS", "-c", WARM, str(self.home.path / "lib"), str(listener.fileno())],
                            {}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=(listener.fileno(),))
        answer, ours = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        for each in (answer, ours):
            each.connect(os.fsencode(self._warm_path))
        ours.sendall(json.dumps({"argv": argv, "env": env, "directory": str(directory),
                                 "three": None if three is None else three.hex()}).encode() + b"\n")
        return Session(ours, lambda: _code(answer), self._processes[-1].pid)

    def _start(self, argv: "list[str]", env: "dict[str, str]", **options: "typing.Any") -> "subprocess.Popen[bytes]":
        uid, gid = support.single_ids()
        who = {"user": uid, "group": gid, "extra_groups": []} if os.geteuid() == 0 else {}
        with self.log_path.open("ab") as log:
            process: subprocess.Popen[bytes] = subprocess.Popen(argv, env=env, stderr=log, **who, **options)
        self._processes.append(process)
        return process


def _code(answer: socket.socket) -> int:
    answer.settimeout(60)
    with answer:
        text = b""
        while data := answer.recv(65536):
            text += data
    code, _, left = text.partition(b" ")
    if left:
        raise AssertionError(f"left behind in {sys.platform}: {left.decode()}")
    return int(code)
