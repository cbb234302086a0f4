"""A little internet in network namespaces: hosts with addresses of their own, a switch, a DNS server.  Nothing gets out.

The namespaces have no names.  Each is held by a shell that waits for the end of its descriptor 0, a pipe of the test's
process: however that process ends, the shell kills what still runs in its namespace, and the kernel takes the rest away.
Nothing of the machine is changed, so several such internets may stand side by side.
"""

import ctypes
import os
import pathlib
import signal
import smtplib
import socket
import subprocess
import threading
import typing

import system as module

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)

# $1: host name, $2: its resolv.conf.  A process that is born while the others are killed is found in the next round.
HOLDER = """
ip link set lo up && mount --bind "$2" /etc/resolv.conf && echo "$1" >/proc/sys/kernel/hostname && echo ready || exit 1
cat >/dev/null
found=yes
while [ $found ]; do
  found=
  for each in /proc/[0-9]*; do
    if [ $each/ns/net -ef /proc/$$/ns/net ] && [ $each != /proc/$$ ] && kill -9 ${each#/proc/} 2>/dev/null; then found=yes; fi
  done
done
"""

# The switch is the router too: what is sent to the first network is refused, and to the second one it vanishes.
SWITCH = """
ip link add br0 type bridge && ip link set br0 up && ip addr add 192.0.2.1/24 dev br0 &&
ip addr add 2001:db8::1/64 dev br0 nodad && echo 1 >/proc/sys/net/ipv4/ip_forward &&
ip route add unreachable 198.51.100.0/25 && ip route add blackhole 198.51.100.128/25
"""
# $1: name of the port, $2: process that holds the host's namespace
PLUG = 'ip link add "$1" type veth peer name eth0 netns "$2" && ip link set "$1" master br0 up'
# $@: addresses with their prefix lengths
ADDRESSES = """
ip link set eth0 up && for each; do ip addr add $each dev eth0 $(case $each in *:*) echo nodad;; esac) || exit 1; done &&
ip route add default via 192.0.2.1
"""


def sh(script: str, *arguments: str, enter: "tuple[str, ...]" = ()) -> None:
    """Run a script of the shell, in a namespace."""
    subprocess.run([*enter, "sh", "-ec", script, "sh", *arguments], check=True, timeout=60)


class Namespace:
    """A host: its network, its name, its /etc/resolv.conf.  `enter` is the beginning of a command line that runs in it."""

    def __init__(self, name: str, resolv: pathlib.Path) -> None:
        self.name = name
        self.holder = subprocess.Popen(["unshare", "-n", "-m", "-u", "sh", "-c", HOLDER, "sh", name, str(resolv)],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        assert self.holder.stdout is not None
        if self.holder.stdout.readline() != b"ready\n":
            raise AssertionError(f"no namespace for {name}")
        self.pid = self.holder.pid
        self.enter = ("nsenter", "-t", str(self.pid), "-n", "-m", "-u")

    def make_socket(self, family: int) -> socket.socket:
        """A socket of this host; it stays one, whoever uses it."""
        made: list[socket.socket] = []

        def enter_and_make() -> None:                  # only this thread enters
            descriptor = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
            try:
                if LIBC.setns(descriptor, CLONE_NEWNET) == 0:
                    made.append(socket.socket(family, socket.SOCK_STREAM))
            finally:
                os.close(descriptor)

        thread = threading.Thread(target=enter_and_make)
        thread.start()
        thread.join()
        if not made:
            raise AssertionError(f"cannot enter the namespace of {self.name}")
        return made[0]

    def connect(self, address: str, port: int, source: str = "") -> socket.socket:
        """A connection from this host, from one of its addresses."""
        sock = self.make_socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        sock.settimeout(60)
        try:
            if source:
                sock.bind((source, 0))
            sock.connect((address, port))
        except OSError:
            sock.close()
            raise
        return sock

    def listen(self, address: str, port: int) -> socket.socket:
        """A listening socket on this host."""
        sock = self.make_socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        sock.listen(100)
        return sock

    def wait_for_greeting(self, address: str, port: int = 25) -> None:
        """Until a server greets."""
        def greeted() -> bool:
            try:
                with self.connect(address, port) as sock:
                    return sock.recv(4) == b"220 "
            except ConnectionRefusedError:
                return False

        module.wait_until(greeted, f"a greeting of {address} port {port}")

    def smtp(self, address: str, port: int = 25) -> smtplib.SMTP:
        """An SMTP client on this host."""
        return _Client(self, address, port)

    def close(self) -> None:
        """Kill everything that runs here; the namespace goes with the last of it."""
        for pipe in (self.holder.stdin, self.holder.stdout):
            assert pipe is not None
            pipe.close()
        self.holder.wait(60)


class _Client(smtplib.SMTP):
    def __init__(self, host: Namespace, address: str, port: int) -> None:
        self._namespace = host
        super().__init__(address, port, local_hostname=host.name, timeout=60)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self._namespace.connect(host, port)


class Internet:
    """The switch, on which the DNS server runs as 192.0.2.53, and what is plugged into it."""

    DNS = "192.0.2.53"

    def __init__(self, path: pathlib.Path) -> None:
        module.let_through(path)
        self.path = path
        self.hosts: list[Namespace] = []
        self.resolv = path / "resolv.conf"
        self.resolv.write_text(f"nameserver {self.DNS}\noptions timeout:10 attempts:3\n")
        self._nsd: subprocess.Popen[bytes] | None = None
        self.switch = Namespace("switch.test", self.resolv)
        self.hosts.append(self.switch)
        try:
            sh(SWITCH + f"ip addr add {self.DNS}/24 dev br0", enter=self.switch.enter)
        except BaseException:
            self.close()
            raise

    def host(self, name: str, *addresses: str) -> Namespace:
        """Plug a host in: addresses of 192.0.2.0/24 and 2001:db8::/64."""
        host = Namespace(name, self.resolv)
        self.hosts.append(host)
        sh(PLUG, f"port{len(self.hosts)}", str(host.pid), enter=self.switch.enter)
        sh(ADDRESSES, *(f"{each}/{64 if ':' in each else 24}" for each in addresses), enter=host.enter)
        return host

    def start_dns(self, records: str, broken: "tuple[str, ...]" = ()) -> None:
        """Answer for all of `test.` with these records, and with SERVFAIL for what is in the zones `broken`."""
        path = self.path / "nsd"
        path.mkdir()
        (path / "test").write_text(f"$ORIGIN test.\n$TTL 1\n@ IN SOA ns.test. root.test. 1 60 60 60 1\n@ IN NS ns.test.\n"
                                   f"ns IN A {self.DNS}\n{records}")
        lines = [f'server:\n  ip-address: {self.DNS}\n  zonesdir: "{path}"\n  pidfile: "{path}/pid"\n  database: ""\n'
                 f'  xfrdfile: "{path}/xfrd"\n  zonelistfile: "{path}/zones"\n  username: ""\n  server-count: 1\n'
                 f"remote-control:\n  control-enable: no\n"]
        for zone in ("test", *broken):
            lines.append(f'zone:\n  name: "{zone}"\n  zonefile: "{zone}"\n')
        (path / "nsd.conf").write_text("".join(lines))
        subprocess.run(["/usr/sbin/nsd-checkzone", "test", path / "test"], check=True, capture_output=True, timeout=60)
        self._run_nsd()

    def _run_nsd(self) -> None:
        path = self.path / "nsd"
        with (path / "log").open("ab") as log:
            self._nsd = subprocess.Popen([*self.switch.enter, "/usr/sbin/nsd", "-d", "-c", str(path / "nsd.conf")],
                                         stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        module.wait_until(lambda: self.resolves("ns.test"), "an answer of nsd")

    def _stop_nsd(self) -> None:
        if self._nsd is not None:               # it has children, for which nobody would wait if it were killed
            self._nsd.terminate()
            self._nsd.wait(60)
            self._nsd = None

    def mend_dns(self, zone: str, records: str) -> None:
        """Give one of the broken zones its records."""
        (self.path / "nsd" / zone).write_text(f"$ORIGIN {zone}.\n$TTL 1\n@ IN SOA ns.test. root.test. 2 60 60 60 1\n"
                                              f"@ IN NS ns.test.\n{records}")
        self._stop_nsd()                        # told to read its files again, the old one would answer a while beside the new one
        self._run_nsd()

    def resolves(self, name: str) -> bool:
        """Whether the C library finds an address of `name`."""
        return subprocess.run([*self.switch.enter, "getent", "hosts", name], check=False, capture_output=True,
                              timeout=60).returncode == 0

    def close(self) -> None:
        """Take it all away."""
        self._stop_nsd()
        for host in self.hosts:
            host.close()


class Vqmail(module.System):
    """A host that runs vqmail."""

    def __init__(self, path: pathlib.Path, namespace: Namespace, domain: str, users: "typing.Iterable[str]") -> None:
        path.mkdir()
        super().__init__(path, name=namespace.name, prefix=namespace.enter)
        self.namespace = namespace
        self.domain = domain
        self.add_domain(domain, dict.fromkeys(users, "secret"))

    def open_door(self, warm: bool, address: str = "0") -> None:
        """vq-smtpd on port 25, under vq-tcpserver (warm) or Debian's tcpserver (cold)."""
        daemon = module.pwd.getpwnam(module.hier.DAEMON)
        server = self.bin("vq-tcpserver") if warm else "/usr/bin/tcpserver"
        self.start(f"smtp{address}", server, "-v", "-R", "-H", "-l", "0", "-c", "100", "-u", str(daemon.pw_uid), "-g",
                   str(daemon.pw_gid), address, "25", self.bin("vq-smtpd"))
        self.namespace.wait_for_greeting({"0": "127.0.0.1", "::": "::1"}[address])

    def mail(self, user: str) -> "list[pathlib.Path]":
        """What is in new/ of a user."""
        return self.mailbox(self.domain, user)

    def send(self, sender: str, recipients: "list[str]", message: bytes) -> None:
        """Queue a message."""
        code = self.inject(sender, recipients, message)

        assert code == 0, f"vq-queue: exit {code}"

    def retry(self) -> None:
        """Everything that waits is tried now."""
        self.processes["send"].send_signal(signal.SIGALRM)

    def discard_queue(self) -> None:
        """Throw away everything that waits."""
        self.stop("send")
        for part in ("mess", "todo", "intd", "info", "local", "remote", "bounce"):
            for each in (self.home / "queue" / part).rglob("*"):
                if each.is_file():
                    each.unlink()
        self.start_send()
