"""Where mail goes, asked of a real name server: nsd with a zone that has every case."""

import os
import pathlib
import subprocess
import typing

import dns.resolver
import pytest
import system as module

from vqmail import codes, vqhome
from vqmail.outgoing import mx, route
from vqmail.unix import addresses

pytestmark = pytest.mark.peers

MANY = 60
ZONE = f"""\
$ORIGIN far.test.
$TTL 300
@           SOA     ns root 1 3600 600 86400 60
@           NS      ns
@           MX      20 second
@           MX      5 first
@           MX      30 third.far.test.
@           MX      10 nothing
ns          A       127.0.0.1
first       A       203.0.113.1
second      AAAA    2001:db8::2
third       A       203.0.113.3
nothing     TXT     "no address here"
only-a      A       203.0.113.4
only-aaaa   AAAA    2001:db8::4
null        MX      0 .
null        A       203.0.113.5
null-both   MX      0 .
null-both   MX      10 first
text        TXT     "no mail here"
mx-nothing  MX      5 nothing
mx-none     MX      5 not.there
mx-literal  MX      5 203.0.113.6.
mx-odd      MX      5 a\\032b
mx-odd      MX      6 first
cname       CNAME   chain1
chain1      CNAME   chain2
chain2      CNAME   @
mx-cname    MX      5 alias
alias       CNAME   first
loop1       CNAME   loop2
loop2       CNAME   loop1
away        CNAME   host.elsewhere.test.
gone        CNAME   not.there
*.wild      MX      5 first
us          MX      5 first
us          MX      10 here
us          MX      10 third
only-us     MX      10 here
here        A       127.0.0.1
mixed       MX      5 broken.bad.test.
mixed       MX      10 second
bad         MX      5 broken.bad.test.
child       NS      ns.child
ns.child    A       203.0.113.9
{"".join(f"big MX {number} mx-with-a-rather-long-name-{number:03}" + chr(10) for number in range(MANY))}
{"".join(f"mx-with-a-rather-long-name-{number:03} A 198.51.100.{number}" + chr(10) for number in range(MANY))}
"""


class Server:
    """nsd on a port of its own."""

    def __init__(self, path: pathlib.Path) -> None:
        self.port = module.free_port()
        (path / "far.test").write_text(ZONE)
        (path / "bad.test").write_text("this is no zone\n")
        (path / "nsd.conf").write_text(
            f'server:\n  ip-address: 127.0.0.1\n  port: {self.port}\n  zonesdir: "{path}"\n  pidfile: "{path}/pid"\n'
            f'  database: ""\n  xfrdfile: "{path}/xfrd"\n  zonelistfile: "{path}/zones"\n  username: ""\n  server-count: 1\n'
            f"remote-control:\n  control-enable: no\n"
            + "".join(f'zone:\n  name: "{zone}"\n  zonefile: "{zone}"\n' for zone in ("far.test", "bad.test")))
        self.log = (path / "log").open("wb")
        self.process = subprocess.Popen(["/usr/sbin/nsd", "-d", "-c", path / "nsd.conf"], stdout=self.log, stderr=self.log)
        module.wait_until(self._answers, "an answer of nsd")

    def _answers(self) -> bool:
        try:
            return bool(resolver(self.port).resolve("ns.far.test.", "A", lifetime=5))
        except dns.exception.DNSException:
            return False

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        self.log.close()


def resolver(port: int) -> dns.resolver.Resolver:
    """A resolver that asks this machine only."""
    made = dns.resolver.Resolver(configure=False)
    made.nameservers = ["127.0.0.1"]
    made.port = port
    return made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[Server]":
    made = Server(tmp_path_factory.mktemp("nsd"))
    yield made
    made.close()


@pytest.fixture
def control(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(vqhome, "VQHOME", os.fsencode(tmp_path))
    (tmp_path / "control").mkdir()
    return tmp_path / "control"


@pytest.fixture
def names(server: Server, control: pathlib.Path) -> mx.Names:
    return mx.Names(mx.Resolver(resolver(server.port)))


def targets(names: mx.Names, host: bytes) -> "list[tuple[bytes, bytes]]":
    return [(each.address, each.name) for each in names.targets(route.Tables().find(host, b"bob@here.test"))]


FAR = [(b"203.0.113.1", b"first.far.test"), (b"2001:db8::2", b"second.far.test"), (b"203.0.113.3", b"third.far.test")]


@pytest.mark.parametrize(("host", "expected"), [
    (b"far.test", FAR),
    (b"FAR.Test", FAR),
    (b"far.test.", FAR),
    (b"cname.far.test", FAR),
    (b"only-a.far.test", [(b"203.0.113.4", b"only-a.far.test")]),
    (b"only-aaaa.far.test", [(b"2001:db8::4", b"only-aaaa.far.test")]),
    (b"null-both.far.test", [(b"203.0.113.1", b"first.far.test")]),
    (b"mx-literal.far.test", [(b"203.0.113.6", b"203.0.113.6")]),
    (b"mx-odd.far.test", [(b"203.0.113.1", b"first.far.test")]),
    (b"mx-cname.far.test", [(b"203.0.113.1", b"alias.far.test")]),
    (b"alias.far.test", [(b"203.0.113.1", b"alias.far.test")]),
    (b"any.wild.far.test", [(b"203.0.113.1", b"first.far.test")]),
    (b"us.far.test", [(b"203.0.113.1", b"first.far.test")]),
    (b"mixed.far.test", [(b"2001:db8::2", b"second.far.test")]),
])
def test_where_mail_goes(names: mx.Names, host: bytes, expected: "list[tuple[bytes, bytes]]") -> None:
    assert targets(names, host) == expected


@pytest.mark.parametrize(("host", "kind", "status"), [
    (b"not.there.far.test", codes.GiveUp, "(#5.1.2)"),
    (b"gone.far.test", codes.GiveUp, "(#5.1.2)"),
    (b"a..far.test", codes.GiveUp, "(#5.1.2)"),
    (b"x" * 64 + b".far.test", codes.GiveUp, "(#5.1.2)"),
    (b".".join([b"x" * 60] * 5), codes.GiveUp, "(#5.1.2)"),
    (b"\xff\0 .far.test", codes.GiveUp, "(#5.1.2)"),
    (b"text.far.test", codes.GiveUp, "(#5.4.4)"),
    (b"mx-nothing.far.test", codes.GiveUp, "(#5.4.4)"),
    (b"mx-none.far.test", codes.GiveUp, "(#5.4.4)"),
    (b"null.far.test", codes.GiveUp, "(#5.1.10)"),
    (b"only-us.far.test", codes.GiveUp, "(#5.4.6)"),
    (b"here.far.test", codes.GiveUp, "(#5.4.6)"),
    (b"loop1.far.test", codes.TryLater, "(#4.1.2)"),
    (b"away.far.test", codes.TryLater, "(#4.1.2)"),             # nsd refuses what is not its own
    (b"bad.far.test", codes.TryLater, "(#4.1.2)"),              # its MX is in a zone that nsd could not load
    (b"any.bad.test", codes.TryLater, "(#4.1.2)"),
    (b"any.child.far.test", codes.TryLater, "(#4.1.2)"),        # nsd says whom to ask, not what is there
    (b"any.other.test", codes.TryLater, "(#4.1.2)"),
])
def test_why_it_goes_nowhere(names: mx.Names, host: bytes, kind: "type[codes.Failure]", status: str) -> None:
    with pytest.raises(codes.Failure) as error:
        targets(names, host)

    assert (type(error.value), str(error.value)[-len(status):]) == (kind, status)
    assert "\n" not in str(error.value)


def test_an_answer_too_long_for_udp_comes_over_tcp(names: mx.Names) -> None:
    found = targets(names, b"big.far.test")

    assert [address for address, _ in found] == [b"198.51.100.%d" % number for number in range(20)]


def test_a_relay_may_be_this_machine(names: mx.Names, control: pathlib.Path) -> None:
    (control / "smtproutes").write_text("routed.test:here.far.test:2525\n")

    assert targets(names, b"routed.test") == [(b"127.0.0.1", b"here.far.test")]


def test_a_name_server_that_is_not_there_is_trouble(control: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mx, "ONE_LOOKUP", 0.5)
    names = mx.Names(mx.Resolver(resolver(module.free_port())))

    with pytest.raises(codes.TryLater) as error:
        targets(names, b"far.test")

    assert str(error.value) == "I cannot find out for now where mail for far.test goes: no name server answered. (#4.1.2)"


def test_of_two_name_servers_the_one_that_is_down_is_asked_once(server: Server, control: pathlib.Path) -> None:
    asked = resolver(server.port)
    asked.nameservers = ["127.0.0.99", "127.0.0.1"]
    asked.timeout = 0.2

    assert targets(mx.Names(mx.Resolver(asked)), b"far.test") == FAR
    assert asked.nameservers == ["127.0.0.1", "127.0.0.99"]


def test_a_resolv_conf_that_changes_is_read_anew(server: Server, control: pathlib.Path, tmp_path: pathlib.Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("search far.test\n")
    monkeypatch.setattr(mx, "RESOLV_CONF", os.fsencode(path))
    monkeypatch.setattr(mx, "ONE_LOOKUP", 0.5)
    names = mx.Names()
    with pytest.raises(codes.TryLater, match="there is no name server in /etc/resolv.conf"):
        targets(names, b"far.test")
    path.unlink()
    with pytest.raises(codes.TryLater):
        targets(names, b"far.test")
    path.write_text("nameserver 127.0.0.1\n")
    monkeypatch.setattr(dns.resolver.Resolver, "__init__", _with_port(server.port, dns.resolver.Resolver.__init__))

    assert targets(names, b"far.test") == FAR
    path.write_text("nameserver 127.0.0.1\nsearch far.test\n")
    with pytest.raises(codes.TryLater) as error:    # the search list is not for mail: nsd is asked for first, not first.far.test
        targets(names, b"first")
    assert str(error.value) == ("I cannot find out for now where mail for first goes: no name server has an answer (REFUSED). "
                                "(#4.1.2)")


def _with_port(port: int, make: "typing.Callable[..., None]") -> "typing.Callable[..., None]":
    def made(self: dns.resolver.Resolver, *arguments: object) -> None:
        make(self, *arguments)
        self.port = port

    return made


def test_our_own_addresses_are_those_that_ip_shows() -> None:
    shown = subprocess.run(["ip", "-o", "addr"], capture_output=True, text=True, check=True).stdout
    expected = {line.split()[3].partition("/")[0] for line in shown.splitlines() if line.split()[2] in ("inet", "inet6")}

    assert {mx.ip.text(each).decode() for each in addresses.own()} == expected


ALONE = """
import sys
sys.path.insert(0, {root!r})
from vqmail.formats import ip
from vqmail.unix import addresses
print(*sorted(ip.text(each).decode() for each in addresses.own()))
print(addresses.has_route(b"2001:db8::1"), addresses.has_route(b"198.51.100.1"), addresses.has_route(b"fd77::2"))
"""


@pytest.mark.root
def test_all_addresses_of_all_interfaces_are_ours(tmp_path: pathlib.Path) -> None:
    script = ("ip link set lo up && ip addr add 10.9.8.7/32 dev lo && ip addr add 10.9.8.6/24 dev lo label lo:1 && "
              "ip addr add fd77::1/64 dev lo nodad && ip tuntap add tun0 mode tun && ip link set tun0 up && "
              "ip addr add 10.1.1.1 peer 10.2.2.2 dev tun0 && exec \"$@\"")
    done = subprocess.run(["unshare", "-n", "sh", "-c", script, "sh", "/usr/bin/python3", "-I", "-S", "-c",
                           ALONE.format(root=str(pathlib.Path(__file__).parents[2]))], capture_output=True, text=True, check=True)

    assert done.stdout.split("\n")[:2] == ["10.1.1.1 10.9.8.6 10.9.8.7 127.0.0.1 ::1 fd77::1", "False False True"]
