"""Old names that people still log in with."""

import os
import pathlib

import pytest

from vqmail import codes, vqhome
from vqmail.store import cdb, loginaliases, virtualcompile


@pytest.fixture
def place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(vqhome, "VQHOME", bytes(tmp_path))
    monkeypatch.setattr(loginaliases, "TEXT", bytes(tmp_path / "users/logins"))
    monkeypatch.setattr(loginaliases, "CDB", bytes(tmp_path / "users/logins.cdb"))
    for each in ("control", "users", "virtual/d.test/etc"):
        (tmp_path / each).mkdir(parents=True)
    (tmp_path / "control/virtualroot").write_text(f"{tmp_path}/virtual\n")
    return tmp_path


@pytest.mark.parametrize("compiled", [True, False])
def test_the_installations_and_the_domains_old_names(place: pathlib.Path, compiled: bool) -> None:
    (place / "users/logins").write_text("dom1bob:bob@d.test\nold:ann@e.test\n")
    (place / "virtual/d.test/etc/logins").write_text("old:bob\n")
    if compiled:
        assert (loginaliases.compile_all(), loginaliases.compile_domain(b"d.test")) == (True, True)
        assert (loginaliases.compile_all(), loginaliases.compile_domain(b"d.test")) == (False, False)

    assert loginaliases.real(b"DOM1bob", b"dom1bob", b"") == (b"bob", b"d.test")
    assert loginaliases.real(b"old", b"old", b"d.test") == (b"bob", b"d.test")          # the domain's first
    assert loginaliases.real(b"old", b"old", b"") == (b"ann", b"e.test")
    assert loginaliases.real(b"nobody", b"nobody", b"d.test") == (b"", b"")


def test_without_files_there_are_none(place: pathlib.Path) -> None:
    assert loginaliases.real(b"old", b"old", b"d.test") == (b"", b"")
    assert (loginaliases.compile_all(), loginaliases.compile_domain(b"d.test")) == (False, False)


def test_a_compiled_file_without_its_text_or_of_another_one_does_not_count(place: pathlib.Path) -> None:
    text = place / "users/logins"
    text.write_text("old:bob@d.test\n")
    loginaliases.compile_all()
    text.write_text("new:bob@d.test\n")

    assert loginaliases.real(b"old", b"old", b"") == (b"", b"")
    assert loginaliases.real(b"new", b"new", b"") == (b"bob", b"d.test")
    text.unlink()
    assert loginaliases.real(b"new", b"new", b"") == (b"", b"")


def test_the_key_that_is_the_identity_is_nobodys_name(place: pathlib.Path) -> None:
    (place / "users/logins").write_text("old:bob@d.test\n")
    loginaliases.compile_all()

    assert loginaliases.real(b"", b"", b"") == (b"", b"")


def test_a_broken_line_leaves_what_was_compiled_and_is_trouble_for_the_asker(place: pathlib.Path) -> None:
    (place / "users/logins").write_text("old:bob@d.test\n")
    loginaliases.compile_all()
    before = cdb.find(bytes(place / "users/logins.cdb"), b"old")
    (place / "users/logins").write_text("old:bob@d.test\nbroken\n")
    with pytest.raises(virtualcompile.Broken, match="line 2"):
        loginaliases.compile_all()

    assert before == cdb.find(bytes(place / "users/logins.cdb"), b"old")
    with pytest.raises(codes.TryLater, match="line 2"):
        loginaliases.real(b"old", b"old", b"")


def test_no_link_of_an_owner_is_followed_to_compile(place: pathlib.Path) -> None:
    os.symlink("/etc/passwd", place / "virtual/d.test/etc/logins")
    with pytest.raises(OSError, match="symbolic links"):
        loginaliases.compile_domain(b"d.test")
