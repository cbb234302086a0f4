"""Who controls a local address, by the passwd file (QMAIL interface 7.4)."""

import os
import pathlib

import pytest

from vqmail import codes, vqhome
from vqmail.store import getpw, home

ME, MINE = os.getuid() or 45001, os.getgid() or 45001


@pytest.fixture
def passwd(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    """Write the passwd file: name to (uid, who owns the home; None: there is none)."""
    monkeypatch.setattr(vqhome, "VQHOME", str(tmp_path / "vq").encode())
    monkeypatch.setattr(getpw, "PASSWD", str(tmp_path / "passwd").encode())
    monkeypatch.setattr(getpw.roles, "ids", lambda role: (64010, 64011))

    def write(users: "dict[str, tuple[int, int | None]]", more: str = "") -> None:
        lines = []
        for name, (uid, owner) in users.items():
            if owner is not None:
                (tmp_path / name).mkdir(exist_ok=True)
                if os.geteuid() == 0:
                    os.chown(tmp_path / name, owner, owner)
            lines.append(f"{name}:x:{uid}:{MINE}:Name,,,:{tmp_path / name}:/bin/sh\n")
        (tmp_path / "passwd").write_text("".join(lines) + more)

    return write


def of(tmp_path: pathlib.Path, name: str, dash: bytes, ext: bytes) -> "tuple[bytes, int, int, bytes, bytes, bytes]":
    return name.encode(), ME, MINE, str(tmp_path / name).encode(), dash, ext


def alias(tmp_path: pathlib.Path, local: bytes) -> "tuple[bytes, int, int, bytes, bytes, bytes]":
    return b"alias", 64010, 64011, str(tmp_path / "vq/alias").encode(), b"-", local


@pytest.mark.parametrize(("local", "name", "dash", "ext"), [
    (b"joe", "joe", b"", b""),
    (b"JOE", "joe", b"", b""),
    (b"joe-", "joe", b"-", b""),
    (b"Joe-List-X", "joe", b"-", b"List-X"),
    (b"joe-boss", "joe-boss", b"", b""),
    (b"joe-boss-A", "joe-boss", b"-", b"A"),
    (b"joe-bossy", "joe", b"-", b"bossy"),
    (b"joe--x", "joe", b"-", b"-x"),
])
def test_the_longest_name_counts(passwd, tmp_path, local: bytes, name: str, dash: bytes, ext: bytes) -> None:
    passwd({"joe": (ME, ME), "joe-boss": (ME, ME)})

    assert getpw.find(local) == of(tmp_path, name, dash, ext)


@pytest.mark.parametrize("local", [b"ann", b"joey", b"-joe", b"", b"-", b"joe.x", b"joe:x", b"x:0", b"joe\n", b"x" * 2000])
def test_what_nobody_controls_is_for_alias(passwd, tmp_path, local: bytes) -> None:
    passwd({"joe": (ME, ME)}, more="::0:0:::\n")

    assert getpw.find(local) == alias(tmp_path, local)


def test_a_name_has_less_than_32_bytes(passwd, tmp_path) -> None:
    passwd({"a" * 31: (ME, ME), "b" * 32: (ME, ME)})

    assert getpw.find(b"a" * 31) == of(tmp_path, "a" * 31, b"", b"")
    assert getpw.find(b"a" * 31 + b"-x") == of(tmp_path, "a" * 31, b"-", b"x")
    assert getpw.find(b"b" * 32) == alias(tmp_path, b"b" * 32)


@pytest.mark.parametrize("uid_and_owner", [(0, 0), (ME, None), (ME, ME + 1)])
def test_root_and_who_does_not_own_his_home_control_nothing(passwd, tmp_path, uid_and_owner) -> None:
    passwd({"joe": uid_and_owner})

    assert getpw.find(b"joe") == alias(tmp_path, b"joe")


def test_a_shorter_name_is_taken_when_the_longer_does_not_count(passwd, tmp_path) -> None:
    passwd({"joe": (ME, ME), "joe-boss": (0, 0)})

    assert getpw.find(b"joe-boss") == of(tmp_path, "joe", b"-", b"boss")


@pytest.mark.parametrize("line", ["joe", "joe:x:1:1::/h", "joe:x:y:1::/h:", "joe:x:1:::/h:", "joe:x:-5:1::/h:"])
def test_a_broken_line_matters_only_to_whom_it_names(passwd, tmp_path, line: str) -> None:
    passwd({"ann": (ME, ME)}, more=f"{line}\n\nrubbish\n")

    assert getpw.find(b"ann-x") == of(tmp_path, "ann", b"-", b"x")
    if ":" in line:
        with pytest.raises(getpw.NoPasswd, match="the line of joe is broken; mend it with vipw") as trouble:
            getpw.find(b"joe-x")

        assert trouble.value.code == 118
    else:
        assert getpw.find(b"joe-x") == alias(tmp_path, b"joe-x")


def test_a_passwd_file_that_cannot_be_read_is_trouble(passwd, tmp_path) -> None:
    (tmp_path / "passwd").mkdir()

    with pytest.raises(getpw.NoPasswd) as trouble:
        getpw.find(b"joe")

    assert trouble.value.code == 118
    assert isinstance(trouble.value, codes.TryLater)


def test_a_home_that_cannot_be_looked_at_is_trouble(passwd, tmp_path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    passwd({}, more=f"joe:x:{ME}:{MINE}::{tmp_path}/loop:\n")

    with pytest.raises(getpw.NoHome, match="Too many levels of symbolic links") as trouble:
        getpw.find(b"joe")

    assert trouble.value.code == 115


def test_a_home_that_only_others_may_look_at_is_said_to_be_hidden(passwd, tmp_path, monkeypatch) -> None:
    def stat(path: bytes):
        raise PermissionError(13, "Permission denied")

    passwd({"joe": (ME, ME)})
    monkeypatch.setattr(getpw.calls, "stat", stat)
    with pytest.raises(home.Hidden) as trouble:
        getpw.find(b"joe")

    assert trouble.value.code == 115


def test_an_installation_without_alias_says_so(passwd, monkeypatch) -> None:
    def ids(role: bytes):
        raise codes.TryLater("cannot look at alias")

    passwd({})
    monkeypatch.setattr(getpw.roles, "ids", ids)
    with pytest.raises(getpw.NoAlias) as trouble:
        getpw.find(b"joe")

    assert trouble.value.code == 116
