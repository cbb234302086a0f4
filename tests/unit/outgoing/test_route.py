"""Which line of the control files counts, and what happens to one that makes no sense."""

import os
import pathlib

import pytest

from vqmail import codes, vqhome
from vqmail.outgoing import route


@pytest.fixture
def control(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(vqhome, "VQHOME", os.fsencode(tmp_path))
    (tmp_path / "control").mkdir()
    return tmp_path / "control"


def shown(found: route.Route) -> "tuple[bytes, int, bool]":
    return found.host, found.port, found.direct


def test_without_control_files_it_is_the_mx_of_the_host_and_nothing_else(control: pathlib.Path) -> None:
    found = route.Tables().find(b"Far.Test", b"bob@here.test")

    assert shown(found) == (b"far.test", 25, False)
    assert (found.user, found.password, found.sources, found.tls) == (b"", b"", (b"", b""), route.MAY)
    assert not found.must_prove(b"mx.far.test")


ROUTES = """\
# comments and empty lines do not count

far.test:exact.test
.far.test:below.test:26
.deep.far.test:deep.test
mx.far.test:
:all.test
twice.test:first.test
TWICE.test:second.test
"""


@pytest.mark.parametrize(("host", "expected"), [
    (b"far.test", (b"exact.test", 25, True)),
    (b"FAR.test.", (b"exact.test", 25, True)),
    (b"a.far.test", (b"below.test", 26, True)),
    (b"b.a.far.test", (b"below.test", 26, True)),
    (b"deep.far.test", (b"below.test", 26, True)),
    (b"a.deep.far.test", (b"deep.test", 25, True)),
    (b"mx.far.test", (b"mx.far.test", 25, False)),
    (b"notfar.test", (b"all.test", 25, True)),
    (b"[1.2.3.4]", (b"all.test", 25, True)),
    (b"twice.test", (b"second.test", 25, True)),
])
def test_the_most_specific_route_counts(control: pathlib.Path, host: bytes, expected: "tuple[bytes, int, bool]") -> None:
    (control / "smtproutes").write_text(ROUTES)

    assert shown(route.Tables().find(host, b"bob@here.test")) == expected


@pytest.mark.parametrize(("host", "expected"), [
    (b"[1.2.3.4]", b"[1.2.3.4]"), (b"[IPv6:::1]", b"[ipv6:::1]"), (b"1.2.3.4", b"[1.2.3.4]"),
])
def test_an_address_of_a_recipient_keeps_brackets_and_has_no_mx(control: pathlib.Path, host: bytes, expected: bytes) -> None:
    assert shown(route.Tables().find(host, b"bob@here.test")) == (expected, 25, True)


SENDERS = """\
bob@here.test:bob.test:587|bob|Secret
@here.test:here.test|all|of:us
.here.test|sub|pw
"""


@pytest.mark.parametrize(("sender", "expected", "login"), [
    (b"Bob@Here.test", (b"bob.test", 587, True), (b"bob", b"Secret")),
    (b"eve@here.test", (b"here.test", 25, True), (b"all", b"of:us")),
    (b"eve@sub.here.test", (b"far.test", 25, False), (b"sub", b"pw")),
    (b"eve@elsewhere.test", (b"routed.test", 25, True), (b"", b"")),
    (b"", (b"routed.test", 25, True), (b"", b"")),
])
def test_a_sender_with_a_relay_of_his_own_wins_over_the_route_of_the_host(
        control: pathlib.Path, sender: bytes, expected: "tuple[bytes, int, bool]", login: "tuple[bytes, bytes]") -> None:
    (control / "smtproutes").write_text("far.test:routed.test\n")
    (control / "authsenders").write_text(SENDERS)
    found = route.Tables().find(b"far.test", sender)

    assert shown(found) == expected
    assert (found.user, found.password) == login
    assert not found.password or found.password.decode() not in repr(found)


def test_a_sender_of_nothing_is_everybody_bounces_too(control: pathlib.Path) -> None:
    (control / "authsenders").write_text(":relay.test|me|pw\n")

    assert route.Tables().find(b"far.test", b"").user == b"me"
    assert route.Tables().find(b"far.test", b"bob@here.test").user == b"me"


def test_a_route_has_a_password_too(control: pathlib.Path) -> None:
    (control / "smtproutes").write_text(":relay.test:465|me|P|W\n")
    found = route.Tables().find(b"far.test", b"bob@here.test")

    assert (found.user, found.password, found.tls) == (b"me", b"P|W", route.SMTPS)


@pytest.mark.parametrize(("sender", "sources"), [
    (b"a@elsewhere.test", (b"10.0.0.1", b"2001:db8::1")),
    (b"", (b"10.0.0.1", b"2001:db8::1")),
    (b"a@One.test", (b"10.0.0.2", b"2001:db8::1")),
    (b"a@two.test", (b"10.0.0.1", b"2001:db8::3")),
    (b"a@sub.two.test", (b"10.0.0.4", b"2001:db8::1")),
    (b"a@any.test", (b"", b"2001:db8::1")),
])
def test_a_domain_sends_from_its_own_addresses(control: pathlib.Path, sender: bytes, sources: "tuple[bytes, bytes]") -> None:
    (control / "outgoingip").write_text("one.test:10.0.0.2\n10.0.0.1\n2001:db8::1\ntwo.test:2001:DB8::3\n"
                                        ".two.test:10.0.0.4\nany.test:0.0.0.0\n")

    assert route.Tables().find(b"far.test", sender).sources == sources


def test_a_listed_host_must_prove_its_name(control: pathlib.Path) -> None:
    (control / "tlshosts").write_text("Far.test\n.safe.test\nmx.mixed.test\n")
    (control / "smtproutes").write_text("routed.test:relay.safe.test\nsecret.safe.test:relay.test:465\n")

    assert route.Tables().find(b"FAR.test", b"").tls == route.VERIFY
    assert route.Tables().find(b"FAR.test", b"").must_prove(b"any.mx.test")
    assert route.Tables().find(b"a.safe.test", b"").tls == route.VERIFY
    assert route.Tables().find(b"safe.test", b"").tls == route.MAY
    assert route.Tables().find(b"routed.test", b"").tls == route.VERIFY          # by its relay's name
    assert route.Tables().find(b"secret.safe.test", b"").tls == route.SMTPS
    assert route.Tables().find(b"secret.safe.test", b"").must_prove(b"relay.test")
    assert route.Tables().find(b"mixed.test", b"").tls == route.MAY
    assert route.Tables().find(b"mixed.test", b"").must_prove(b"MX.mixed.test")      # by its MX's name
    assert not route.Tables().find(b"mixed.test", b"").must_prove(b"mx2.mixed.test")


@pytest.mark.parametrize(("name", "text", "line"), [
    ("smtproutes", "relay.test\nfar.test:ok.test\n",
     "vq-remote: control/smtproutes, line 1: it has no colon; write domain:relay, or :relay for all mail\n"),
    ("smtproutes", "\nfar.test:relay.test:port\n",
     "vq-remote: control/smtproutes, line 2: its port is no number from 1 to 65535; an IPv6 address with a port is written "
     "[address]:port\n"),
    ("outgoingip", "here.test:eth0\n",
     "vq-remote: control/outgoingip, line 1: there is no IP address in it; write address, or domain:address\n"),
])
def test_a_line_that_makes_no_sense_is_logged_and_passed_over(
        control: pathlib.Path, capfd: pytest.CaptureFixture[str], name: str, text: str, line: str) -> None:
    (control / name).write_text(text)
    found = route.Tables().find(b"far.test", b"bob@here.test")

    assert capfd.readouterr().err == line
    assert shown(found) == ((b"ok.test", 25, True) if "ok.test" in text else (b"far.test", 25, False))
    assert found.sources == (b"", b"")


@pytest.mark.parametrize(("name", "text", "why"), [
    ("authsenders", "@here.test:relay.test|me\n",
     "control/authsenders, line 1: its AUTH is not complete; write |user|password behind the relay (#4.3.0)"),
    ("authsenders", "@other.test|a|b\nhere.test|a|b\n",
     "control/authsenders, line 2: its sender is no address, @domain or .domain; write sender:relay|user|password (#4.3.0)"),
    ("tlshosts", "*.safe.test\n",
     "control/tlshosts, line 1: '*.safe.test' is no host name: letters, digits, dots and hyphens make one (#4.3.0)"),
])
def test_mail_waits_where_passing_over_a_line_would_be_unsafe(control: pathlib.Path, name: str, text: str, why: str) -> None:
    (control / name).write_text(text)

    with pytest.raises(codes.TryLater) as error:
        route.Tables().find(b"far.test", b"bob@here.test")

    assert str(error.value) == why


def test_somebody_elses_broken_login_stops_nobody(control: pathlib.Path) -> None:
    (control / "authsenders").write_text("@other.test:relay.test|me\n")

    assert shown(route.Tables().find(b"far.test", b"bob@here.test")) == (b"far.test", 25, False)


@pytest.mark.parametrize("name", ["smtproutes", "authsenders", "outgoingip", "tlshosts"])
def test_a_file_that_cannot_be_read_is_trouble(control: pathlib.Path, name: str) -> None:
    (control / name).mkdir()

    with pytest.raises(codes.TryLater, match=f"cannot read .*/control/{name}: Is a directory"):
        route.Tables().find(b"far.test", b"bob@here.test")


def test_the_check_at_the_start_says_all_that_is_wrong_and_never_a_password(
        control: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    (control / "smtproutes").write_text("a:b\nrelay.test\nc:d:e\n")
    (control / "authsenders").write_text("@here.test:relay.test:x|me|hidden\n")
    (control / "authsenders").chmod(0o644)
    (control / "tlshosts").write_text("ok.test\nnot ok\n")
    (control / "outgoingip").mkdir()
    route.check()

    assert capfd.readouterr().err.split("\n") == [
        "vq-remote: control/smtproutes, line 2: it has no colon; write domain:relay, or :relay for all mail",
        "vq-remote: control/smtproutes, line 3: its port is no number from 1 to 65535; an IPv6 address with a port is written "
        "[address]:port",
        "vq-remote: control/authsenders, line 1: its port is no number from 1 to 65535; an IPv6 address with a port is written "
        "[address]:port",
        f"vq-remote: cannot read {control}/outgoingip: Is a directory",
        "vq-remote: control/tlshosts, line 2: 'not ok' is no host name: letters, digits, dots and hyphens make one",
        f"vq-remote: {control}/authsenders: every user can read the passwords in it; chgrp qmail and chmod 640",
        ""]


def test_the_check_has_nothing_to_say_where_all_is_well(control: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    (control / "authsenders").write_text(SENDERS)
    (control / "authsenders").chmod(0o640)
    route.check()

    assert capfd.readouterr().err == ""
