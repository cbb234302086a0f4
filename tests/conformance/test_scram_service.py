"""SCRAM-SHA-256 with the auth service, and with vq-auth where a single user owns everything: the same answers."""

import base64
import hashlib
import hmac
import os
import pathlib
import select
import typing

import pytest
import support
from scram_client import Client
from system import System

from vqmail.logins import authentication
from vqmail.store import roles

IN, WRONG, TROUBLE, MORE = 0, 1, 111, authentication.MORE
SALT = b"salt of sixteen."


def stored(password: bytes) -> str:
    """What Dovecot stores for a password."""
    salted = hashlib.pbkdf2_hmac("sha256", password, SALT, 4096)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    return "{SCRAM-SHA-256}4096," + ",".join(base64.b64encode(each).decode() for each in (
        SALT, stored_key, hmac.digest(salted, b"Server Key", "sha256")))


def passwd(uid: int) -> str:
    """Users with each kind of stored password; `late` may not log in."""
    return "".join(f"{name}:{form}:{uid}:{uid}::home/{name}:/bin/false\n" for name, form in (
        ("keys", stored(b"pencil")), ("clear", "{CLEAR}pencil"), ("hash", "$6$rounds=1000$salt$x"),
        ("late", stored(b"pencil"))))


@pytest.fixture(params=["service", "single"])
def home(request: pytest.FixtureRequest, tmp_path: pathlib.Path,
         monkeypatch: pytest.MonkeyPatch) -> "typing.Iterator[pathlib.Path]":
    system = None
    if request.param == "service":
        system = System(tmp_path)
        system.add_domain("example.test", {"bob": "secret"})
        virtual, path, uid = system.virtual, system.home, system.owner("example.test") + 1
        (virtual / "example.test/etc/passwd").write_text(passwd(uid))
        system.start_auth()
    else:
        one = support.make_home(tmp_path / "home")
        virtual, path, uid = one.path / "virtual", one.path, support.single_ids()[0]
        one.control("virtualroot", f"{virtual}\n")
        one.control("virtualdomains", "example.test:one\n")
        one.control("minuid", "1\n")
        one.write("virtual/example.test/etc/passwd", passwd(uid))
    options = virtual / "example.test/etc/options"
    options.write_text("late:suspended=login\n")
    options.chmod(0o644)
    monkeypatch.setattr(authentication, "SOCKET", os.fsencode(path / "run/auth/socket"))
    monkeypatch.setattr(authentication, "PROGRAM", os.fsencode(path / "bin/vq-auth"))
    monkeypatch.setattr(roles, "single_user", lambda: request.param == "single")
    yield path
    if system:
        system.stop()


def wait(exchange: authentication.Exchange, descriptor: int) -> authentication.Answer:
    assert [descriptor] == select.select([descriptor], [], [], 60)[0]
    return exchange.answer()


def log_in(name: bytes, password: bytes) -> "list":
    """The codes of the two answers, the name in the last one, and whether the server proved that it knew, too."""
    client = Client(name, password)
    exchange = authentication.Exchange({b"TCPREMOTEIP": b"192.0.2.1"}, b"smtp")
    try:
        first = wait(exchange, exchange.scram(client.first()))
        if first.code != MORE:
            return [first.code]
        last = wait(exchange, exchange.scram(client.final(first.more)))
        return [first.code, last.code, last.name, last.code == IN and client.expected == last.more]
    finally:
        exchange.close()


def test_who_gets_in_and_who_does_not(home: pathlib.Path) -> None:
    no = [MORE, WRONG, b"", False]

    assert [MORE, IN, b"keys@example.test", True] == log_in(b"keys@example.test", b"pencil")
    assert [MORE, IN, b"clear@example.test", True] == log_in(b"Clear@Example.test", b"pencil")
    assert [no] * 5 == [log_in(*each) for each in (
        (b"keys@example.test", b"wrong"), (b"clear@example.test", b"wrong"), (b"hash@example.test", b"pencil"),
        (b"nobody@example.test", b"pencil"), (b"late@example.test", b"pencil"))]


def test_passwords_are_checked_the_same_way(home: pathlib.Path) -> None:
    answers = []
    for secret in (b"pencil", b"wrong"):
        exchange = authentication.Exchange({}, b"smtp")
        answers.append(wait(exchange, exchange.check(b"keys@example.test", secret, b"")))
        exchange.close()

    assert [authentication.Answer(IN, b"keys@example.test", b""), authentication.Answer(WRONG, b"", b"")] == answers


@pytest.mark.parametrize("message", [b"", b"nonsense", b"n,,n=keys@example.test", b"n,a=other,n=keys@example.test,r=x",
                                     b"p=tls-unique,,n=keys@example.test,r=x", b"\0\0\0", b"n" * 9000])
def test_nonsense_is_refused(home: pathlib.Path, message: bytes) -> None:
    exchange = authentication.Exchange({}, b"smtp")
    answer = wait(exchange, exchange.scram(message))
    exchange.close()

    assert authentication.Answer(WRONG, b"", b"") == answer


def test_two_firsts_are_refused(home: pathlib.Path) -> None:
    client = Client(b"keys@example.test", b"pencil")
    exchange = authentication.Exchange({}, b"smtp")
    codes = [wait(exchange, exchange.scram(client.first())).code, wait(exchange, exchange.scram(client.first())).code]
    exchange.close()

    assert [MORE, WRONG] == codes


def test_client_that_leaves_early_leaves_nothing(home: pathlib.Path) -> None:
    for _ in range(30):
        exchange = authentication.Exchange({}, b"smtp")
        exchange.scram(Client(b"keys@example.test", b"pencil").first())
        exchange.close()

    assert [MORE, IN, b"keys@example.test", True] == log_in(b"keys@example.test", b"pencil")
