"""From what a client calls itself to a user of a domain."""

import pathlib

import pytest

from vqmail import codes, vqhome
from vqmail.store import loginname


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
    (b"bob!x%y", b"bob", b"x%y"),                                   # the first of them
    (b"bob!x!y", b"bob", b"x!y"),
    (b"bob%x%y", b"bob", b"x%y"),
    (b"bob:domain1.test", b"bob", b"domain1.test"),                 # VMailMgr's
    (b"bob/domain1.test", b"bob", b"domain1.test"),                 # vpopmail's
    (b"@domain1.test", b"", b"domain1.test"),
    (b"bob@", b"bob", b""),
    (b"bob%x!y", b"bob", b"x!y"),                                   # the first of them, whichever it is
    (b"bob!", b"bob!", b""),
    (b"bob#domain1.test", b"bob#domain1.test", b""),                # not by default
    (b"bob", b"bob", b""),
    (b"", b"", b""),
    (b"b\xd6b@domain1.test", b"b\xd6b", b"domain1.test"),
])
def test_name_is_split(name: bytes, user: bytes, domain: bytes) -> None:
    assert (user, domain) == loginname.split(name)


def test_name_of_separators_is_not_looked_up_at_each_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: "list[bytes]" = []
    monkeypatch.setattr(loginname, "has_users", lambda domain, _above: asked.append(domain))

    assert loginname.whose(b"!" * 1500, b"") is None
    assert len(asked) == 2 * 8 + 2                      # users, and old names; and the same of the default domain


def test_bare_user_belongs_to_the_domain_of_the_address(control: pathlib.Path) -> None:
    (control / "popdomains").write_text("# ours\n127.0.0.2 domain1.test\n127.0.0.3\tDomain2.test\n::1 domain3.test\n")
    (control / "virtualdomains").write_text("other.test:other\n")

    assert [b"domain1.test", b"domain2.test", b"domain3.test", b"other.test"] == [
        loginname.default_domain(each) for each in (b"127.0.0.2", b"127.0.0.3", b"::1", b"127.0.0.4")]


@pytest.mark.parametrize("line", ["127.0.0.2\n", "127.0.0.2 a b\n", "127.0.0.2:domain1.test\n"])
def test_broken_line_is_trouble(control: pathlib.Path, line: str) -> None:
    (control / "popdomains").write_text(line)
    with pytest.raises(codes.TryLater, match="popdomains"):
        loginname.default_domain(b"127.0.0.3")


@pytest.mark.parametrize(("virtualdomains", "domain"), [
    ("domain1.test:one\n", b"domain1.test"),
    ("domain1.test:one\ndomain2.test:two\n", b""),
    ("domain1.test:one\n.domain1.test:one\nuser@other.test:x\n:catchall\nexcept.test:\n", b"domain1.test"),
    ("", b""),
])
def test_bare_user_belongs_to_the_only_domain(control: pathlib.Path, virtualdomains: str, domain: bytes) -> None:
    (control / "virtualdomains").write_text(virtualdomains)

    assert domain == loginname.default_domain(b"127.0.0.1")


@pytest.mark.parametrize("domain", [b"", b"nowhere.test", b"..", b"../domain1.test", b"a/b", b"\xff", b".", b"-x",
                                    b"a" * 300])
def test_nobody_is_in_a_domain_that_is_none(domain: bytes) -> None:
    assert loginname.find(b"bob", domain) is None


def test_domain_that_cannot_be_looked_at_is_trouble(control: pathlib.Path) -> None:
    (control.parent / "virtual/domain1.test").symlink_to("domain1.test")            # ELOOP
    with pytest.raises(codes.TryLater, match="is a link to a link"):
        loginname.find(b"bob", b"domain1.test")


def people(control: pathlib.Path, **domains: str) -> None:
    """Domains, whose names lack .test here, with the users called so."""
    for name, users in domains.items():
        etc = control.parent / "virtual" / f"{name}.test" / "etc"
        etc.mkdir(parents=True)
        etc.joinpath("passwd").write_text("".join(
            f"{user}:{name} {user}:45001:45001::{user}:/bin/false\n" for user in users.split()))


def login_as(name: bytes, address: bytes = b"127.0.0.1", **env: bytes) -> "bytes | None":
    found = loginname.who(name, address, {key.encode(): value for key, value in env.items()})
    return None if found is None else found[0].name + b"@" + found[2]


@pytest.mark.parametrize(("name", "expected"), [
    (b"bob@d1.test", b"bob@d1.test"),
    (b"Bob!D1.test", b"bob@d1.test"),
    (b"bob%d1.test", b"bob@d1.test"),
    (b"bob:d1.test", b"bob@d1.test"),
    (b"bob/d1.test", b"bob@d1.test"),
    (b"bob#d1.test", None),                                         # not by default
    (b"bob!x@d1.test", b"bob!x@d1.test"),
    (b"bob!x!d1.test", b"bob!x@d1.test"),                           # d1.test is a domain, x!d1.test is none
    (b"bob!x%d1.test", b"bob!x@d1.test"),
    (b"bob!x", b"bob!x@d1.test"),                                   # a bare name that has a !
    (b"ann!d2.test", b"ann@d2.test"),                               # though d1 calls a user so
    (b"eve!d2.test", b"eve!d2.test@d1.test"),                       # d2 has no eve
    (b"bob!d3.test", None),
    (b"bob@d1.test!x", None),                                       # the @ counts, and nothing else
])
def test_the_separator_behind_which_a_domain_of_ours_stands_counts(control: pathlib.Path, name: bytes,
                                                                   expected: "bytes | None") -> None:
    people(control, d1="bob bob!x ann!d2.test eve!d2.test", d2="ann")

    assert login_as(name, VQ_DOMAIN=b"d1.test") == expected


@pytest.mark.parametrize(("text", "expected"), [
    ("#\n", [None, None, b"bob@d1.test"]), ("!%:/#\n", [b"bob@d1.test"] * 3), ("\n", [None] * 3),
    ("!.b\n", [b"bob@d1.test", None, None]),                        # letters and dots part nothing
])
def test_separators_are_chosen(control: pathlib.Path, text: str, expected: "list[bytes | None]") -> None:
    people(control, d1="bob")
    (control / "loginseparators").write_text(text)

    assert [login_as(b"bob!d1.test"), login_as(b"bob/d1.test"), login_as(b"bob#d1.test")] == expected
    assert login_as(b"bob@d1.test") == b"bob@d1.test"


@pytest.mark.parametrize(("env", "expected"), [
    ({"VQ_DOMAIN": b"d1.test", "SSL_TLS_SNI_SERVERNAME": b"d2.test"}, b"bob@d1.test"),
    ({"SSL_TLS_SNI_SERVERNAME": b"d2.test", "TCPLOCALHOST": b"d1.test"}, b"bob@d2.test"),
    ({"SSL_TLS_SNI_SERVERNAME": b"pop.D2.test."}, b"bob@d2.test"),
    ({"SSL_TLS_SNI_SERVERNAME": b"a.mail.d2.test"}, b"bob@d2.test"),
    ({"SSL_TLS_SNI_SERVERNAME": b"mail.isp.test"}, b"bob@d1.test"),             # listed
    ({"SSL_TLS_SNI_SERVERNAME": b"pop.other.test"}, b"bob@d1.test"),            # another name of d1.test
    ({"SSL_TLS_SNI_SERVERNAME": b"nowhere.test"}, b"bob@d3.test"),              # what the address says
    ({"SSL_TLS_SNI_SERVERNAME": b"../d2.test"}, b"bob@d3.test"),
    ({"SSL_TLS_SNI_SERVERNAME": b"/"}, b"bob@d3.test"),
    ({"TCPLOCALHOST": b"d1.test"}, b"bob@d3.test"),
    ({}, b"bob@d3.test"),
])
def test_who_is_bob(control: pathlib.Path, env: "dict[str, bytes]", expected: bytes) -> None:
    people(control, d1="bob", d2="bob", d3="bob")
    (control.parent / "virtual/other.test").symlink_to("d1.test")
    (control / "popdomains").write_text("127.0.0.3 d3.test\nMail.isp.test other.test\n")

    assert login_as(b"bob", b"127.0.0.3", **env) == expected


def test_the_name_of_the_address_is_asked_last(control: pathlib.Path) -> None:
    people(control, d1="bob", d2="bob")

    assert [login_as(b"bob", TCPLOCALHOST=each) for each in (b"D1.test", b"pop.d1.test", b"")] == [
        b"bob@d1.test", None, None]


@pytest.mark.parametrize("address", [b"2001:db8::3", b"2001:DB8:0:0::3", b"::ffff:192.0.2.3", b"192.0.2.3"])
def test_an_address_may_be_written_in_any_way(control: pathlib.Path, address: bytes) -> None:
    (control / "popdomains").write_text("2001:db8:0::0:3 d3.test\n192.0.2.3 d3.test\n")

    assert loginname.default_domain(address) == b"d3.test"


def test_a_whole_name_opens_no_control_file_but_that_of_the_root(control: pathlib.Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    people(control, d1="bob")
    asked = []
    read = loginname.control.read
    monkeypatch.setattr(loginname.control, "read", lambda name: asked.append(name) or read(name))

    assert login_as(b"bob@d1.test") == b"bob@d1.test"
    assert set(asked) == {b"virtualroot"}
