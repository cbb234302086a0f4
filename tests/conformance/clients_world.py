"""An installation as make setup leaves it, every door open under svscan, and an authority that its clients believe."""

import os
import pathlib
import shutil
import socket
import subprocess
import time

from certificates import Authority
from supervised import Supervised, lasting_port
from system import wait_until
from test_setup import let_everybody_in
from test_svscan import installed

ONE, TWO = "domain1.test", "domain2.test"
HOST = "mail.host.test"                     # the name of no domain
SECRET = {ONE: "password domain1.test", TWO: "password domain2.test"}       # bob's
ANN, ANNS = "ann@domain1.test", "Kept in=clear, 7"      # by what is made of a password
CARL = "carl@domain1.test"                  # who gets what is sent
DORA = "dora@domain1.test"                  # who has one message, a big one; her password is bob's
EVA, EVAS = "eva@domain1.test", "grün & ♥"
BIG = "begin\n" + "".join(f".{number} {'x' * (number % 900)}\n" for number in range(6000)) + "end\n"
TEXT = "From: far@far.test\nTo: bob@{0}\nSubject: hello\nMessage-ID: <1@{0}>\n\n.dot\nof {0}\n"
BEHIND = "127.0.0.2"                        # an address that control/popdomains gives to domain2.test
POP3, SMTP = ("plain", "starttls", "tls"), ("starttls", "tls")


class Site:
    """Two domains, a bob in each; ports by protocol and how it is secured."""

    def __init__(self, path: pathlib.Path, server: str) -> None:
        self.path = let_everybody_in(path)
        self.services: Supervised = installed(path, server)
        self.home = self.services.home
        self.virtual = path / "virtual"
        self.authority = Authority(path / "authority")
        self.ca = str(self.authority.ca)
        self.hosts = path / "hosts"
        names = [HOST, *(f"{service}.{domain}" for domain in (ONE, TWO) for service in ("pop", "smtp"))]
        self.hosts.write_text("127.0.0.1 localhost\n127.0.0.1 " + " ".join(names) + f"\n{BEHIND} behind.test\n")
        self._certificates(names)
        self._people()
        self._settings()
        self.ports = {("pop3", "plain"): self.services.pop3, ("pop3", "starttls"): self.services.pop3,
                      ("pop3", "tls"): self._open("pop3s"), ("smtp", "starttls"): self._open("submission"),
                      ("smtp", "tls"): self._open("smtps"), ("smtp", "plain"): self.services.smtp,
                      ("pop3", "behind"): self._another("pop3d", "pop3b", ADDRESS=BEHIND),
                      ("pop3", "inside"): self._another("pop3d", "pop3in", SSL_PROTOCOL="TLSv1.3"),
                      ("smtp", "inside"): self._another("smtps", "smtpin", SSL_PROTOCOL="TLSv1.3")}

    def start(self) -> None:
        self.services.start()
        for service in ("pop3", "smtp"):
            for how in ("tls", "inside"):
                wait_until(lambda port=self.ports[service, how]: listens(port), f"{service}, {how}")
        for door in ("submission", "pop3b"):
            wait_until(lambda door=door: "status: 0/" in self.services.log(door), door)
        wait_until(lambda: self.services.log("tls").count("loaded") >= 5, "the certificates")

    def stop(self) -> None:
        self.services.stop()

    # what a postmaster does

    def _certificates(self, names: "list[str]") -> None:
        control = self.home / "control"
        (control / "servercerts").mkdir(exist_ok=True)
        for name in names:
            path = control / ("servercert.pem" if name == HOST else f"servercerts/{name}.pem")
            path.write_bytes(self.authority.sign(name))
            path.chmod(0o400)

    def _people(self) -> None:
        etc = self.virtual / ONE / "etc"
        row = (etc / "passwd").read_text().split(":")
        owner = int(row[2]) - 1
        evas = subprocess.run(["openssl", "passwd", "-6", EVAS], capture_output=True, text=True, check=True).stdout.strip()
        stored_for = {"ann": "{CLEAR}" + ANNS, "carl": row[1], "dora": row[1], "eva": evas}
        for number, (name, stored) in enumerate(stored_for.items(), 2):
            with (etc / "passwd").open("a") as file:
                file.write(":".join([name, stored, str(owner + number), str(owner + number), "", f"/home/{name}", "/bin/false"]) + "\n")
            (self.virtual / ONE / "home" / name).mkdir(0o700)
            os.chown(self.virtual / ONE / "home" / name, owner + number, owner + number)
        for domain, name in ((ONE, "bob"), *((ONE, name) for name in stored_for), (TWO, "bob")):
            home = self.virtual / domain / "home" / name
            for folder in ("Maildir", "Maildir/new", "Maildir/cur", "Maildir/tmp"):
                (home / folder).mkdir(0o700)
            if name != "carl":
                (home / "Maildir/new/1700000000.x").write_text(TEXT.format(domain) + BIG * (name == "dora"))
            for each in home.rglob("*"):
                shutil.chown(each, home.stat().st_uid, home.stat().st_gid)

    def _settings(self) -> None:
        for name, text in {
                "passwordscheme": "keep\n", "loginlimits": "failures 0\n", "loginseparators": "!%:/#\n", "opensmtp": "180\n",
                "popdomains": f"{BEHIND} {TWO}\n"}.items():
            (self.home / "control" / name).write_text(text)
        (self.home / "users/logins").write_text(f"d2bob:bob@{TWO}\n")
        for program in ("vq-newu", "vq-clearopensmtp"):
            subprocess.run([self.home / "bin" / program], check=True)

    def _open(self, name: str) -> int:
        """Open a door that setup leaves shut; its port."""
        port = lasting_port()
        server = (self.home / "service/smtpd/env/SERVER").read_text().strip()
        self.services.setting(name, PORT=str(port), ADDRESS="127.0.0.1", SERVER=server)
        (self.home / "service" / name / "down").unlink()
        return port

    def _another(self, like: str, name: str, **settings: str) -> int:
        """A service like another one, without TLS of its own, with settings of its own; its port."""
        folder = self.home / "service" / name
        subprocess.run(["cp", "-a", self.home / "service" / like, folder], check=True)
        (folder / "down").unlink(missing_ok=True)
        (folder / "run").write_text((folder / "run").read_text().replace(f"{self.home}/bin/vq-tls ", ""))
        port = lasting_port()
        self.services.setting(name, **{"PORT": str(port), **settings})
        return port

    # what a user does

    def client(self, *argv: str, input: bytes = b"", **env: str) -> "subprocess.CompletedProcess[bytes]":
        """A program on a machine that knows our names."""
        return run_there(self.hosts, argv, input, env)

    def arrived(self, subject: str) -> str:
        """Carl's message, as soon as it is there."""
        return wait_until(lambda: self.find(subject), f"the message {subject!r}")

    def find(self, subject: str) -> str:
        for each in (self.virtual / ONE / "home/carl/Maildir/new").iterdir():
            with each.open() as file:
                if f"Subject: {subject}\n" in file.read(2000):
                    return each.read_text()
        return ""

    def log(self, *names: str) -> str:
        return "".join(self.services.log(name) for name in names)


def run_there(hosts: pathlib.Path, argv: "tuple[str, ...]", input: bytes,
              env: "dict[str, str]") -> "subprocess.CompletedProcess[bytes]":
    """Run a program on a machine with that /etc/hosts."""
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts), *argv], input=input,
        capture_output=True, timeout=60, check=False, env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **env})


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except ConnectionError:
        time.sleep(0.02)
        return False
    return True
