"""From what a client calls itself to a user of a domain."""

import pathlib

import pytest

from vqmail import codes, vqhome
from vqmail.store import login


@pytest.fixture(autouse=True)
def control(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(vqhome, "VQHOME", bytes(tmp_path))
    (tmp_path / "control").mkdir()
    (tmp_path / "virtual").mkdir()
    (tmp_path / "control/virtualroot").write_text(f"{tmp_path}/virtual\n")
    return tmp_path / "control"


@pytest.mark.parametrize(("name", "user", "domain"), [
    (b"bob@domain1.test", b"bob", b"domain1.test"),
    (b"BOB@Domain1.TEST", b"bob", b"domain1.test"),
    (b"bob!domain1.test", b"bob", b"domain1.test"),
    (b"bob%domain1.test", b"bob", b"domain1.test"),
    (b"b@b@domain1.test", b"b@b", b"domain1.test"),                 # the last @
    (b"bob!x@domain1.test", b"bob!x", b"domain1.test"),             # @ before the others
    (b"bob%x@domain1.test", b"bob%x", b"domain1.test"),
    (b"bob!x%y", b"bob", b"x%y"),                                   # ! before %, and the first of them
    (b"bob!x!y", b"bob", b"x!y"),
    (b"bob%x%y", b"bob", b"x%y"),
    (b"bob:domain1.test", b"bob", b"domain1.test"),                 # VMailMgr's
    (b"bob/domain1.test", b"bob", b"domain1.test"),                 # vpopmail's
    (b"@domain1.test", b"", b"domain1.test"),
    (b"bob@", b"bob", b""),
    (b"bob", b"bob", b""),
    (b"", b"", b""),
    (b"b\xd6b@domain1.test", b"b\xd6b", b"domain1.test"),
])
def test_name_is_split(name: bytes, user: bytes, domain: bytes) -> None:
    assert (user, domain) == login.split(name, b"")


def test_bare_user_belongs_to_the_domain_of_the_address(control: pathlib.Path) -> None:
    (control / "popdomains").write_text("# ours\n127.0.0.2 domain1.test\n127.0.0.3\tDomain2.test\n::1 domain3.test\n")
    (control / "virtualdomains").write_text("other.test:other\n")

    assert [b"domain1.test", b"domain2.test", b"domain3.test", b"other.test"] == [
        login.split(b"bob", each)[1] for each in (b"127.0.0.2", b"127.0.0.3", b"::1", b"127.0.0.4")]
    assert (b"bob", b"domain9.test") == login.split(b"bob@domain9.test", b"127.0.0.2")


@pytest.mark.parametrize("line", ["127.0.0.2\n", "127.0.0.2 a b\n", "127.0.0.2:domain1.test\n"])
def test_broken_line_is_trouble(control: pathlib.Path, line: str) -> None:
    (control / "popdomains").write_text(line)
    with pytest.raises(codes.TryLater, match="popdomains"):
        login.default_domain(b"127.0.0.3")


@pytest.mark.parametrize(("virtualdomains", "domain"), [
    ("domain1.test:one\n", b"domain1.test"),
    ("domain1.test:one\ndomain2.test:two\n", b""),
    ("domain1.test:one\n.domain1.test:one\nuser@other.test:x\n:catchall\nexcept.test:\n", b"domain1.test"),
    ("", b""),
])
def test_bare_user_belongs_to_the_only_domain(control: pathlib.Path, virtualdomains: str, domain: bytes) -> None:
    (control / "virtualdomains").write_text(virtualdomains)

    assert domain == login.default_domain(b"127.0.0.1")


@pytest.mark.parametrize("domain", [b"", b"nowhere.test", b"..", b"../domain1.test", b"a/b", b"\xff", b".", b"-x",
                                    b"a" * 300])
def test_nobody_is_in_a_domain_that_is_none(domain: bytes) -> None:
    assert login.find(b"bob", domain) is None


def test_domain_that_cannot_be_looked_at_is_trouble(control: pathlib.Path) -> None:
    (control.parent / "virtual/domain1.test").symlink_to("domain1.test")            # ELOOP
    with pytest.raises(codes.TryLater, match="is a link to a link"):
        login.find(b"bob", b"domain1.test")
