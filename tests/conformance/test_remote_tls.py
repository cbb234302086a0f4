"""vq-remote and hosts with TLS and AUTH: what is secured, who must prove his name, and who logs in."""

import ssl
import typing

import pytest
from certificates import Authority
from remote_script import BOTH, HELLO, ONE, OFFER_TLS, TAKE, TAKEN, TAKEN_BY_2, secure, two
from remote_script import authority, home, world  # noqa: F401
from remote_world import CLOSE, World


def test_tls_is_used_where_it_is_offered(world: World, authority: Authority) -> None:
    server = world.serve([*secure(authority, "other.test"), *TAKE])

    assert world.send(b"x" * 200_000) == TAKEN
    world.close()
    assert (server.peers[0].tls, server.peers[0].lines[:3]) == (True, ["EHLO host.test", "STARTTLS", "EHLO host.test"])
    assert server.peers[0].texts == [b"x" * 200_000 + b"\r\n.\r\n"]


@pytest.mark.parametrize("lie", [
    [b"454 not now\r\n", *TAKE],
    [b"502 what\r\n", *TAKE],
])
def test_who_offers_tls_and_says_no_gets_the_mail_in_the_same_connection(world: World, lie: "list[typing.Any]") -> None:
    server = world.serve([*OFFER_TLS, *lie])

    assert world.send() == TAKEN
    world.close()
    assert len(server.peers) == 1


LIES = [[CLOSE], [b"220 go\r\n", CLOSE], [b"220 go\r\n", b"220 this is no TLS\r\n", CLOSE], [b"220 go\r\n250 injected\r\n", CLOSE],
        [b"hm\r\n", CLOSE]]


@pytest.mark.parametrize("lie", LIES)
def test_broken_tls_is_not_tried_twice(world: World, lie: "list[typing.Any]") -> None:
    server = world.serve([*OFFER_TLS, *lie], [b"220 mx\r\n", "EHLO", b"250-mx\r\n250 STARTTLS\r\n", *TAKE])
    done = world.home.run(["vq-remote", "x.test", "ann@a.test", "bob@x.test"], b"x\n")

    assert done.stdout == TAKEN
    assert done.stderr.startswith(b"vq-remote: 127.0.0.1 (127.0.0.1): TLS failed, sending in the clear: ")
    world.close()
    assert (len(server.peers), "STARTTLS" in server.peers[1].lines) == (2, False)


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("files", [
    {"tlshosts": "x.test\n"},
    {"smtproutes": ":127.0.0.1:%d|ann|tea\n"},
])
def test_mail_that_must_be_secured_waits_when_tls_is_broken(world: World, lie: "list[typing.Any]", files: "dict[str, str]") -> None:
    server = world.serve([*OFFER_TLS, *lie])
    for name, text in files.items():
        world.home.control(name, text.replace("%d", str(server.port)))
    said = world.send()

    assert said.startswith(b"ZConnected to 127.0.0.1 but TLS failed: ")
    assert said.endswith(b". (#4.7.5)\n\0")
    world.close()
    assert [each.texts for each in server.peers] == [[]]


def test_a_host_in_tlshosts_that_proves_its_name(world: World, authority: Authority) -> None:
    world.home.control("tlscafile", str(authority.ca) + "\n")
    server = world.serve([*secure(authority, "127.0.0.1"), *TAKE])
    world.home.control("tlshosts", "x.test\n")

    assert world.send() == TAKEN
    world.close()
    assert server.peers[0].tls


@pytest.mark.parametrize(("name", "believed", "why"), [
    ("other.test", True, b"ip address mismatch, certificate is not valid for '127.0.0.1'"),
    ("127.0.0.1", False, b"unable to get local issuer certificate"),
])
def test_a_host_in_tlshosts_that_does_not(world: World, authority: Authority, name: str, believed: bool, why: bytes) -> None:
    if believed:
        world.home.control("tlscafile", str(authority.ca) + "\n")
    server = world.serve([*secure(authority, name), *TAKE])
    world.home.control("tlshosts", "x.test\n")

    assert world.send() == b"ZConnected to 127.0.0.1 but TLS failed: %s. (#4.7.5)\n\0" % why
    world.close()
    assert [each.texts for each in server.peers] == [[]]


@pytest.mark.parametrize(("script", "report"), [
    (HELLO, b"ZConnected to 127.0.0.1 but it offers no TLS, without which it gets no mail: see control/tlshosts. (#4.7.0)\n\0"),
    ([*OFFER_TLS, b"454 not now\r\n"],
     b"ZConnected to 127.0.0.1 but it would not start TLS. (#4.7.0)\nRemote host said: 454 not now\n\0"),
])
def test_a_host_in_tlshosts_without_tls(world: World, script: "list[typing.Any]", report: bytes) -> None:
    world.serve(script)
    world.home.control("tlshosts", "x.test\n")

    assert report == world.send()


def test_authorities_that_cannot_be_read_are_trouble(world: World, authority: Authority) -> None:
    world.home.control("tlscafile", "/nonexistent\n")
    world.home.control("tlshosts", "x.test\n")
    server = world.serve([*secure(authority, "127.0.0.1"), *TAKE])

    assert world.send() == (b"Zcannot use the authorities in /nonexistent, which control/tlscafile names: "
                            b"No such file or directory (#4.3.0)\n\0")
    world.close()
    assert server.peers[0].texts == []


def test_tls_older_than_1_2_is_none(world: World, authority: Authority) -> None:
    old = authority.server("127.0.0.1")
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    world.serve([*OFFER_TLS, b"220 go\r\n", old, *HELLO[1:], *TAKE])
    world.home.control("tlshosts", "x.test\n")
    world.home.control("tlscafile", str(authority.ca) + "\n")

    assert world.send().startswith(b"ZConnected to 127.0.0.1 but TLS failed: ")


def test_tls_from_the_first_byte(world: World, authority: Authority) -> None:
    server = world.serve([authority.server("other.test"), *HELLO, *TAKE, *TAKE])

    assert [TAKEN] * 2 == world.send_all((ONE, b"1\n"), (ONE, b"2\n"), smtps=True)
    world.close()
    assert [(each.tls, len(each.texts)) for each in server.peers] == [(True, 2)]


def test_tls_from_the_first_byte_or_not_at_all(world: World) -> None:
    server = world.serve([b"220 mx\r\n", CLOSE])
    said = world.send_all((ONE, b"x\n"), smtps=True)[0]

    assert said.startswith(b"ZConnected to 127.0.0.1 but TLS failed: ")
    assert len(server.peers) == 1


def test_tls_from_the_first_byte_and_a_name_to_prove(world: World, authority: Authority) -> None:
    world.home.control("tlscafile", str(authority.ca) + "\n")
    world.home.control("tlshosts", "mx1.x.test\nmx2.x.test\n")
    one, other = two(world, [[authority.server("mx2.x.test"), *HELLO, *TAKE]],
                     [[authority.server("mx2.x.test"), *HELLO, *TAKE]])

    assert [TAKEN_BY_2] == world.send_all((BOTH, b"x\n"), smtps=True)
    world.close()
    assert one.peers[0].texts == []


# ---- AUTH ----

AUTH: "list[typing.Any]" = [b"220 mx\r\n", "EHLO", b"250-mx\r\n250 AUTH LOGIN PLAIN\r\n", "AUTH PLAIN AGFubgB0ZWE="]


def test_the_relay_wants_a_login(world: World) -> None:
    server = world.serve([*AUTH, b"235 hello\r\n", *TAKE])
    world.home.control("authsenders", f"ann@a.test:127.0.0.1:{server.port}|ann|tea\n")

    assert world.send() == TAKEN


def test_a_wrong_password_is_temporary(world: World) -> None:
    server = world.serve([*AUTH, b"535 5.7.8 no\r\n"])
    world.home.control("authsenders", f"ann@a.test:127.0.0.1:{server.port}|ann|tea\n")

    assert world.send() == (b"ZConnected to 127.0.0.1 but authentication was rejected; see control/authsenders and smtproutes. "
                            b"(#4.7.8)\nRemote host said: 535 5.7.8 no\n\0")


def test_a_login_in_tls(world: World, authority: Authority) -> None:
    server = world.serve([*secure(authority, "x.test")[:-1], b"250-mx\r\n250 AUTH PLAIN\r\n", "AUTH PLAIN AGFubgB0ZWE=",
                          b"235 hello\r\n", *TAKE])
    world.home.control("smtproutes", f":127.0.0.1:{server.port}|ann|tea\n")

    assert world.send() == TAKEN
