"""The table of hosts that did not answer, on the disk: trouble with it stops no mail."""

import fcntl
import os
import pathlib

import pytest

from vqmail import vqhome
from vqmail.outgoing import tcpto
from vqmail.unix import calls


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(vqhome, "VQHOME", os.fsencode(tmp_path))
    monkeypatch.setattr(calls, "getpid", lambda: 64)
    path = tmp_path / "queue/lock"
    path.mkdir(parents=True)
    (path / "tcpto").write_bytes(bytes(1024))
    (path / "tcpto6").write_bytes(bytes(2048))
    return path


def test_two_timeouts_and_a_host_is_left_alone_until_it_answers(folder: pathlib.Path) -> None:
    for address in (b"203.0.113.9", b"2001:db8::9"):
        tcpto.failed(address, 10000)
        assert not tcpto.skip(address, 10000)
        tcpto.failed(address, 10120)
        assert tcpto.skip(address, 10121)
        assert tcpto.skip(address, 13959)
        assert not tcpto.skip(address, 13960)
        tcpto.worked(address)
        assert not tcpto.skip(address, 10121)

    assert (folder / "tcpto").read_bytes() == b"\xcb\0\x71\x09\0\0\0\0\x88\x27\0\0\0\0\0\0" + bytes(1008)
    assert (folder / "tcpto6").read_bytes() == (
        b"\x20\x01\x0d\xb8" + bytes(11) + b"\x09\0\0\0\0\0\0\0\0\x88\x27\0\0\0\0\0\0" + bytes(2016))


def test_an_ipv4_address_in_ipv6_clothes_is_in_qmails_table(folder: pathlib.Path) -> None:
    tcpto.failed(b"::ffff:203.0.113.9", 10000)

    assert (folder / "tcpto").read_bytes()[:5] == b"\xcb\0\x71\x09\1"


def test_all_are_forgotten(folder: pathlib.Path) -> None:
    tcpto.failed(b"203.0.113.9", 10000)
    tcpto.failed(b"2001:db8::9", 10000)
    tcpto.clear()

    assert (folder / "tcpto").read_bytes() == bytes(1024)
    assert (folder / "tcpto6").read_bytes() == bytes(2048)
    assert tcpto.known() == []


def test_without_a_table_mail_goes_out_all_the_same(folder: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    for each in ("tcpto", "tcpto6"):
        (folder / each).unlink()
    tcpto.failed(b"203.0.113.9", 10000)
    tcpto.worked(b"2001:db8::9")
    tcpto.clear()

    assert not tcpto.skip(b"203.0.113.9", 10000)
    assert capfd.readouterr().err.split("\n") == [
        f"vq-remote: cannot use {folder}/tcpto: No such file or directory; run make check-setup",
        f"vq-remote: cannot use {folder}/tcpto6: No such file or directory; run make check-setup",
        "vq-remote: cannot forget the hosts that timed out: No such file or directory",
        f"vq-remote: cannot use {folder}/tcpto: No such file or directory; run make check-setup",
        ""]
    assert list(folder.iterdir()) == []


def test_who_holds_the_lock_stops_nobody(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
                                         capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(tcpto, "PATIENCE", 0.1)
    with (folder / "tcpto").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        tcpto.failed(b"203.0.113.9", 10000)
        assert not tcpto.skip(b"203.0.113.9", 10000)

    assert capfd.readouterr().err == f"vq-remote: cannot use {folder}/tcpto: locked for 0 seconds; run make check-setup\n"
    assert (folder / "tcpto").read_bytes() == bytes(1024)


def test_no_descriptor_is_left_open(folder: pathlib.Path) -> None:
    before = os.listdir("/proc/self/fd")
    for now in range(10000, 20000, 200):
        tcpto.failed(b"203.0.113.9", now)
    tcpto.worked(b"203.0.113.9")
    tcpto.clear()

    assert os.listdir("/proc/self/fd") == before
