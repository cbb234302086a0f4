"""An installation with the TLS service and two certificates, and what its tests do with it."""

import os
import pathlib
import socket
import subprocess

from certificates import Authority
from system import System, wait_until

DEFAULT, OTHER = "mail.host.test", "pop.domain1.test"
STRANGER = 45990                # a uid that is nobody


class World:
    """One installation; its doors are started by the tests."""

    def __init__(self, path: pathlib.Path, start: bool = True) -> None:
        self.system = System(path)
        self.authority = Authority(path / "authority")
        self.folder = self.system.home / "control/servercerts"
        self.folder.mkdir()
        if start:
            self.install(DEFAULT)
            self.install(OTHER, OTHER)
            self.start()

    def start(self) -> None:
        """Start the service."""
        self.system.start_tls()
        wait_until(lambda: self.workers(), "the first workers")

    def path_of(self, name: str = "") -> pathlib.Path:
        """Where the certificate for clients that ask for `name` belongs."""
        return self.folder / f"{name}.pem" if name else self.system.home / "control/servercert.pem"

    def write(self, text: bytes, name: str = "") -> None:
        """Put a file in its place at once, as those who renew certificates do."""
        path = self.path_of(name)
        fresh = path.with_name("." + path.name)
        fresh.write_bytes(text)
        fresh.chmod(0o400)
        fresh.replace(path)

    def install(self, shown: str, name: str = "") -> None:
        """A certificate for `shown`, for clients that ask for `name`."""
        self.write(self.authority.sign(shown), name)

    def said(self, words: str, count: int = 1) -> None:
        """Wait until the log says so."""
        wait_until(lambda: self.system.log().count(words) >= count, words)

    def workers(self) -> "list[int]":
        """The processes that talk to clients."""
        service = self.system.processes["tls"].pid
        return [grandchild for child in children(service) for grandchild in children(child)]


def children(pid: int) -> "list[int]":
    """The processes that `pid` started."""
    text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(each) for each in text.split()]


class Call:
    """What store/secure.py says to the service, by hand: `sock` is the connection of a client."""

    def __init__(self, world: World, sock: socket.socket, who: "int | None" = None) -> None:
        self.service = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.service.settimeout(60)
        self.service.connect(os.fspath(world.system.home / "run/tls/socket"))
        socket.send_fds(self.service, [b"+"], [sock.fileno()])
        sock.close()

    def answer(self) -> "tuple[bytes, socket.socket | None]":
        """(packet, plain end)."""
        packet, descriptors, _, _ = socket.recv_fds(self.service, 4096, 4)
        self.service.close()
        plain = socket.socket(fileno=descriptors[0]) if descriptors else None
        if plain is not None:
            plain.settimeout(60)
        return packet, plain


def pair() -> "tuple[socket.socket, socket.socket]":
    """(the client's end, the server's end) of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname(), timeout=60)
        return client, server.accept()[0]


def s_client(port: int, *options: str, text: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """openssl s_client that says `text`."""
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options], input=text,
                          capture_output=True, timeout=60, check=False)
