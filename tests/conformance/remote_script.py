"""What hosts that follow a script say, what vq-remote reports of it, and the fixtures of its tests."""

import typing

import pytest
import support
from certificates import Authority
from remote_world import TEXT, Server, World

IP = b"127.0.0.1"
HELLO: "list[typing.Any]" = [b"220 mx ESMTP\r\n", "EHLO", b"250 mx\r\n"]
MAIL: "list[typing.Any]" = ["MAIL", b"250 ok\r\n", "RCPT", b"250 ok\r\n"]
TAKE: "list[typing.Any]" = [*MAIL, "DATA", b"354 go\r\n", TEXT, b"250 ok 12\r\n"]
TAKEN = b"r\0K127.0.0.1 accepted message.\nRemote host said: 250 ok 12\n\0"
DIED = b"ZConnected to 127.0.0.1 but connection died. (#4.4.2)\n\0"
DUPLICATE = b"ZConnected to 127.0.0.1 but connection died. Possible duplicate! (#4.4.2)\n\0"
OFFER_TLS: "list[typing.Any]" = [b"220 mx ESMTP\r\n", "EHLO", b"250-mx\r\n250 STARTTLS\r\n", "STARTTLS"]
HARD, SOFT = b"500 5.3.0 Error: command failed\n", b"450 4.3.0 Error: command failed\n"
CLOSING = b"421 4.0.0 Server closing connection\n"
BOTH = [("127.0.0.1", "mx1.x.test"), ("127.0.0.2", "mx2.x.test")]
ONE = BOTH[:1]
TAKEN_BY_2 = TAKEN.replace(b"127.0.0.1", b"127.0.0.2")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> support.Home:
    """One for all tests: to install it takes longer than all that a test does."""
    return support.make_home(tmp_path_factory.mktemp("home") / "home")


@pytest.fixture
def world(home: support.Home) -> "typing.Iterator[World]":
    made = World(home)
    yield made
    made.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    path = tmp_path_factory.mktemp("authority")
    for parent in (path, path.parent):
        parent.chmod(0o755)
    return Authority(path / "ca")


def secure(authority: Authority, name: str) -> "list[typing.Any]":
    return [*OFFER_TLS, b"220 go\r\n", authority.server(name), *HELLO[1:]]


def two(world: World, first: "list[list[typing.Any]]", second: "list[list[typing.Any]]") -> "tuple[Server, Server]":
    """Two hosts on one port of two addresses."""
    one = world.serve(*first)
    other = world.serve(*second, address="127.0.0.2", port=one.port)
    world.route(one.port)
    return one, other


def greeting(said: bytes) -> bytes:
    return b"ZConnected to %s but greeting failed.\nRemote host said: %s\0" % (IP, said)


def rejected(letter: bytes, what: bytes, said: bytes) -> bytes:
    return b"%sConnected to %s but %s was rejected.\nRemote host said: %s\0" % (letter, IP, what, said)


def disliked(letter: bytes, said: bytes) -> bytes:
    return b"%s%s does not like recipient.\nRemote host said: %s\0DGiving up on %s.\n\0" % (letter, IP, said, IP)


def failed(letter: bytes, when: bytes, said: bytes) -> bytes:
    return b"r\0%s%s failed %s.\nRemote host said: %s\0" % (letter, IP, when, said)
