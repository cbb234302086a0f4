"""Two hosts that know IPv6 only: a server with an address for each of two domains and one for both, and a client with
addresses in several networks.  Both are namespaces without a name; nothing of this machine takes part."""

import os
import pathlib
import poplib
import pwd
import smtplib
import socket
import subprocess

from certificates import Authority
from internet import Namespace, sh
from system import System, let_through, wait_until

from vqmail.setup import hier

ONE, TWO = "domain1.test", "domain2.test"
HOST = "mail.host.test"
SECRET = {ONE: "one", TWO: "two"}               # bob's
# the server: an address of domain1.test, one of domain2.test, one for whoever asks for a name in TLS
FIRST, SECOND, SHARED = "fd00:d8:0:1::1", "fd00:d8:0:1::2", "fd00:d8:0:1::9"
# the client: what it calls from if nothing else is said; two addresses in one /64, one in the next, from which nobody
# has logged in before, and one from which nobody does; what control/tcp.smtp knows
LAPTOP, STRANGER = "fd00:d8:0:e::5", "fd00:d8:0:f::5"
HOME, BESIDE, AWAY = "fd00:d8:0:a::5", "fd00:d8:0:a::6", "fd00:d8:0:b::5"
OFFICE, BANNED = "fd00:d8:0:c::5", "fd00:d8:0:d::5"
LINK = "fe80::d8"                               # the server's, as its neighbours call it
RULES = 'FD00:00D8:0:C::/64:allow,RELAYCLIENT=""\nfd00:d8::d:0:0:0:0/64:deny\n:allow,GREETING="x"\n'
# the packages exclude each other, so this one is unpacked
REAL = "/usr/local/lib/ucspi-tcp-ipv6/usr/bin/tcpserver"
PORTS = {"smtp": 25, "pop3": 110, "submission": 587, "pop3s": 995, "listed": 1110, "env": 7, "mailfront": 26}
# $1: the process that holds the other end of the wire, if there is no wire yet; then our addresses, `old` before
# those that are taken only by who asks for them
NETWORK = """
[ -z "$1" ] || ip link add eth0 type veth peer name eth0 netns "$1"
shift; ip link set eth0 addrgenmode none; ip link set eth0 up
for each; do ip -6 addr add "${each#old }" dev eth0 nodad $(case $each in old*) echo preferred_lft 0;; esac); done
"""


class Hosts:
    """What they say of themselves in /etc/hosts, and how their network is made."""

    def __init__(self, path: pathlib.Path, prefix: int = 32) -> None:
        empty = path / "resolv.conf"
        empty.write_text("")
        self.hosts = path / "hosts"
        self.hosts.write_text(f"::1 localhost\n{SHARED} {HOST}\n" + "".join(
            f"{SHARED} {service}.{domain}\n{own} {domain}\n"
            for domain, own in ((ONE, FIRST), (TWO, SECOND)) for service in ("pop", "smtp")))
        self.server = Namespace("host.test", empty)
        self.client = Namespace("laptop.test", empty)
        sh(NETWORK, str(self.client.pid), f"{LINK}/64", *(f"{each}/{prefix}" for each in (FIRST, SECOND, SHARED)),
           enter=self.server.enter)
        sh(NETWORK, "", "fe80::c/64", f"{LAPTOP}/{prefix}",
           *(f"old {each}/{prefix}" for each in (HOME, BESIDE, AWAY, OFFICE, BANNED, STRANGER)),
           enter=self.client.enter)
        for each in (self.server, self.client):
            sh('mount --bind "$1" /etc/hosts', str(self.hosts), enter=each.enter)

    def close(self) -> None:
        for each in (self.server, self.client):
            each.close()


class World:
    """The doors of an installation on the server, all of them on all its addresses.

    `server` is tcpserver, which is that of ucspi-tcp-ipv6 then, or vq-tcpserver.
    """

    def __init__(self, path: pathlib.Path, server: str) -> None:
        let_through(path)
        self.path = path
        self.net = Hosts(path)
        self.hosts = self.net.hosts
        try:
            (path / "six").mkdir()
            self.system = System(path / "six", prefix=self.net.server.enter)
            self._fill()
            self._open(REAL if server == "tcpserver" else self.system.bin("vq-tcpserver"))
        except BaseException:
            self.net.close()
            raise

    def _fill(self) -> None:
        system = self.system
        for domain in (ONE, TWO):
            system.add_domain(domain, {"bob": SECRET[domain], "carl": "x", "eve": "eves"})
            for user in ("bob", "carl", "eve"):
                box = system.maildir(domain, user)
                if user == "bob":
                    mail = box / "cur/1700000000.x:2,S"
                    mail.write_text(f"From: a@far.test\nTo: bob@{domain}\nSubject: hello\n\nof {domain}\n")
                    os.chown(mail, system.domains[domain]["bob"], system.domains[domain]["bob"])
        authority = Authority(self.path / "authority")
        self.ca = str(authority.ca)
        certificate = system.home / "control/servercert.pem"
        certificate.write_bytes(authority.sign(HOST, *(f"{each}.{domain}" for each in ("pop", "smtp") for domain in (ONE, TWO))))
        certificate.chmod(0o400)
        # an address is written as its owner likes
        (system.virtual / "conf.pop").write_text(f"FD00:00D8:0:1:0:0:0:1 {system.virtual}/{ONE}\n{SECOND} {TWO}\n")
        for name, text in {"popdomains": f"{FIRST} {TWO}\nfd00:d8:0:1::0002 {ONE}\n", "clearauth": "pop3\n", "tcp.smtp": RULES,
                           "hostnames": f"FD00:D8:0:1::2 mail.{TWO}\n", "opensmtp": "180\n", "localiphost": f"{ONE}\n"}.items():
            system.control(name, text)
        assert system.run("vq-clearopensmtp").returncode == 0
        system.start_all()
        system.start_auth()
        system.start_tls()

    def _open(self, server: str) -> None:
        system, daemon = self.system, pwd.getpwnam(hier.DAEMON)
        owner = ["-u", str(daemon.pw_uid), "-g", str(daemon.pw_gid), "-x", str(system.home / "control/tcp.smtp.cdb")]
        pop = [system.bin("vq-popup"), HOST, system.bin("vq-checkpassword"), system.bin("vq-pop3d"), "Maildir"]
        doors: dict[str, tuple[list[str], list[str], dict[str, str]]] = {
            "smtp": (owner, [system.bin("vq-smtpd")], {}),
            "submission": (owner, [system.bin("vq-smtpd")], {"SUBMISSION": "1"}),
            "pop3": ([], [system.bin("vq-virtuald"), str(system.virtual / "conf.pop"), *pop], {}),
            "listed": ([], pop, {}), "pop3s": ([], [system.bin("vq-tls"), *pop], {}), "env": ([], ["/usr/bin/env"], {}),
            "mailfront": (owner[:4], ["/usr/sbin/smtpfront-qmail"], {
                "QMAILHOME": str(system.home), "QMAILQUEUE": system.bin("vq-queue")})}
        for name, (options, program, env) in doors.items():
            anywhere = "0" if server == REAL else "::"
            system.start(name, server, "-v", "-R", "-H", "-l", HOST, "-c", "100", *options, anywhere, str(PORTS[name]),
                         *program, env=env)
        for name in doors:
            wait_until(lambda name=name: self.listens(PORTS[name]), name)

    def listens(self, port: int) -> bool:
        try:
            self.net.client.connect(SHARED, port).close()
        except ConnectionError:
            return False
        return True

    def close(self) -> None:
        self.system.stop()
        self.net.close()

    # what a user does

    def client(self, *argv: str, input: bytes = b"", **env: str) -> "subprocess.CompletedProcess[bytes]":
        """A program on the client."""
        return subprocess.run([*self.net.client.enter, *argv], input=input, capture_output=True, timeout=60, check=False,
                              env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **env})

    def pop3(self, name: str, password: str, *, source: str = "", address: str = FIRST, port: int = PORTS["pop3"]) -> str:
        """What the server says to a login; what the first message is about, if it is right."""
        client = _Pop3(self.net.client.connect(address, port, source))
        try:
            client.user(name)
            client.pass_(password)
            return client.retr(1)[1][-1].decode() if client.stat()[0] else "no mail"
        except poplib.error_proto as error:
            return str(error)
        finally:
            client.close()

    def smtp(self, source: str, *, address: str = FIRST, port: int = PORTS["smtp"]) -> smtplib.SMTP:
        return _Smtp(self.net.client.connect(address, port, source))

    def may_relay(self, source: str) -> bool:
        with self.smtp(source) as client:
            client.ehlo()
            client.mail("bob@domain1.test")
            code = client.rcpt("ann@elsewhere.test")[0]
        assert code in (250, 553)
        return code == 250

    def arrived(self, domain: str, subject: str) -> str:
        """The letter to carl, as soon as it is there."""
        return wait_until(lambda: self.find(domain, subject), f"the message {subject!r}")

    def find(self, domain: str, subject: str) -> str:
        for each in self.system.mailbox(domain, "carl"):
            text = each.read_text()
            if f"\nSubject: {subject}\n" in text:
                return text
        return ""


class _Pop3(poplib.POP3):
    def __init__(self, sock: socket.socket) -> None:
        self._connected = sock
        super().__init__("server", timeout=60)

    def _create_socket(self, timeout: float) -> socket.socket:
        return self._connected


class _Smtp(smtplib.SMTP):
    def __init__(self, sock: socket.socket) -> None:
        self._connected = sock
        super().__init__("server", 25, "laptop.test", timeout=60)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self._connected
