"""Whom strangers may send to."""

import os
import pathlib
import shutil
import subprocess

import pytest

from vqmail import codes, vqhome
from vqmail.store import rcpthosts


@pytest.fixture
def control(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(vqhome, "VQHOME", os.fsencode(tmp_path))
    (tmp_path / "control").mkdir()
    (tmp_path / "control/rcpthosts").write_text("# ours\nExample.test\n.sub.example.test  \n\n")
    return tmp_path / "control"


def make_more(control: pathlib.Path, *words: bytes) -> None:
    """morercpthosts.cdb, made by somebody else's program."""
    records = b"".join(b"+%d,0:%s->\n" % (len(each), each) for each in words) + b"\n"
    tool = shutil.which("cdb") or "/usr/bin/cdb"
    subprocess.run([tool, "-c", control / "morercpthosts.cdb"], input=records, check=True)


@pytest.mark.parametrize(("address", "accepted"), [
    (b"a@example.test", True),
    (b"a@EXAMPLE.TEST", True),
    (b"a@x.sub.example.test", True),
    (b"a@y.x.Sub.example.test", True),
    (b"postmaster", True),
    (b"b@elsewhere.test@example.test", True),
    (b"a@sub.example.test", False),
    (b"a@x.example.test", False),
    (b"a@xexample.test", False),
    (b"a@example.test.", False),
    (b"a@.example.test", False),
    (b"a@example.test@elsewhere.test", False),
    (b"a@", False),
    (b"a@test", False),
    (b"a@\xe2\x84\xaaexample.test", False),
    (b"a@# ours", False),
])
def test_domains(control: pathlib.Path, address: bytes, accepted: bool) -> None:
    assert rcpthosts.RcptHosts().accept(address) is accepted


def test_more_domains(control: pathlib.Path) -> None:
    make_more(control, b"many.test", b".wild.test")
    hosts = rcpthosts.RcptHosts()

    assert [True, True, True, False, False] == [hosts.accept(each) for each in (
        b"a@Many.test", b"a@x.y.wild.test", b"a@example.test", b"a@wild.test", b"a@x.many.test")]


def test_more_domains_count_for_nothing_without_rcpthosts(control: pathlib.Path) -> None:
    make_more(control, b"many.test")
    (control / "rcpthosts").unlink()
    hosts = rcpthosts.RcptHosts()

    assert hosts.missing
    assert [False] * 3 == [hosts.accept(each) for each in (b"a@many.test", b"a@example.test", b"postmaster")]


def test_empty_rcpthosts_is_not_a_missing_one(control: pathlib.Path) -> None:
    (control / "rcpthosts").write_text("")
    hosts = rcpthosts.RcptHosts()

    assert not hosts.missing
    assert [False, True] == [hosts.accept(each) for each in (b"a@example.test", b"postmaster")]


def test_broken_database_is_trouble_and_not_a_no(control: pathlib.Path) -> None:
    make_more(control, b"many.test", b"other.test")
    more = control / "morercpthosts.cdb"
    more.write_bytes(more.read_bytes()[:-20])
    hosts = rcpthosts.RcptHosts()

    with pytest.raises(codes.TryLater, match="vq-newmrh"):
        assert [hosts.accept(each) for each in (b"a@many.test", b"a@other.test")] == []


def test_domain_of_dots_costs_little(control: pathlib.Path) -> None:
    make_more(control, b"many.test")

    assert not rcpthosts.RcptHosts().accept(b"a@" + b"." * 890)


def test_unreadable_rcpthosts_is_trouble(control: pathlib.Path) -> None:
    (control / "rcpthosts").unlink()
    (control / "rcpthosts").mkdir()

    with pytest.raises(codes.TryLater, match="control/rcpthosts"):
        rcpthosts.RcptHosts()
