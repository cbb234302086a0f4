"""Servers and clients of QMTP and QMQP for tests: our programs under the real tcpserver and under our own."""

import re
import socket
import subprocess
import threading
import time
import typing

import smtp_world
import pytest
import support

SERVERS = ["tcpserver", "vq-tcpserver"]


def ns(data: bytes) -> bytes:
    """A netstring."""
    return b"%d:%s," % (len(data), data)


def qmtp(text: bytes, sender: bytes, *recipients: bytes) -> bytes:
    """A message in QMTP."""
    return ns(text) + ns(sender) + ns(b"".join(ns(each) for each in recipients))


def qmqp(text: bytes, sender: bytes, *recipients: bytes) -> bytes:
    """A message in QMQP."""
    return ns(ns(text) + ns(sender) + b"".join(ns(each) for each in recipients))


def answers(said: bytes) -> "list[bytes]":
    """What is in the netstrings `said`, numbers replaced."""
    found = []
    while said:
        length, _, rest = said.partition(b":")
        size = int(length)
        assert rest[size:size + 1] == b",", said
        found.append(re.sub(rb"^Kok \d+ qp \d+$", b"Kok", rest[:size]))
        said = rest[size + 1:]
    return found


class World(smtp_world.World):
    """The home of smtp_world, its servers of other protocols on ports."""

    def __init__(self, home: support.Home, server: str = "tcpserver") -> None:
        super().__init__(home, warm=False)
        self._server = server

    def listen(self, program: str, options: "typing.Sequence[str]" = (), **env: str) -> int:
        """`program` under the server; its port."""
        path = self.home.bin("vq-tcpserver") if self._server == "vq-tcpserver" else "/usr/bin/tcpserver"
        process = self.start([path, "-1", "-H", "-R", "-l", "mx.example.test", *options, "127.0.0.1", "0", program],
                             {"PATH": f"{self.home.path}/bin:/usr/bin:/bin"} | env,
                             stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        assert process.stdout
        return int(process.stdout.readline())

    def wait_for_log(self, words: str) -> None:
        """Return when `words` are in the log."""
        deadline = time.monotonic() + 100
        while words not in self.log_path.read_text():
            assert time.monotonic() < deadline, f"no {words} in {self.log_path.read_text()}"
            time.sleep(0.01)

    def messages(self) -> "list[tuple[bytes, bytes]]":
        """(text, envelope) of each message in the queue, without the two trace lines and what todo/ begins with."""
        found = []
        for todo in sorted((self.home.path / "queue/todo").rglob("[0-9]*")):
            text = next((self.home.path / "queue/mess").rglob(todo.name)).read_bytes()
            found.append((text.split(b"\n", 3)[3], todo.read_bytes().partition(b"F")[2]))
        return found


def dial(port: int) -> socket.socket:
    """A connection."""
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def talk(port: int, *pieces: bytes) -> bytes:
    """All that the server says to a client that sends these pieces and then hangs up on its side."""
    with dial(port) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for each in pieces:
                sock.sendall(each)
            sock.shutdown(socket.SHUT_WR)
        except OSError:                         # it had heard enough
            pass
        return everything(sock)


def everything(sock: socket.socket) -> bytes:
    """What is said up to the end."""
    said = b""
    try:
        while piece := sock.recv(65536):
            said += piece
    except ConnectionResetError:
        pass
    return said


class Scripted:
    """A server that does with its n-th connection what the n-th of `scripts` does, and keeps what it was sent."""

    def __init__(self, *scripts: "typing.Callable[[socket.socket], bytes]", address: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, 0), family=family)
        self.port = int(self._listener.getsockname()[1])
        self.heard: list[bytes] = []
        self._scripts = scripts
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for each in self._scripts:
            try:
                sock, _ = self._listener.accept()
            except OSError:                     # closed: nobody came
                return
            with sock:
                sock.settimeout(60)
                self.heard.append(each(sock))

    def close(self) -> "list[bytes]":
        """What was heard."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(60)
        return self.heard


def hear(sock: socket.socket) -> bytes:
    """A whole netstring, or what there is of it."""
    said = b""
    while True:
        length, colon, rest = said.partition(b":")
        if colon and len(rest) > int(length):
            return said
        piece = sock.recv(65536)
        if not piece:
            return said
        said += piece


def answering(answer: bytes) -> "typing.Callable[[socket.socket], bytes]":
    """The script of a server that hears a message out and answers."""
    def script(sock: socket.socket) -> bytes:
        heard = hear(sock)
        sock.sendall(answer)
        return heard
    return script


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


# ---- fixtures: who needs them imports them ----

@pytest.fixture(params=SERVERS)
def world(request: pytest.FixtureRequest, home: support.Home) -> "typing.Iterator[World]":
    made = World(home, request.param)
    yield made
    made.close()


@pytest.fixture
def cold(home: support.Home) -> "typing.Iterator[World]":
    made = World(home)
    yield made
    made.close()
