"""A hash is made anew after a login: once, for this user only, and as vq-passwd would."""

import os
import pathlib
import re
import threading
import time

import pytest

from vqmail import codes
from vqmail.logins import newhash, rehash
from vqmail.store import cdb, compiled, hashes, journal, passwords, virtual, virtualcompile
from vqmail.unix import lock

UID, GID = os.getuid() or 45001, os.getgid() or 45001
OLD = b"{SHA}kGByAB793z4R5tK1eC9Hd/4Dhzk="       # geheim
TEXT = "# kept as it is\n\nBob:{hash}:{uid}:{gid}:Bob  B.:home/bob/:/bin/zsh\nann:{hash}:{uid}:{gid}::home/ann:\n"


class Site:
    """An installation with the domain a.test."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.passwd = path / "virtual/a.test/etc/passwd"
        for each in ("control", "users", "virtual/a.test/etc"):
            (path / each).mkdir(parents=True)
        (path / "control/virtualroot").write_text(f"{path}/virtual\n")
        self.write(TEXT.format(hash=OLD.decode(), uid=UID, gid=GID))
        self.passwd.chmod(0o640)

    def write(self, text: str) -> None:
        self.passwd.write_text(text)
        os.utime(self.passwd, (1, 1))

    def stored(self, user: bytes = b"bob") -> "bytes | None":
        return virtual.password_hash(b"a.test", user)

    def now(self, secret: bytes = b"geheim", stored: bytes = OLD) -> bool:
        return newhash.make(b"a.test", b"bob", secret, stored)


@pytest.fixture
def site(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    each = Site(tmp_path)
    monkeypatch.setattr("vqmail.vqhome.VQHOME", str(tmp_path).encode())
    for name, file in (("LOCK", "users/lock"), ("PATH", "users/journal")):
        monkeypatch.setattr(journal, name, str(tmp_path / file).encode())
    monkeypatch.setattr(compiled, "ASSIGN", str(tmp_path / "users/assign").encode())
    return each


def wait_for(condition) -> bool:
    deadline = time.monotonic() + 100
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_one_line_changes_and_nothing_else(site: Site) -> None:
    virtualcompile.compile_domain(b"a.test")
    before = site.passwd.read_text()

    assert site.now() is True
    stored = site.stored()
    assert stored is not None and stored.startswith(b"$y$")
    assert site.passwd.read_text() == before.replace(f"Bob:{OLD.decode()}", f"Bob:{stored.decode()}")
    assert site.passwd.stat().st_mode & 0o777 == 0o640
    assert site.stored(b"ann") == OLD
    assert passwords.verify(b"geheim", stored, b"") is True
    assert not (site.path / "users/journal").exists()


def test_what_was_compiled_is_of_the_new_text(site: Site) -> None:
    site.now()

    assert cdb.find(str(site.passwd).encode() + b".cdb", b"") is not None
    assert virtualcompile.compile_domain(b"a.test") is False


def test_the_preferred_scheme_is_taken(site: Site) -> None:
    (site.path / "control/passwordscheme").write_text("sha512\n")
    site.now()

    assert site.stored()[:3] == b"$6$"


def test_two_logins_at_once_hash_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    true = passwords.hashed
    monkeypatch.setattr(passwords, "hashed", lambda *given: made.append(given) or true(*given))
    done: "list[bool]" = []
    threads = [threading.Thread(target=lambda: done.append(site.now())) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert (len(made), sorted(done)) == (1, [False] * 7 + [True])


def test_nobody_waits_while_settings_are_changed(site: Site) -> None:
    held = lock.hold(str(site.path / "users/lock").encode())
    try:
        assert site.now() is False
    finally:
        os.close(held)
    assert site.stored() == OLD


@pytest.mark.parametrize("text", [
    TEXT.replace("Bob:{hash}", "Bob:$y$other"), TEXT.replace("Bob:", "Rob:"), TEXT.replace("Bob:", "#Bob:"), TEXT[:-1],
    TEXT + "broken\n", TEXT + "bob:x:1:1::home/x:\n", TEXT + "carl:x:0:0::home/carl:\n"])
def test_another_text_is_left_alone(site: Site, text: str) -> None:
    site.write(text.format(hash=OLD.decode(), uid=UID, gid=GID))
    before = site.passwd.read_bytes()

    assert site.now() is False
    assert site.passwd.read_bytes() == before


def test_a_large_text_is_not_rewritten_at_every_login(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newhash, "PER_SECOND", 1)
    now = time.time()
    os.utime(site.passwd, (now, now))

    assert site.now() is False
    os.utime(site.passwd, (now - 3600, now - 3600))
    assert site.now() is True


def test_an_owner_cannot_lead_root_elsewhere(site: Site, tmp_path: pathlib.Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text(site.passwd.read_text())
    site.passwd.unlink()
    site.passwd.symlink_to(precious)
    with pytest.raises((OSError, codes.TryLater)):
        site.now()
    site.passwd.unlink()
    os.link(precious, site.passwd)

    assert site.now() is False
    assert OLD in precious.read_bytes()


@pytest.mark.parametrize("where", ["after the journal", "before the journal"])
def test_one_that_is_killed_is_done_by_the_next_or_never_was(site: Site, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as context:
        context.setattr(journal, "carry_out" if where == "after the journal" else "commit", killed)
        with pytest.raises(Killed):
            site.now()
    assert site.stored() == OLD
    again = site.now()

    assert again is (where == "before the journal")
    assert passwords.verify(b"geheim", site.stored(), b"") is True
    assert site.stored().startswith(b"$y$")


@pytest.mark.parametrize("when", ["while it is hashed", "while it is written"])
def test_what_an_editor_writes_meanwhile_is_not_lost(site: Site, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    edited = TEXT.format(hash="*", uid=UID, gid=GID) + "# a word\n"
    module, name = (passwords, "hashed") if when == "while it is hashed" else (journal.durable, "replace_with")
    true = getattr(module, name)

    def interrupted(*given, **named):
        if name == "hashed" or given[0].endswith(b"/passwd"):
            site.passwd.write_text(edited)
        return true(*given, **named)

    monkeypatch.setattr(module, name, interrupted)
    site.now()

    assert site.passwd.read_text() == edited
    assert sorted(each.name for each in site.passwd.parent.iterdir()) == ["passwd", "passwd.cdb", "users.cdb"]
    assert not (site.path / "users/journal").exists()


def test_a_journal_is_carried_out_twice_as_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    true = journal.durable.remove

    def killed(path: bytes) -> None:
        if path == journal.PATH:
            raise Killed
        true(path)

    with monkeypatch.context() as context:
        context.setattr(journal.durable, "remove", killed)      # all is done, but nobody knows
        with pytest.raises(Killed):
            site.now()
    done = site.passwd.read_bytes()
    lines = done.replace(b"ann:", b"anna:")
    site.passwd.write_bytes(lines)
    assert (site.path / "users/journal").exists()
    assert site.now() is False
    assert site.passwd.read_bytes() == lines


def test_it_is_done_aside(site: Site) -> None:
    rehash.rehash(b"a.test", b"bob", b"geheim", OLD)

    assert wait_for(lambda: site.stored() != OLD)
    assert passwords.verify(b"geheim", site.stored(), b"") is True


@pytest.mark.parametrize(("secret", "stored"), [
    (b"geheim", b"{CLEAR}geheim"), (b"geheim", b"*"), (b"geheim", b"$y$j85$x$y"), (b"", OLD), (b"gehe\0im", OLD), (b"x" * 73, OLD),
    (b"geheim", b"{NTLM}geheim")])
def test_nothing_is_begun_that_there_is_no_need_for(site: Site, monkeypatch: pytest.MonkeyPatch, secret: bytes,
                                                    stored: bytes) -> None:
    begun = []
    monkeypatch.setattr(rehash.child, "aside", begun.append)
    rehash.rehash(b"a.test", b"bob", secret, stored)

    assert begun == []


def test_no_trouble_is_the_logins(site: Site, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def none(work: object) -> None:
        raise OSError(11, "no process")

    monkeypatch.setattr(rehash.child, "aside", none)
    rehash.rehash(b"a.test", b"bob", b"geheim", OLD)

    assert "cannot hash the password of <bob@a.test> anew: no process" in capfd.readouterr().err


def test_a_scheme_that_there_is_not_is_a_word_in_the_log(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    (site.path / "control/passwordscheme").write_text("rot13\n")
    rehash.rehash(b"a.test", b"bob", b"geheim", OLD)

    assert "control/passwordscheme: there is no scheme rot13" in capfd.readouterr().err
    assert re.search("geheim", capfd.readouterr().err) is None
