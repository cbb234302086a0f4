"""Certificates that tests make, and the client's end of TLS."""

import pathlib
import socket
import ssl
import subprocess


class Authority:
    """An authority of its own in the folder `path`, and what it signs.  Programs of all users may read that."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._made: dict[str, tuple[pathlib.Path, pathlib.Path]] = {}
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o755)
        self.ca = path / "ca.pem"
        self._openssl("req", "-x509", *EC, "-subj", "/CN=Test authority", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem")
        self.ca.chmod(0o644)

    def certify(self, *names: str, days: int = 30) -> "tuple[pathlib.Path, pathlib.Path]":
        """(certificate, key) for `names` and addresses, in files that are called after the first one."""
        base = self.path / names[0].replace(":", "_")
        certificate, key, extension, request = (base.with_name(f"{base.name}.{each}") for each in ("pem", "key", "ext", "csr"))
        extension.write_text("subjectAltName=" + ",".join(
            ("IP:" if each.replace(".", "").isdigit() or ":" in each else "DNS:") + each for each in names))
        self._openssl("req", *EC, "-subj", f"/CN={names[0]}", "-keyout", str(key), "-out", str(request))
        self._openssl("x509", "-req", "-in", str(request), "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", str(days),
                      "-extfile", str(extension), "-out", str(certificate))
        return certificate, key

    def sign(self, *names: str, days: int = 30, passphrase: str = "") -> bytes:
        """certificate + authority + key, as they belong into servercert.pem."""
        certificate, key = self.certify(*names, days=days)
        if passphrase:
            self._openssl("pkey", "-in", str(key), "-aes128", "-passout", f"pass:{passphrase}", "-out", "locked")
            key = self.path / "locked"
        return certificate.read_bytes() + self.ca.read_bytes() + key.read_bytes()

    def server(self, name: str) -> ssl.SSLContext:
        """The settings of a server that proves `name`, a host or an address; made anew, of the same certificate."""
        if name not in self._made:
            self._made[name] = self.certify(name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._made[name])
        return context

    def client(self) -> ssl.SSLContext:
        """The settings of a client that believes this authority."""
        return ssl.create_default_context(cafile=str(self.ca))

    def connect(self, port: int, name: str, seconds: float = 30) -> ssl.SSLSocket:
        """A connection to a port of this machine that must prove `name`."""
        sock = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        return self.client().wrap_socket(sock, server_hostname=name)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.path, check=True, capture_output=True, timeout=60)


EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
EXPIRED = -1


def names_of(connection: "ssl.SSLSocket | ssl.SSLObject") -> "list[str]":
    """What the other end's certificate is for."""
    return [value for _, value in connection.getpeercert()["subjectAltName"]]


class Client:
    """The client's end of TLS without a socket."""

    def __init__(self, context: ssl.SSLContext, name: "str | None") -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_hostname=name)

    def receive(self, records: bytes) -> None:
        """Take what came from the server."""
        self._in.write(records)

    def output(self) -> bytes:
        """What is to be sent to the server."""
        return self._out.read()

    def handshake(self) -> bool:
        """Whether it is over."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def read(self) -> "bytes | None":
        """What the server said, b"" at the end, None if there is nothing yet."""
        try:
            return self.tls.read(1 << 20)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLZeroReturnError:
            return b""

    def goodbye(self) -> bytes:
        """What tells the server that nothing more comes."""
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass
        return self.output()
