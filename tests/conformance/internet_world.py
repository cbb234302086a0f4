"""Two hosts with vqmail, one with Postfix, and servers with a fault each, all in the little internet of tests/internet.py."""

import pathlib
import re

import certificates
import internet
import oddservers
import postfix
import system as module

# mail.a.test has a second address to send from; nobody listens at closed.test, and late.test is up when a test says so
ZONE = """
a IN MX 10 mail.a
mail.a IN A 192.0.2.10
b IN MX 10 mail.b
mail.b IN A 192.0.2.11
mail.b IN AAAA 2001:db8::11
c IN MX 10 mail.c
mail.c IN A 192.0.2.12
mail.c IN AAAA 2001:db8::12

taker IN MX 10 mail.taker
mail.taker IN A 192.0.2.20
greylist IN MX 10 mail.greylist
mail.greylist IN A 192.0.2.21
refuse IN MX 10 mail.refuse
mail.refuse IN A 192.0.2.22
full IN MX 10 mail.full
full IN MX 20 mail.taker
mail.full IN A 192.0.2.23
busy IN MX 10 mail.busy
busy IN MX 20 mail.taker
mail.busy IN A 192.0.2.24
dies IN MX 10 mail.dies
mail.dies IN A 192.0.2.25
tls IN MX 10 mail.tls
mail.tls IN A 192.0.2.26
garbage IN MX 10 mail.garbage
mail.garbage IN A 192.0.2.27
liar IN MX 10 mail.liar
mail.liar IN A 192.0.2.28
impostor IN MX 10 mail.impostor
mail.impostor IN A 192.0.2.29
stranger IN MX 10 mail.stranger
mail.stranger IN A 192.0.2.33
oneeach IN MX 10 mail.oneeach
mail.oneeach IN A 192.0.2.34
allfull IN MX 10 mail.full
allbusy IN MX 10 mail.busy
mail.closed IN A 192.0.2.30
mail.late IN A 192.0.2.31
late IN MX 10 mail.late
mail.relay IN A 192.0.2.32
mail.relay IN AAAA 2001:db8::32
six IN MX 10 mail.six
mail.six IN AAAA 2001:db8::26

mail.unreachable IN A 198.51.100.1
mail.hole IN A 198.51.100.200
two IN MX 10 mail.closed
two IN MX 10 mail.unreachable
two IN MX 20 mail.taker
hole IN MX 10 mail.hole
hole IN MX 20 mail.taker
dual IN MX 10 mail.dual
mail.dual IN AAAA 2001:db8::32
mail.dual IN A 192.0.2.20
implicit IN A 192.0.2.20
cname IN CNAME taker
mxcname IN MX 10 other.taker
other.taker IN CNAME mail.taker
nullmx IN MX 0 .
nothing IN TXT "a name without an address"
loop IN MX 10 mail.a
backup IN MX 10 mail.closed
backup IN MX 20 mail.a
backup IN MX 30 mail.taker
"""
USERS = ("bob", "ann")


class World:
    """All of it.  Tests tell their messages apart by a token in the Subject."""

    def __init__(self, path: pathlib.Path) -> None:
        self.net = internet.Internet(path)
        self.servers: dict[str, oddservers.Server] = {}
        self.vqmail: list[internet.Vqmail] = []
        self.postfix: postfix.Postfix | None = None
        self._tokens = 0
        try:
            self._build(path)
        except BaseException:
            self.close()
            raise

    def _build(self, path: pathlib.Path) -> None:
        self.net.start_dns(ZONE, broken=("servfail.test",))
        self.authority = certificates.Authority(path / "authority")
        a, b, c = (self.net.host(f"mail.{name}.test", *addresses) for name, *addresses in (
            ("a", "192.0.2.10", "192.0.2.110", "2001:db8::10"), ("b", "192.0.2.11", "2001:db8::11"),
            ("c", "192.0.2.12", "2001:db8::12")))
        self._place_odd_servers()
        self.c = self.postfix = postfix.Postfix(path / "c", c, "c.test", USERS, self.authority.certify("mail.c.test"))
        self.a = self._place_vqmail(path / "a", a, "a.test")
        self.b = self._place_vqmail(path / "b", b, "b.test")
        self.a.open_door(warm=False)
        self.b.open_door(warm=True)
        self.b.open_door(warm=True, address="::")
        self.hosts = {"a": self.a, "b": self.b, "c": self.c}

    def _place_vqmail(self, path: pathlib.Path, namespace: internet.Namespace, domain: str) -> internet.Vqmail:
        host = internet.Vqmail(path, namespace, domain, USERS)
        self.vqmail.append(host)
        host.control("timeoutconnect", "2\n")
        host.control("timeoutremote", "20\n")
        host.start_all()
        return host

    def _place_odd_servers(self) -> None:
        self.far = self.net.host("far.test", *(f"192.0.2.{number}" for number in range(20, 35)), "2001:db8::26", "2001:db8::32")
        certificate = self.authority.certify("mail.tls.test")
        nobody = certificates.Authority(self.net.path / "nobody")
        for number, name, kind, *options in (
                (20, "taker", oddservers.Server), (21, "greylist", oddservers.Greylist), (22, "refuse", oddservers.Refuses),
                (23, "full", oddservers.Greets, "554 5.3.2 no room for anybody"),
                (24, "busy", oddservers.Greets, "421 4.3.2 too many already"), (25, "dies", oddservers.Dies, 2),
                (26, "tls", oddservers.Tls, certificate), (27, "garbage", oddservers.Liar, "220 2.0.0 go on"),
                (28, "liar", oddservers.Liar, "454 4.7.0 no TLS today"), (29, "impostor", oddservers.Tls, certificate),
                (33, "stranger", oddservers.Tls, nobody.certify("mail.stranger.test"))):
            self.place(name, f"192.0.2.{number}", kind, *options)
        self.place("oneeach", "192.0.2.34", oddservers.OneEach)
        self.place("six", "2001:db8::26", oddservers.Server)

    def place(self, name: str, address: str, kind: "type", *options: object, port: int = 25) -> oddservers.Server:
        """Put a server of a kind on an address of far.test."""
        self.servers[name] = kind(self.far.listen(address, port), f"mail.{name}.test", *options)
        return self.servers[name]

    def token(self) -> str:
        """Something that no other message has in it."""
        self._tokens += 1
        return f"token{self._tokens:05}x"

    # what came of a message

    def letters(self, host: "internet.Vqmail | postfix.Postfix", user: str, token: str) -> "list[bytes]":
        """The messages with that token in their header."""
        return [text for text in _texts(host, user) if token.encode() in text.partition(b"\n\n")[0]]

    def bounces(self, host: "internet.Vqmail | postfix.Postfix", user: str, token: str) -> "list[bytes]":
        """The bounces of such messages."""
        return [text for text in _texts(host, user)
                if token.encode() in text.partition(b"\n\n")[2] and text.startswith(b"Return-Path: <>\n")]

    def arrives(self, host: "internet.Vqmail | postfix.Postfix", user: str, token: str) -> bytes:
        """The message, as soon as it is there and nothing waits any more: a single copy."""
        module.wait_until(lambda: self.letters(host, user, token), f"mail {token} for {user}@{host.domain}")
        self.settle()
        letter, = self.letters(host, user, token)
        return letter

    def is_bounced(self, host: "internet.Vqmail | postfix.Postfix", user: str, token: str) -> bytes:
        """The bounce, as soon as it is there and nothing waits any more: a single one."""
        module.wait_until(lambda: self.bounces(host, user, token), f"the bounce of {token} to {user}@{host.domain}")
        self.settle()
        bounce, = self.bounces(host, user, token)
        return bounce

    def is_taken(self, name: str, token: str) -> oddservers.Letter:
        """The letter that a server has got, as soon as nothing waits any more: a single copy."""
        module.wait_until(lambda: self.servers[name].taken(token), f"mail {token} at {name}.test")
        self.settle()
        letter, = self.servers[name].taken(token)
        return letter

    def settle(self) -> None:
        """Wait until nothing is in any queue."""
        for name, host in self.hosts.items():
            module.wait_until(host.queue_is_empty, f"an empty queue on {name}")

    def tidy(self) -> None:
        """What a test that failed has left waiting is not to fail those that follow."""
        for host in self.vqmail:
            if not host.queue_is_empty():
                host.discard_queue()

    def close(self) -> None:
        """Take it all away."""
        for server in self.servers.values():
            server.close()
        for host in self.vqmail:
            host.stop()
        if self.postfix is not None:
            self.postfix.stop()
        self.net.close()


class Log:
    """What a host logs from now on."""

    def __init__(self, host: internet.Vqmail) -> None:
        self._host = host
        self._begin = len(host.log())

    def text(self) -> str:
        return self._host.log()[self._begin:]

    def wait_for(self, pattern: str, times: int = 1) -> "list[str]":
        """Until `pattern` has been logged so often."""
        module.wait_until(lambda: len(re.findall(pattern, self.text())) >= times, f"{times} times {pattern!r} in the log")
        return re.findall(pattern, self.text())


def message(token: str, body: bytes = b"hello\n", sender: str = "bob@a.test") -> bytes:
    """A message with the token in its Subject."""
    return b"From: %s\nSubject: %s\n\n%s" % (sender.encode(), token.encode(), body)


def _texts(host: "internet.Vqmail | postfix.Postfix", user: str) -> "list[bytes]":
    return [each.read_bytes() for each in host.mail(user)]
