"""rblsmtpd between tcpserver and vq-smtpd, its lists in a DNS zone of our own."""

import pathlib
import pwd
import re
import subprocess
import sys
import typing

import pytest
import system as module

from vqmail.setup import hier

pytestmark = [pytest.mark.root, pytest.mark.peers]

# A network of its own, so that DNS can be on port 53, and clients have addresses that they choose.
PRIVATE = """
ip link set lo up &&
for each in 127.0.0.2 127.0.0.3 127.0.0.4 127.0.0.5; do ip addr add $each/8 dev lo || exit 1; done &&
mount --bind "$RESOLV" /etc/resolv.conf &&
exec sleep 1000
"""

# the zones: 127.0.0.2 is listed, 127.0.0.3 is listed and excused, 127.0.0.4 is listed nowhere
LISTS = {
    "rbl.test": '2.0.0.127 IN TXT "You are listed, see http://rbl.test/2"\n3.0.0.127 IN TXT "You are listed"\n',
    "good.test": "3.0.0.127 IN A 127.0.0.1\n",
}

# A client: what the server answers to each line, from the address that is its first argument.
CLIENT = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[2])), 60, (sys.argv[1], 0)) as connection:
    answers = connection.makefile("rb")
    print(answers.readline().decode().rstrip())
    for line in sys.argv[3:]:
        connection.sendall(line.encode().decode("unicode_escape").encode() + b"\\r\\n")
        while True:
            answer = answers.readline().decode().rstrip()
            if answer[3:4] != "-":
                break
        print(answer)
"""


class Network:
    """A namespace with nsd in it, and tcpserver, rblsmtpd, vq-smtpd."""

    def __init__(self, path: pathlib.Path) -> None:
        self.system = module.System(path)
        self.system.add_domain("domain1.test", {"bob": "one"})
        self.system.start_all()
        resolv = path / "resolv.conf"
        resolv.write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:2\n")
        holder = self.system.start("namespace", "unshare", "-n", "-m", "sh", "-c", PRIVATE, env={"RESOLV": str(resolv)})
        self.enter = ["nsenter", "-t", str(holder.pid), "-n", "-m"]
        module.wait_until(lambda: pathlib.Path(f"/proc/{holder.pid}/cmdline").read_bytes() == b"sleep\0001000\0", "the namespace")
        self._start_dns(path / "nsd")

    def _start_dns(self, path: pathlib.Path) -> None:
        path.mkdir()
        lines = [f'server:\n  ip-address: 127.0.0.1\n  port: 53\n  zonesdir: "{path}"\n  pidfile: "{path}/pid"\n'
                 f'  database: ""\n  xfrdfile: "{path}/xfrd"\n  zonelistfile: "{path}/zones"\n  username: ""\n'
                 f"  server-count: 1\nremote-control:\n  control-enable: no\n"]
        for zone, records in LISTS.items():
            (path / zone).write_text(f"$ORIGIN {zone}.\n$TTL 60\n@ IN SOA ns.{zone}. root.{zone}. 1 60 60 60 60\n"
                                     f"@ IN NS ns.{zone}.\nns IN A 127.0.0.1\n{records}")
            lines.append(f'zone:\n  name: "{zone}"\n  zonefile: "{zone}"\n')
        (path / "nsd.conf").write_text("".join(lines))
        self.system.start("nsd", *self.enter, "/usr/sbin/nsd", "-d", "-c", str(path / "nsd.conf"))
        module.wait_until(self._answers, "an answer of nsd")

    def _answers(self) -> bool:
        done = subprocess.run([*self.enter, sys.executable, "-c", ASK, "ns.rbl.test"], check=False, timeout=60,
                              capture_output=True)
        return b"127.0.0.1" in done.stdout

    def serve(self, *options: str, server: str = "/usr/bin/tcpserver", rules: str = "") -> int:
        """The port of tcpserver -> rblsmtpd with these options -> vq-smtpd."""
        daemon = pwd.getpwnam(hier.DAEMON)
        if "smtp" in self.system.processes:
            self.system.stop("smtp")
        door = []
        if rules:
            cdb = self.system.path / "rules.cdb"
            subprocess.run(["/usr/bin/tcprules", cdb, f"{cdb}.tmp"], input=rules.encode(), check=True, timeout=60)
            door = ["-x", str(cdb)]
        port = module.free_port()
        before = len(self.system.log())
        self.system.start("smtp", *self.enter, server, "-v", "-R", "-H", "-l", "0", *door, "-u", str(daemon.pw_uid),
                          "-g", str(daemon.pw_gid), "127.0.0.1", str(port), "/usr/bin/rblsmtpd", *options,
                          self.system.bin("vq-smtpd"), env={"DNSCACHEIP": "127.0.0.1"})
        module.wait_until(lambda: "tcpserver: status: 0/" in self.system.log()[before:], "tcpserver")
        return port

    def talk(self, address: str, port: int, *lines: str) -> "list[str]":
        """The answers to a client at `address`: the greeting, then one to each line."""
        done = subprocess.run([*self.enter, sys.executable, "-c", CLIENT, address, str(port), *lines], check=True,
                              timeout=90, capture_output=True, text=True)
        return done.stdout.splitlines()


ASK = "import socket, sys; print(socket.getaddrinfo(sys.argv[1], 25, socket.AF_INET))"
LETTER = ("EHLO client.test", "MAIL FROM:<a@far.test>", "RCPT TO:<bob@domain1.test>", "DATA", "Subject: hello\\r\\n\\r\\nbody\\r\\n.",
          "QUIT")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[Network]":
    network = Network(tmp_path_factory.mktemp("network"))
    yield network
    network.system.stop()


def passed(answers: "list[str]") -> bool:
    """Whether it was vq-smtpd who took a letter."""
    codes = [each[:3] for each in answers]
    return codes == ["220", "250", "250", "250", "354", "250", "221"] and answers[5].startswith("250 2.0.0 ok ")


@pytest.fixture(params=["/usr/bin/tcpserver", "vq-tcpserver"])
def server(request: pytest.FixtureRequest, network: Network) -> str:
    return network.system.bin(request.param) if "/" not in request.param else request.param


def test_who_is_listed_hears_why_and_who_is_not_gets_through(network: Network, server: str) -> None:
    port = network.serve("-r", "rbl.test", server=server)
    listed = network.talk("127.0.0.2", port, "HELO client.test", "MAIL FROM:<a@far.test>", "RCPT TO:<bob@domain1.test>",
                          "QUIT")

    assert listed[3] == "451 You are listed, see http://rbl.test/2"
    assert passed(network.talk("127.0.0.4", port, *LETTER))
    assert re.search(r"rblsmtpd: 127\.0\.0\.2 pid \d+: 451 You are listed, see http://rbl\.test/2\n", network.system.log())

    path, = network.system.wait_for_mail("domain1.test", "bob")
    text = path.read_bytes()
    path.unlink()

    assert re.search(rb"\nReceived: from unknown \(HELO client\.test\) \(127\.0\.0\.4\)\n", text)
    assert text.endswith(b"\nSubject: hello\n\nbody\n")


def test_the_refusal_may_be_for_ever(network: Network) -> None:
    port = network.serve("-b", "-r", "rbl.test")

    assert network.talk("127.0.0.2", port, "HELO x", "MAIL FROM:<a@far.test>", "RCPT TO:<bob@domain1.test>")[3] == (
        "553 You are listed, see http://rbl.test/2")


def test_who_is_on_a_good_list_gets_through_although_listed(network: Network) -> None:
    port = network.serve("-a", "good.test", "-r", "rbl.test")

    assert passed(network.talk("127.0.0.3", port, *LETTER))
    assert network.talk("127.0.0.2", port, "HELO x", "MAIL FROM:<a@far.test>", "RCPT TO:<bob@domain1.test>")[3][:3] == "451"


def test_rules_of_tcpserver_decide_before_the_lists(network: Network, server: str) -> None:
    rules = '127.0.0.2:allow,RBLSMTPD="",RELAYCLIENT=""\n127.0.0.4:allow,RBLSMTPD="-Go away"\n127.0.0.5:deny\n:allow\n'
    port = network.serve("-r", "rbl.test", server=server, rules=rules)
    far = network.talk("127.0.0.2", port, "EHLO x", "MAIL FROM:<a@far.test>", "RCPT TO:<b@far.test>", "QUIT")
    away = network.talk("127.0.0.4", port, "HELO x", "MAIL FROM:<a@far.test>", "RCPT TO:<bob@domain1.test>")
    denied = network.talk("127.0.0.5", port)

    assert far[3][:3] == "250"                  # not blocked, and may relay
    assert away[3] == "553 Go away"
    assert denied == [""]                       # hung up on
