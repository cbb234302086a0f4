"""By which name guesses are counted, and what becomes of a right password that comes among wrong ones."""

import os
import pathlib

import pytest

from vqmail import vqhome
from vqmail.logins import account, admission, guessing
from vqmail.store import aliasdomain, hashes, journal, lastlogin, loginaliases, virtualcompile

HERE = account.Client(b"192.0.2.1", b"", b"", b"b.test", b"", account.SMTP, True)  # noqa: FBT003
STORED = hashes.crypt(b"right", b"$6$rounds=1000$salt").decode()


@pytest.fixture(autouse=True)
def site(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """a.test with bob and bob!x, whose other name is alias.test, and b.test with bob, whose name the client asks for."""
    monkeypatch.setattr(vqhome, "VQHOME", bytes(tmp_path))
    monkeypatch.setattr(guessing, "PATH", bytes(tmp_path / "guesses"))
    monkeypatch.setattr(loginaliases, "TEXT", bytes(tmp_path / "users/logins"))
    monkeypatch.setattr(loginaliases, "CDB", bytes(tmp_path / "users/logins.cdb"))
    monkeypatch.setattr(lastlogin, "DIRECTORY", bytes(tmp_path / "users/lastlogin"))
    monkeypatch.setattr(journal, "LOCK", bytes(tmp_path / "users/lock"))
    monkeypatch.setattr(journal, "PATH", bytes(tmp_path / "users/journal"))
    for each in ("control", "users", "virtual/a.test/etc", "virtual/b.test/etc"):
        (tmp_path / each).mkdir(parents=True)
    (tmp_path / "control/passwordscheme").write_text("keep\n")
    (tmp_path / "control/virtualroot").write_text(f"{tmp_path}/virtual\n")
    (tmp_path / "control/virtualdomains").write_text("a.test:a\nb.test:b\nalias.test:alias\n")
    uid = max(os.getuid(), 1000)
    for domain, users in (("a.test", ("bob", "bob!x")), ("b.test", ("bob",))):
        (tmp_path / "virtual" / domain / "etc/passwd").write_text("".join(
            f"{each}:{STORED}:{uid}:{uid}::home/{each}:\n" for each in users))
    (tmp_path / "virtual/a.test/etc/logins").write_text("oldbob:bob\n")
    (tmp_path / "users/logins").write_text("dom1bob:bob@a.test\n")
    (tmp_path / "virtual/alias.test").symlink_to("a.test")
    for domain in (b"a.test", b"b.test"):
        virtualcompile.compile_domain(domain)
        loginaliases.compile_domain(domain)
    loginaliases.compile_all()
    assert aliasdomain.real(b"alias.test") == b"a.test"
    return tmp_path


@pytest.mark.parametrize(("name", "counted"), [
    (b"bob@a.test", b"bob@a.test"),
    (b"BOB%A.test", b"bob@a.test"),
    (b"bob@alias.test", b"bob@a.test"),                 # each name of a domain would be as many guesses more
    (b"oldbob@a.test", b"bob@a.test"),
    (b"dom1bob", b"bob@a.test"),
    (b"bob", b"bob@b.test"),
    (b"bob!x!a.test", b"bob!x@a.test"),
    (b"bob!x@alias.test", b"bob!x@a.test"),
    (b"Nobody@alias.test", b"nobody@alias.test"),
    (b"nobody%elsewhere.test", b"nobody@elsewhere.test"),
    (b"Joe", b"joe"),                                   # a user of the system, if any, whatever name TLS asked for
    (b"", b""),
    (b"b\0b@a.test", b"b\0b@a.test"),
])
def test_guesses_count_for_the_user_however_he_is_spelled(name: bytes, counted: bytes) -> None:
    assert admission.named(name, HERE) == counted


def test_text_that_its_owner_changed_is_not_read_for_that(site: pathlib.Path) -> None:
    with (site / "virtual/a.test/etc/passwd").open("a") as text:
        text.write("# a very long one, read by the process that serves all domains\n")
    assert admission.named(b"bob@alias.test", HERE) == b"bob@a.test"
    (site / "virtual/a.test/etc/users.cdb").unlink()
    assert admission.named(b"bob@alias.test", HERE) == b"bob@alias.test"


def test_right_password_that_waited_while_its_address_was_locked_out_is_refused() -> None:
    def others(_seconds: float) -> None:                # what other connections do meanwhile
        for number in range(20):
            guessing.wrong(b"bob@a.test", HERE.ip, b"guess %d" % number)

    for number in range(4):
        guessing.wrong(b"bob@a.test", HERE.ip, b"first %d" % number)
    verdict = admission.check(b"bob@a.test", b"right", b"", HERE, others)

    assert (admission.WRONG, None) == (verdict.code, verdict.account)
    assert verdict.why.startswith(b"locked out for ")


def test_right_password_of_somebody_known_there_is_right_whatever_comes_at_the_same_time() -> None:
    assert admission.check(b"bob@a.test", b"right", b"", HERE).code == admission.RIGHT
    for number in range(30):
        guessing.wrong(b"ann@a.test", HERE.ip, b"guess %d" % number)

    assert admission.check(b"bob@a.test", b"right", b"", HERE).code == admission.RIGHT


@pytest.mark.parametrize("name", [b"bob@a.test ", b" bob@a.test", b"bob ", b"\tbob"])
def test_name_with_a_blank_at_its_end_is_nobodys(name: bytes) -> None:
    assert admission.check(name, b"right", b"", HERE).code == admission.WRONG


@pytest.mark.parametrize(("name", "asked", "why"), [
    (b"Eve", b"b.test", b"unknown user eve@b.test"),
    (b"eve", b"", b"unknown user; no domain was named, and none belongs to the address or the TLS name (control/popdomains)"),
    (b"eve@a.test", b"", b"unknown user"),
    (b"eve%a.test", b"", b"unknown user"),
])
def test_the_log_says_whom_a_bare_name_was_taken_for(name: bytes, asked: bytes, why: bytes) -> None:
    client = account.Client(b"192.0.2.1", b"", b"", asked, b"", account.SMTP, True)  # noqa: FBT003

    assert admission.ask(name, b"guess", b"", client).why == why
