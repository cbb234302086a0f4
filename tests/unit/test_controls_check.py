"""What make check-setup says of control files, and of files with passwords in them that everybody can read."""

import pathlib

import pytest
from vqmail.setup import controls


@pytest.fixture
def home(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "control").mkdir()
    (tmp_path / "control/virtualroot").write_text(f"{tmp_path}/virtual\n")
    (tmp_path / "virtual/domain1.test/etc").mkdir(parents=True)
    return tmp_path


def test_what_vq_showctl_says_of_a_line(home: pathlib.Path) -> None:
    (home / "control/uidlstyle").write_text("dove\n")
    (home / "control/loginlimits").write_text("failures 20\nexempt 192.0.2.7\n")
    (home / "control/servercert.pem").write_bytes(b"\xff\r\n")          # certificates.py knows what to say of it

    assert controls.complaints(home) == [f"{home}/control/uidlstyle: there may stand qmail, tpop3d, dovecot"]


@pytest.mark.parametrize(("name", "text", "remedy"), [
    ("control/authsenders", ":relay.test:587|user|password\n", "chgrp qmail {0}; chmod 640 {0}"),
    ("control/smtproutes", ":relay.test:587|user|password\n", "chgrp qmail {0}; chmod 640 {0}"),
    ("virtual/domain1.test/etc/passwd", "bob:x:2:2::/home/bob:/bin/false\n", "chmod o-r {0}"),
    ("virtual/domain1.test/etc/passwd.cdb", "x", "chmod o-r {0}"),
])
def test_passwords_that_everybody_can_read(home: pathlib.Path, name: str, text: str, remedy: str) -> None:
    path = home / name
    path.write_text(text)
    path.chmod(0o644)

    assert controls.complaints(home) == [
        f"{path} has passwords in it, and mode 644: everybody on this machine can read them; {remedy.format(path)}"]
    path.chmod(0o640)
    assert controls.complaints(home) == []


def test_routes_without_a_password_may_be_read(home: pathlib.Path) -> None:
    (home / "control/smtproutes").write_text(":relay.test\n")
    (home / "control/smtproutes").chmod(0o644)

    assert controls.complaints(home) == []
