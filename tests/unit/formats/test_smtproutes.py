"""Lines of smtproutes, authsenders, outgoingip and tlshosts (QMAIL interfaces 13.2 and 19)."""

import pytest

from vqmail.formats import smtproutes


def test_a_host_is_looked_for_by_its_name_then_by_what_is_above_it_then_by_nothing() -> None:
    assert smtproutes.host_keys(b"A.b.Example") == [b"a.b.example", b".b.example", b".example", b""]
    assert smtproutes.host_keys(b"a.example.") == [b"a.example", b".example", b""]
    assert smtproutes.host_keys(b"[1.2.3.4]") == [b"[1.2.3.4]", b""]


def test_a_sender_is_looked_for_by_address_then_by_domain_then_by_nothing() -> None:
    assert smtproutes.sender_keys(b"Bob@A.Example") == [b"bob@a.example", b"@a.example", b".example", b""]
    assert smtproutes.sender_keys(b"") == [b""]
    assert smtproutes.sender_keys(b"bob") == [b"bob", b""]


@pytest.mark.parametrize(("line", "key", "host", "port"), [
    (b"Example.TEST:Relay.test", b"example.test", b"relay.test", 25),
    (b".example.test:relay.test:26", b".example.test", b"relay.test", 26),
    (b":relay.test", b"", b"relay.test", 25),
    (b"example.test:", b"example.test", b"", 25),
    (b"example.test::2525", b"example.test", b"", 2525),
    (b"example.test:10.0.0.1", b"example.test", b"10.0.0.1", 25),
    (b"example.test:[10.0.0.1]", b"example.test", b"10.0.0.1", 25),
    (b"example.test:[10.0.0.1]:26", b"example.test", b"10.0.0.1", 26),
    (b"example.test:2001:DB8::1", b"example.test", b"2001:db8::1", 25),
    (b"example.test:2001:db8::1:26", b"example.test", b"2001:db8::1:26", 25),       # an address, for it has no brackets
    (b"example.test:[2001:db8::1]", b"example.test", b"2001:db8::1", 25),
    (b"example.test:[IPv6:2001:db8::1]:26", b"example.test", b"2001:db8::1", 26),
    (b":::1", b"", b"::1", 25),
    (b"example.test:[relay.test]:587", b"example.test", b"relay.test", 587),
    (b"[1.2.3.4]:relay.test", b"[1.2.3.4]", b"relay.test", 25),
    (b"[IPv6:::1]:relay.test", b"[ipv6:::1]", b"relay.test", 25),
    (b"example.test:relay.test.", b"example.test", b"relay.test", 25),
    (b"example.test:relay_1.test:65535", b"example.test", b"relay_1.test", 65535),
])
def test_a_route(line: bytes, key: bytes, host: bytes, port: int) -> None:
    found, value = smtproutes.split_route(line)

    assert (found, smtproutes.relay(value)) == (key, smtproutes.Relay(host, port, b"", b""))


@pytest.mark.parametrize(("line", "host", "port", "user", "password"), [
    (b"example.test:relay.test|me|secret", b"relay.test", 25, b"me", b"secret"),
    (b"example.test:relay.test:587|me@x:y|Sec:r|et", b"relay.test", 587, b"me@x:y", b"Sec:r|et"),
    (b"example.test:[::1]:587|me|s", b"::1", 587, b"me", b"s"),
    (b"example.test:|me|s", b"", 25, b"me", b"s"),
])
def test_a_route_with_a_password(line: bytes, host: bytes, port: int, user: bytes, password: bytes) -> None:
    assert smtproutes.relay(smtproutes.split_route(line)[1]) == smtproutes.Relay(host, port, user, password)


@pytest.mark.parametrize(("line", "why"), [
    (b"relay.test", "it has no colon; write domain:relay, or :relay for all mail"),
    (b"exa mple.test:relay.test", "'exa mple.test' is no host name: letters, digits, dots and hyphens make one"),
    (b"example.test:relay.test\r", "'relay.test\\r' is no host name: letters, digits, dots and hyphens make one"),
    (b"example.test: relay.test", "' relay.test' is no host name: letters, digits, dots and hyphens make one"),
    (b"example.test:relay.test:", "its port is no number from 1 to 65535; an IPv6 address with a port is written [address]:port"),
    (b"example.test:relay.test:0", "its port is no number from 1 to 65535; an IPv6 address with a port is written [address]:port"),
    (b"example.test:relay.test:65536", "its port is no number from 1 to 65535; an IPv6 address with a port is written [address]:port"),
    (b"example.test:relay.test:+25", "its port is no number from 1 to 65535; an IPv6 address with a port is written [address]:port"),
    (b"example.test:1:2:3", "its port is no number from 1 to 65535; an IPv6 address with a port is written [address]:port"),
    (b"example.test:[::1", "its brackets are not right; write [address]:port"),
    (b"example.test:[::1]25", "its brackets are not right; write [address]:port"),
    (b"example.test:[]:25", "there is nothing in its brackets; write [address]:port"),
    (b"example.test:[::1::2]", "'::1::2' is no host name: letters, digits, dots and hyphens make one"),
    (b"example.test:relay.test|me", "its AUTH is not complete; write |user|password behind the relay"),
    (b"example.test:relay.test||secret", "its AUTH is not complete; write |user|password behind the relay"),
    (b"example.test:relay.test|me|", "its AUTH is not complete; write |user|password behind the relay"),
])
def test_what_is_wrong_with_a_route_is_said(line: bytes, why: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        smtproutes.relay(smtproutes.split_route(line)[1])

    assert str(error.value) == why


@pytest.mark.parametrize(("line", "key", "host", "port", "password"), [
    (b"Bob@Example.test|me|pw", b"bob@example.test", b"", 25, b"pw"),
    (b"bob@example.test:relay.test|me|pw", b"bob@example.test", b"relay.test", 25, b"pw"),
    (b"@example.test:relay.test:587|me|a:b|c", b"@example.test", b"relay.test", 587, b"a:b|c"),
    (b".example.test:[::1]:587|me|pw", b".example.test", b"::1", 587, b"pw"),
    (b":relay.test|me|pw", b"", b"relay.test", 25, b"pw"),
    (b"|me|pw", b"", b"", 25, b"pw"),
    (b"bob@[IPv6:::1]:relay.test|me|pw", b"bob@[ipv6:::1]", b"relay.test", 25, b"pw"),
])
def test_a_sender_with_a_password(line: bytes, key: bytes, host: bytes, port: int, password: bytes) -> None:
    found, value = smtproutes.split_sender(line)

    assert (found, smtproutes.authenticated_relay(value)) == (key, smtproutes.Relay(host, port, b"me", password))


@pytest.mark.parametrize(("line", "why"), [
    (b"example.test:relay.test|me|pw", "its sender is no address, @domain or .domain; write sender:relay|user|password"),
    (b"@exa mple.test:relay.test|me|pw", "its sender is no address, @domain or .domain; write sender:relay|user|password"),
    (b"@example.test:relay.test", "it has no user and password; write sender:relay|user|password"),
    (b"@example.test:relay.test|me", "its AUTH is not complete; write |user|password behind the relay"),
])
def test_what_is_wrong_with_a_sender_is_said(line: bytes, why: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        smtproutes.authenticated_relay(smtproutes.split_sender(line)[1])

    assert str(error.value) == why


@pytest.mark.parametrize(("line", "key", "packed"), [
    (b"10.0.0.1", b"", b"\x0a\0\0\1"),
    (b"2001:db8::1", b"", b"\x20\x01\x0d\xb8" + bytes(11) + b"\1"),
    (b"[2001:db8::1]", b"", b"\x20\x01\x0d\xb8" + bytes(11) + b"\1"),
    (b":10.0.0.1", b"", b"\x0a\0\0\1"),
    (b"Example.test:10.0.0.1", b"example.test", b"\x0a\0\0\1"),
    (b".example.test:::1", b".example.test", bytes(15) + b"\1"),
    (b"example.test:[::1]", b"example.test", bytes(15) + b"\1"),
])
def test_an_address_to_send_from(line: bytes, key: bytes, packed: bytes) -> None:
    assert smtproutes.split_address(line) == (key, packed)


@pytest.mark.parametrize("line", [b"example.test", b"example.test:", b"10.0.0.256", b"example.test:10.0.0.1:25",
                                  b"exa mple.test:10.0.0.1", b"10.0.0.1/8", b"eth0"])
def test_what_is_no_address_to_send_from(line: bytes) -> None:
    with pytest.raises(ValueError, match="there is no IP address in it|is no host name"):
        smtproutes.split_address(line)


def test_a_host_that_must_prove_its_name() -> None:
    assert smtproutes.tls_host(b"Example.TEST.") == b"example.test"
    assert smtproutes.tls_host(b".example.test") == b".example.test"


@pytest.mark.parametrize("line", [b"*.example.test", b"example.test 25", b"example.test\r", b".", b".."])
def test_what_is_no_host_that_must_prove_its_name(line: bytes) -> None:
    with pytest.raises(ValueError, match="is no host name"):
        smtproutes.tls_host(line)


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(smtproutes.relay(b"relay.test|me|secret"))
