"""vq-smtpd as a client sees it, cold (a process for each connection) and warm (one process for all)."""

import json
import os
import pathlib
import select
import socket
import subprocess
import sys
import time
import typing

import support

from vqmail.setup import install

# A queue that keeps what it is given: message and envelope, and exits as it is told.
QUEUE = """\
#!/bin/sh
cd {scratch} || exit 81
cat >message
cat <&1 >envelope
test -n "$QUEUE_SAYS" && printf '%s' "$QUEUE_SAYS" >&6
exit ${{QUEUE_EXIT-0}}
"""

# The warm process: one connection after another; tells each exit code, and whether a descriptor was left open.
WARM = """\
import json, os, socket, sys
sys.path.insert(0, sys.argv[1])
from vqmail.prog import smtpd
from vqmail.unix import chain
chain.make_resident({b"vq-smtpd": smtpd.main})
env = {name.encode("latin-1"): value.encode("latin-1") for name, value in json.loads(sys.argv[2]).items()}
listener = socket.socket(fileno=int(sys.argv[3]))
null = os.open("/dev/null", os.O_RDWR)
answers = int(sys.argv[4])
while True:
    connection, _ = listener.accept()
    for number in (0, 1):
        os.dup2(connection.fileno(), number)
    connection.close()
    before = os.listdir("/proc/self/fd")
    code = chain.call(smtpd.main, [b"vq-smtpd"], dict(env))
    after = os.listdir("/proc/self/fd")
    for number in (0, 1):
        os.dup2(null, number)
    os.write(answers, b"%d\\n" % (code if before == after else 999))
"""

NETWORK = {"TCPREMOTEIP": "192.0.2.1", "TCPREMOTEHOST": "client.test", "TCPLOCALIP": "192.0.2.25",
           "TCPLOCALHOST": "mx.example.test"}


class Client:
    """One connection."""

    def __init__(self, sock: socket.socket, finished: "typing.Callable[[], int]") -> None:
        self.sock = sock
        self._finished = finished
        self._buffer = b""
        sock.settimeout(60)

    def lines(self, count: int) -> bytes:
        """The next `count` lines from the server, fewer if it closes."""
        while self._buffer.count(b"\n") < count:
            got = self._receive()
            if not got:
                break
            self._buffer += got
        parts = self._buffer.split(b"\n")
        said = b"".join(each + b"\n" for each in parts[:min(count, len(parts) - 1)])
        self._buffer = self._buffer[len(said):]
        return said

    def reply(self) -> bytes:
        """The next reply, however many lines it has."""
        said = self.lines(1)
        while said.split(b"\n")[-2:-1] and said.split(b"\n")[-2][3:4] == b"-":
            said += self.lines(1)
        return said

    def ask(self, command: bytes) -> bytes:
        """The reply to one command."""
        self.sock.sendall(command + b"\r\n")
        return self.reply()

    def begin(self, sender: bytes = b"a@client.test", recipient: bytes = b"bob@example.test") -> None:
        """Everything up to the 354."""
        self.reply()
        for command, code in ((b"EHLO client.test", b"250"), (b"MAIL FROM:<%s>" % sender, b"250"),
                              (b"RCPT TO:<%s>" % recipient, b"250"), (b"DATA", b"354")):
            assert code == self.ask(command)[:3], command

    def rest(self) -> bytes:
        """What the server still says before it closes."""
        said, self._buffer = self._buffer, b""
        while got := self._receive():
            said += got
        return said

    def _receive(self) -> bytes:
        try:
            return self.sock.recv(65536)
        except ConnectionResetError:            # it closed without reading everything
            return b""

    def code(self) -> int:
        """Close; the exit code of the server."""
        self.sock.close()
        return self._finished()


class World:
    """A home that receives for example.test, where bob, ann and postmaster have mailboxes, and its vq-smtpd."""

    def __init__(self, home: support.Home, *, warm: bool) -> None:
        self.home = home
        self.warm = warm
        self.log_path = home.path.parent / "log"
        self.log_path.touch()
        self.scratch = home.path / "scratch"
        self.scratch.mkdir()
        os.chown(self.scratch, *support.single_ids())
        self._processes: list[subprocess.Popen[bytes]] = []
        self._clients: list[Client] = []
        self._workers: dict[str, tuple[pathlib.Path, int]] = {}
        home.control("me", "mx.example.test\n")
        home.control("rcpthosts", "example.test\n.sub.example.test\n")
        home.control("locals", "example.test\n")
        home.control("badmailfrom", "bad@sender.test\n@worse.test\n")
        for name in ("bob", "ann", "postmaster"):
            home.write(f"alias/.qmail-{name}", "./Maildir/\n")

    def connect(self, **env: str) -> Client:
        """A connection to vq-smtpd."""
        whole = {"PATH": f"{self.home.path}/bin:/usr/bin:/bin"} | NETWORK | env
        client = self._connect_warm(whole) if self.warm else self._connect_cold(whole)
        self._clients.append(client)
        return client

    def queue(self, code: int = 0, says: str = "") -> "dict[str, str]":
        """The environment for a queue that keeps what it gets, in message and envelope."""
        program = self.home.write("scratch/queue", QUEUE.format(scratch=self.scratch), 0o755)
        return {"QMAILQUEUE": str(program), "QUEUE_EXIT": str(code), "QUEUE_SAYS": says}

    def queued(self) -> "tuple[bytes, bytes]":
        """(message, envelope) of the queue that keeps what it gets."""
        return (self.scratch / "message").read_bytes(), (self.scratch / "envelope").read_bytes()

    def log(self) -> "list[str]":
        """The lines of the log, their pids replaced."""
        lines = self.log_path.read_text().splitlines()
        return [" ".join("PID" if before == "pid" else "QP" if before == "qp" else word
                         for before, word in zip(["", *line.split(" ")], line.split(" "), strict=False))
                for line in lines]

    def files_in_queue(self) -> "list[str]":
        """Every message file of the queue."""
        queue = self.home.path / "queue"
        return sorted(str(each.relative_to(queue)) for each in queue.rglob("*")
                      if each.is_file() and each.parent.name != "lock")

    def close(self) -> None:
        """End what was started."""
        for client in self._clients:
            client.sock.close()
        for each in self._processes:
            each.kill()
            each.wait()
            if each.stdout:
                each.stdout.close()
        for _, answers in self._workers.values():
            os.close(answers)

    def start(self, argv: "list[str]", env: "dict[str, str]", **options: "typing.Any") -> "subprocess.Popen[bytes]":
        """A process of the home's user, its errors in the log."""
        uid, gid = support.single_ids()
        who = {"user": uid, "group": gid, "extra_groups": []} if os.geteuid() == 0 else {}
        with self.log_path.open("ab") as log:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                argv, env=env, stderr=log, **who, **options)
        self._processes.append(process)
        return process

    def _connect_cold(self, env: "dict[str, str]") -> Client:
        ours, theirs = socket.socketpair()
        process = self.start([self.home.bin("vq-smtpd")], env, stdin=theirs, stdout=theirs)
        theirs.close()
        self.last = process
        return Client(ours, lambda: process.wait(60))

    def _connect_warm(self, env: "dict[str, str]") -> Client:
        key = json.dumps(env)
        if key not in self._workers:
            path = self.home.path.parent / f"socket{len(self._workers)}"
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(os.fsencode(path))
            listener.listen()
            answers, answers_in = os.pipe()
            self.last = self.start(
                [install.interpreter(), "-IS", "-c", WARM, str(self.home.path / "lib"), key,
                 str(listener.fileno()), str(answers_in)],
                {}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=(listener.fileno(), answers_in))
            listener.close()
            os.close(answers_in)
            self._workers[key] = path, answers
        path, answers = self._workers[key]
        ours = socket.socket(socket.AF_UNIX)
        ours.connect(os.fsencode(path))
        return Client(ours, lambda: _answer(answers))


def _answer(answers: int) -> int:
    text = b""
    deadline = time.monotonic() + 100
    while not text.endswith(b"\n"):
        ready, _, _ = select.select([answers], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError("the session does not end")
        piece = os.read(answers, 1)
        if not piece:
            raise EOFError("the warm process is gone")
        text += piece
    return int(text)


def peak(process: "subprocess.Popen[bytes]") -> int:
    """The most memory that a running process had so far, in kilobytes."""
    for row in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if row.startswith("VmHWM"):
            return int(row.split()[1])
    raise ValueError(f"no peak of {process.pid} on {sys.platform}")
