"""What the check of an installation says of tcpserver's rules, POP before SMTP and vq-virtuald."""

import os
import pathlib

import pytest

from vqmail.setup import roaming


@pytest.fixture
def home(tmp_path: pathlib.Path) -> pathlib.Path:
    for each in ("control", "virtual/domain1.test"):
        (tmp_path / each).mkdir(parents=True)
    (tmp_path / "control/virtualroot").write_text(f"{tmp_path}/virtual\n")
    return tmp_path


def file(path: pathlib.Path, text: str = "", mode: int = 0o644, age: int = 0) -> pathlib.Path:
    path.write_text(text)
    path.chmod(mode)
    os.utime(path, (1700000000 - age,) * 2)
    return path


def test_nothing_is_wrong(home: pathlib.Path) -> None:
    assert roaming.complaints(home) == []
    file(home / "virtual/conf.pop", f"# ours\n10.0.0.2 {home}/virtual/domain1.test\n* domain1.test\n")
    file(home / "control/opensmtp", "180\n")
    file(home / "control/tcp.smtp", ":allow\n", age=5)
    for each in ("tcp.smtp.cdb", "open-smtp", "open-smtp6"):
        file(home / "control" / each)
    file(home / "control/open-smtp.lock", mode=0o600)
    assert roaming.complaints(home) == []


def test_a_compiled_file_older_than_its_text(home: pathlib.Path) -> None:
    for each in ("tcp.smtp", "tcp.pop3"):
        file(home / "control" / each, ":allow\n")
        file(home / "control" / (each + ".cdb"), age=5)

    assert roaming.complaints(home) == [
        f"{home}/control/tcp.smtp.cdb is older than tcp.smtp, whose changes do not count yet; run "
        f"{home}/bin/vq-clearopensmtp",
        f"{home}/control/tcp.pop3.cdb is older than tcp.pop3, whose changes do not count yet; run tcprules"]
    file(home / "control/tcp.smtp", ":allow\n1.2.3.4 deny\n")
    assert roaming.complaints(home)[0] == f"{home}/control/tcp.smtp: line 2: write ADDRESS:allow or ADDRESS:deny"


@pytest.mark.root
def test_whoever_ran_tcprules_by_hand(home: pathlib.Path) -> None:
    os.chown(file(home / "control/tcp.smtp.cdb", mode=0o600), 45001, 45001)
    file(home / "control/open-smtp", mode=0o666)

    assert roaming.complaints(home) == [
        f"{home}/control/tcp.smtp.cdb belongs to uid 45001, should belong to 0, whose {home}/control is; "
        f"chown 0 {home}/control/tcp.smtp.cdb",
        f"{home}/control/tcp.smtp.cdb has mode 600: tcpserver cannot read it as qmaild and lets nobody in; "
        f"chmod 644 {home}/control/tcp.smtp.cdb",
        f"{home}/control/open-smtp has mode 666: others may open addresses; chmod go-w {home}/control/open-smtp"]


def test_pop_before_smtp_without_rules_at_the_door(home: pathlib.Path) -> None:
    file(home / "control/opensmtp", "180\n")
    assert roaming.complaints(home) == [
        f"{home}/control/tcp.smtp.cdb is missing, so nobody is let in by POP before SMTP; run "
        f"{home}/bin/vq-clearopensmtp and restart service/smtpd"]

    file(home / "control/opensmtp", f"{home}/etc 180\n")
    assert roaming.complaints(home) == [f"{home}/etc is missing, and {home}/control/opensmtp names it; make it"]
    (home / "etc").mkdir()
    file(home / "etc/tcp.smtp.cdb")
    assert roaming.complaints(home) == [
        f"service/smtpd reads {home}/control/tcp.smtp.cdb, POP before SMTP writes {home}/etc/tcp.smtp.cdb; "
        f"ln -sf {home}/etc/tcp.smtp.cdb {home}/control/tcp.smtp.cdb"]
    (home / "control/tcp.smtp.cdb").symlink_to(home / "etc/tcp.smtp.cdb")
    assert roaming.complaints(home) == []


def test_lines_of_virtuald(home: pathlib.Path) -> None:
    conf = file(home / "virtual/conf.pop", "10.0.0.2\n10.0.0.3 domain3.test\n10.0.0.4 /virtual/a b\n")

    assert roaming.complaints(home) == [
        f"{conf}: line 1 has 1 words; write the address and the directory or domain",
        f"{conf}: line 3 has 3 words; write the address and the directory or domain",
        f"{conf}: there is no directory {home}/virtual/domain3.test; make the domain or remove the line"]


def test_old_names_to_log_in_with(home: pathlib.Path) -> None:
    for each in ("users", "virtual/domain1.test/etc"):
        (home / each).mkdir()
    names, of_domain = home / "users/logins", home / "virtual/domain1.test/etc/logins"
    file(names, "# old\ndom1bob:bob@domain1.test\n")
    file(of_domain, "oldbob:bob\n")
    assert roaming.complaints(home) == []

    file(names, "dom1bob:bob@domain1.test\noops\n")
    file(of_domain, "oldbob:\n")
    assert roaming.complaints(home) == [f"{names}: line 2: write OLDNAME:USER@DOMAIN",
                                        f"{of_domain}: line 1: behind the colon must be a user of this domain"]
