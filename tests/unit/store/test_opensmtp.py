"""POP before SMTP: who is open, since when, and what of it stands in the rules of tcpserver."""

import os
import pathlib

import pytest

from vqmail import vqhome
from vqmail.store import cdb, opensmtp

OPEN = b"+RELAYCLIENT=\0+RBLSMTPD=\0"
LINE = '%s:allow,RELAYCLIENT="",RBLSMTPD=""\t%d\n'
NOW = 1700000000


@pytest.fixture
def control(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(vqhome, "VQHOME", bytes(tmp_path))
    (tmp_path / "control").mkdir()
    (tmp_path / "control/opensmtp").write_text("180\n")
    return tmp_path / "control"


def rules(control: pathlib.Path) -> "dict[bytes, bytes]":
    return dict(reversed(list(cdb.records(bytes(control / "tcp.smtp.cdb")))))          # the first one counts


def test_who_has_read_his_mail_may_relay(control: pathlib.Path) -> None:
    opensmtp.note(b"192.0.2.9", b"192.0.2.1", NOW)
    opensmtp.note(b"2001:db8::5", b"2001:db8::1", NOW + 1)

    assert (control / "open-smtp").read_text() == LINE % ("192.0.2.9", NOW)
    assert (control / "open-smtp6").read_text() == LINE % ("2001:db8:0:0:", NOW + 1)
    assert rules(control) == {b"192.0.2.9": OPEN, b"2001:db8:0:0:": OPEN}
    assert [os.stat(control / each).st_mode & 0o777 for each in ("tcp.smtp.cdb", "open-smtp", "open-smtp.lock")] == [
        0o644, 0o644, 0o600]


def test_an_open_address_costs_nothing_for_a_minute_and_then_no_new_cdb(control: pathlib.Path) -> None:
    opensmtp.note(b"192.0.2.9", b"", NOW)
    first = [os.stat(control / each).st_ino for each in ("open-smtp", "tcp.smtp.cdb")]
    opensmtp.note(b"192.0.2.9", b"", NOW + 59)
    second = [os.stat(control / each).st_ino for each in ("open-smtp", "tcp.smtp.cdb")]
    opensmtp.note(b"192.0.2.9", b"", NOW + 60)

    assert first == second
    assert (control / "open-smtp").read_text() == LINE % ("192.0.2.9", NOW + 60)
    assert os.stat(control / "tcp.smtp.cdb").st_ino == first[1]


def test_what_is_too_old_goes_when_another_one_comes(control: pathlib.Path) -> None:
    opensmtp.note(b"192.0.2.9", b"", NOW)
    opensmtp.note(b"192.0.2.10", b"", NOW + 180 * 60 - 1)
    assert (opensmtp.due(NOW + 180 * 60 - 1), opensmtp.due(NOW + 180 * 60)) == (False, True)
    assert set(rules(control)) == {b"192.0.2.9", b"192.0.2.10"}
    opensmtp.note(b"192.0.2.11", b"", NOW + 180 * 60)

    assert set(rules(control)) == {b"192.0.2.10", b"192.0.2.11"}
    assert opensmtp.clear(NOW + 2 * 180 * 60 - 1) == 1
    assert set(rules(control)) == {b"192.0.2.11"}
    assert opensmtp.clear(NOW + 3 * 180 * 60) == 0
    assert ((control / "open-smtp").read_text(), rules(control)) == ("", {})


def test_a_time_to_come_does_not_open_for_good(control: pathlib.Path) -> None:
    (control / "open-smtp").write_text(LINE % ("192.0.2.9", NOW + 10**8))
    opensmtp.clear(NOW)

    assert (control / "open-smtp").read_text() == LINE % ("192.0.2.9", NOW)


@pytest.mark.parametrize(("address", "local"), [
    (b"127.0.0.1", b"127.0.0.1"), (b"::1", b"::1"), (b"192.0.2.1", b"192.0.2.1"), (b"192.0.2.1", b"::ffff:192.0.2.1"),
    (b"", b""), (b"fe80::1", b"fe80::2")])
def test_addresses_of_this_host_are_not_opened(control: pathlib.Path, address: bytes, local: bytes) -> None:
    opensmtp.note(address, local, NOW)

    assert sorted(os.listdir(control)) == ["opensmtp"]


@pytest.mark.parametrize("text", ["", "0\n", None])
def test_it_is_off_by_default(control: pathlib.Path, text: "str | None") -> None:
    opensmtp.note(b"192.0.2.9", b"", NOW)
    if text is None:
        (control / "opensmtp").unlink()
    else:
        (control / "opensmtp").write_text(text)
    opensmtp.note(b"192.0.2.10", b"", NOW)
    assert set(rules(control)) == {b"192.0.2.9"}

    assert opensmtp.clear(NOW) == 0                 # and then nobody is open any more
    assert rules(control) == {}


def test_the_files_may_be_where_vpopmail_has_them(control: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "etc").mkdir()
    (control / "opensmtp").write_text(f"{tmp_path}/etc/ 60\n")
    opensmtp.note(b"192.0.2.9", b"", NOW)

    assert sorted(os.listdir(tmp_path / "etc")) == ["open-smtp", "open-smtp.lock", "tcp.smtp.cdb"]
    assert (opensmtp.clear(NOW + 3599), opensmtp.clear(NOW + 3600)) == (1, 0)


def test_the_postmasters_rules_come_first(control: pathlib.Path) -> None:
    (control / "tcp.smtp").write_text(
        '192.0.2.7:deny\n192.0.2.8:allow,RELAYCLIENT="@mine"\n192.0.2.:allow,DATABYTES="1000",RBLSMTPD="no"\n10.:deny\n'
        '2001:db8::deny\n:allow,QMAILQUEUE="/q"\n')
    for number, each in enumerate((b"192.0.2.7", b"192.0.2.8", b"192.0.2.9", b"10.1.2.3", b"198.51.100.1", b"2001:db8::5",
                                   b"2001:dba::5")):
        opensmtp.note(each, b"", NOW + number)

    assert rules(control) == {
        b"192.0.2.7": b"D\0", b"192.0.2.8": b"+RELAYCLIENT=@mine\0", b"192.0.2.": b"+DATABYTES=1000\0+RBLSMTPD=no\0",
        b"10.": b"D\0", b"2001:db8:": b"D\0", b"": b"+QMAILQUEUE=/q\0",
        b"192.0.2.9": b"+DATABYTES=1000\0+RBLSMTPD=\0+RELAYCLIENT=\0",
        b"198.51.100.1": b"+QMAILQUEUE=/q\0" + OPEN, b"2001:dba:0:0:": b"+QMAILQUEUE=/q\0" + OPEN}


def test_trouble_is_logged_and_stops_nobody(control: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    (control / "tcp.smtp").write_text("192.0.2.1 allow\n")
    opensmtp.note(b"192.0.2.9", b"", NOW)

    assert capfd.readouterr().err == (f"opensmtp: 192.0.2.9 is not opened for SMTP: {control}/tcp.smtp: "
                                      "line 1: write ADDRESS:allow or ADDRESS:deny\n")
    assert sorted(os.listdir(control)) == ["open-smtp.lock", "opensmtp", "tcp.smtp"]
    with pytest.raises(ValueError, match="line 1"):
        opensmtp.clear(NOW)
    (control / "tcp.smtp").write_text("")
    opensmtp.note(b"192.0.2.9", b"", NOW)           # though nothing else changed
    assert rules(control) == {b"192.0.2.9": OPEN}


def test_a_link_is_not_followed(control: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    (control / "open-smtp").symlink_to("/etc/passwd")
    opensmtp.note(b"192.0.2.9", b"", NOW)

    assert "Too many levels of symbolic links" in capfd.readouterr().err


def test_the_service_closes_what_is_too_old(control: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    opensmtp.expire()
    assert not (control / "tcp.smtp.cdb").exists()          # there was nothing to do
    opensmtp.note(b"192.0.2.9", b"", NOW)                   # years ago
    opensmtp.expire()
    assert ((control / "open-smtp").read_text(), rules(control)) == ("", {})

    opensmtp.note(b"192.0.2.9", b"", NOW)
    (control / "tcp.smtp").write_text("oops\n")
    opensmtp.expire()
    assert "addresses stay open for SMTP: " in capfd.readouterr().err
    (control / "opensmtp").unlink()
    (control / "opensmtp").mkdir()
    opensmtp.note(b"192.0.2.10", b"", NOW)
    assert "192.0.2.10 is not opened for SMTP: cannot read " in capfd.readouterr().err
