"""Users of other systems come along with passwords, mail, aliases and old names, and real clients find them."""

import os
import pathlib
import poplib
import shutil
import subprocess

import pytest
from imports_world import (
    DES, MD5, SHA512, YESCRYPT, is_served, make_cdb, maildir, messages, own, pop, run, serve, swaks, tree, vpopmail)
from imports_world import world  # noqa: F401
from system import System, wait_until

pytestmark = [pytest.mark.root, pytest.mark.peers]


# /etc/passwd and shadow

def test_users_of_the_system(world: System, tmp_path: pathlib.Path) -> None:
    old = tmp_path / "old"
    rows = {"dom1bob": ("1001", SHA512), "dom2-bob": ("1002", MD5), "yes": ("1003", YESCRYPT), "des": ("1004", DES),
            "daemon": ("2", "*")}
    (old / "passwd").write_text("".join(f"{name}:x:{uid}:{uid}:Name of {name},,,:/home/{name}:/bin/sh\n"
                                        for name, (uid, _) in rows.items()) + "broken\n")
    (old / "shadow").write_text("".join(f"{name}:{stored}:1:0:99999:7:::\n" for name, (_, stored) in rows.items()))
    for name in rows:
        maildir(old / "home" / name / "Maildir")
        own(old / "home" / name, int(rows[name][0]))
    shutil.rmtree(old / "home/des/Maildir")
    (old / "mail").mkdir()
    (old / "mail/des").write_text("From x Sat\nStatus: RO\nSubject: a\n\nfrom before\n>From me\n\nFrom y Sun\n\ntwo\n")
    before = tree(old)
    argv = ["passwd", old / "passwd", "domain1.test", "--shadow", old / "shadow", "--map", "dom1bob=bob@domain1.test",
            "--map", "dom2-*=*@domain2.test", "--root", old, "--mail", "/mail"]
    said = run(world, *argv, code=1)

    assert f"{old}/passwd: line 6: is no line of a passwd file" in said
    assert "nothing was changed; with --do: 2 domains, 4 users, 4 logins, 4 messages" in said
    assert list(world.virtual.iterdir()) == []

    assert "done: 2 domains, 4 users, 4 logins, 5 messages" in run(world, *argv, "--do", code=1)
    assert "done: 4 there" in run(world, *argv, "--do", code=1)
    assert tree(old) == before
    serve(world)
    is_served(world, "bob@domain1.test", "bob@domain1.test")
    is_served(world, "bob@domain2.test", "bob@domain2.test")
    is_served(world, "yes@domain1.test", "yes@domain1.test")
    is_served(world, "des", "des@domain1.test", before=2)
    assert ">From" not in pop(world, "des").stdout
    assert pop(world, "dom1bob", "wrong").returncode == 67
    assert messages(world, "dom2-bob") == 2

    rc = tmp_path / "fetchmailrc"
    inbox = tmp_path / "inbox"
    rc.write_text(f"poll 127.0.0.1 protocol pop3 port {world.ports['pop3']} username dom1bob password secret keep "
                  f"fetchall mda \"/bin/sh -c 'cat >> {inbox}'\"\n")
    rc.chmod(0o600)
    done = subprocess.run(["fetchmail", "-f", str(rc), "--nosyslog", "-s", "--sslproto", "", "-i", str(tmp_path / "ids")],
                          capture_output=True, text=True, check=False, env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]})

    assert done.returncode == 0, done.stdout + done.stderr
    assert inbox.read_text().count("from before") == 1
    assert "sent after the import" in inbox.read_text()


def test_another_user_of_that_name_is_left_as_he_is(world: System, tmp_path: pathlib.Path) -> None:
    world.add_domain("d.test", {"bob": "secret"})
    (tmp_path / "old/passwd").write_text(f"bob:{MD5}:1001:1001::/nowhere:\nann:{MD5}:1002:1002::/nowhere:\n")
    before = (world.virtual / "d.test/etc/passwd").read_text()
    said = run(world, "passwd", tmp_path / "old/passwd", "d.test", "--do", code=1)

    assert "line 1: bob@d.test is here already with another password" in said
    after = (world.virtual / "d.test/etc/passwd").read_text()
    assert after.startswith(before)
    assert after.removeprefix(before).startswith(f"ann:{MD5}:")


def test_a_link_or_somebody_elses_file_in_a_maildir_is_not_copied(world: System, tmp_path: pathlib.Path) -> None:
    old = tmp_path / "old"
    secret = tmp_path / "secret"
    secret.write_text("root's\n")
    maildir(old / "home/bob/Maildir")
    own(old / "home/bob", 1001)
    (old / "home/bob/Maildir/new/link").symlink_to(secret)
    os.link(secret, old / "home/bob/Maildir/new/hard")
    (old / "home/bob/Maildir/.Folder").symlink_to("/etc")
    (old / "passwd").write_text(f"bob:{MD5}:1001:1001::/home/bob:\n")
    said = run(world, "passwd", old / "passwd", "d.test", "--root", old, "--do", code=1)
    copied = world.virtual / "d.test/home/bob/Maildir"

    assert sorted(str(each.relative_to(copied)) for each in copied.rglob("*")) == [
        "cur", "cur/1000000000.0.old:2,S", "new", "tmp"]
    for each in (".Folder (", "link (", "hard (it belongs to uid 0)"):
        assert each in said


@pytest.mark.parametrize("compiled", [False, True])
def test_vpopmail_copied(world: System, tmp_path: pathlib.Path, compiled: bool) -> None:
    old = tmp_path / "old"
    home = vpopmail(old, compiled)
    before = tree(old)
    argv = ["vpopmail", home, "--assign", old / "assign"]
    said = run(world, *argv, code=1)

    assert "gone" in said
    assert "1 domains, 4 users" in said
    said = run(world, *argv, "--do", code=1)
    assert "1 domains, 4 users, 3 aliases, 1 other names, 6 messages" in said, said
    assert "nobody-of-that-name@d.test is neither a mailbox nor an alias" in said
    assert "done: 4 there" in run(world, *argv, "--do", code=1)
    assert tree(old) == before
    options = (world.virtual / "d.test/etc/options").read_text()
    for line in ("@:mailboxes=50:uids=owner:catchall=bob", "*:quota=7000000S", "bob:quota=1000000S,100C",
                 "ann:quota=5000000S:suspended=receive,send", "shut:suspended=login", "postmaster:dotqmail=forwards"):
        assert line in options.split("\n"), options
    assert (world.virtual / "d.test/home/bob/Maildir/.Sent/cur/1000000000.0.old:2,S").exists()
    assert (world.home / "users/lastlogin/d.test").read_text() == f"bob:1600000000 192.0.2.1{' ' * 36}\n"
    serve(world)
    is_served(world, "bob@d.test", "bob@other.test", before=2)
    swaks(world, "jo.doe@d.test")
    wait_until(lambda: messages(world, "bob/d.test") == 4, "mail by the alias")
    swaks(world, "whoever@d.test")
    wait_until(lambda: messages(world, "bob%d.test") == 5, "mail for nobody")
    swaks(world, "postmaster@d.test")
    wait_until(lambda: messages(world, "bob@d.test") == 6, "mail by the user's own .qmail")
    assert messages(world, "postmaster@d.test") == 2
    assert pop(world, "shut@d.test").returncode == 67


# VMailMgr

@pytest.mark.parametrize("version", [b"", b"\x01", b"\x02\x08\x01\x0a\x01\x00"])
def test_vmailmgr(world: System, tmp_path: pathlib.Path, version: bytes) -> None:
    home = tmp_path / "old/owner"
    maildir(home / "users/bob")
    maildir(home / "users/ann")

    def record(mailbox: bytes, *forwards: bytes) -> bytes:
        if not version:
            return b":" + SHA512.encode() + b":" + (mailbox or b"&" + forwards[0])
        return version + SHA512.encode() + b"\0" + mailbox + b"\0" + b"".join(each + b"\0" for each in forwards) + (
            b"\0Name\0" b"1000000\0-\0-\0" b"500\0" b"946684800\0-\0")

    records = [(b"bob", record(b"./users/bob")), (b"sales", record(b"", b"bob@d.test")), (b"+", record(b"", b"bob@d.test"))]
    if version:
        records += [(b"ann", record(b"./users/ann", b"bob@d.test"))]
    make_cdb(home / "passwd.cdb", [*records, (b"bad", b"\x07")])
    own(home)
    argv = ["vmailmgr", home, "d.test"]

    assert "passwd.cdb: bad: is of no version that we know" in run(world, *argv, code=1)
    run(world, *argv, "--do", code=1)
    serve(world)
    is_served(world, "bob@d.test", "bob@d.test")
    client = poplib.POP3("127.0.0.1", world.ports["pop3"])                         # type: ignore[attr-defined]
    client.user("bob:d.test")                   # as VMailMgr's users may have it; curl cannot say that
    client.pass_("secret")
    client.quit()
    swaks(world, "sales@d.test")
    wait_until(lambda: messages(world, "bob@d.test") == 3, "mail by the alias")
    swaks(world, "whoever@d.test")
    wait_until(lambda: messages(world, "bob@d.test") == 4, "mail for nobody")
    if version:
        assert "bob:quota=1000000S,500C" in (world.virtual / "d.test/etc/options").read_text()
        swaks(world, "ann@d.test")
        wait_until(lambda: messages(world, "bob@d.test") == 5, "mail that is forwarded")
        wait_until(lambda: messages(world, "ann@d.test") == 2, "mail that is kept, too")


# text files

def test_vm_pop3d(world: System, tmp_path: pathlib.Path) -> None:
    old = tmp_path / "old"
    (old / "virtual/d.test").mkdir(parents=True)
    (old / "virtual/d.test/passwd").write_text(f"bob:{DES}\nann:{MD5}\nno colon\n")
    (old / "spool/d.test").mkdir(parents=True)
    (old / "spool/d.test/bob").write_text("From x Sat\nSubject: a\n\nfrom before\n")
    (old / "spool/d.test/ann").write_text("")
    said = run(world, "vm-pop3d", old / "virtual", "--mail", old / "spool", "--do", code=1)

    assert "line 3: is not user:hash" in said
    serve(world)
    is_served(world, "bob@d.test", "bob@d.test")
    is_served(world, "ann@d.test", "ann@d.test", before=0)


def test_courier_userdb(world: System, tmp_path: pathlib.Path) -> None:
    old = tmp_path / "old"
    maildir(old / "home/vmail/bob/Maildir")
    own(old / "home")
    (old / "userdb").write_text(
        f"bob@d.test\thome=/home/vmail/bob|mail=/home/vmail/bob/Maildir|uid=5|gid=5|systempw={MD5}|quota=5000000S\n"
        f"ann\thome=/home/vmail/ann|uid=5|gid=5|imappw={DES}\n")
    run(world, "userdb", old / "userdb", "--root", old, "--domain", "e.test", "--do")
    serve(world)
    is_served(world, "bob@d.test", "bob@d.test")
    is_served(world, "ann@e.test", "ann@e.test", before=0)


# Vmail-SQL

def test_vmail_sql(world: System, tmp_path: pathlib.Path) -> None:
    old = tmp_path / "old"
    spool = old / "var/spool/mail/SERVERS/klient1.test"
    spool.mkdir(parents=True)
    (spool / "luser").write_text("From x Sat\nSubject: a\n\nfrom before\n")
    (old / "dump.sql").write_text(r"""-- MySQL dump
CREATE TABLE domain (domain_name char(255) NOT NULL, unix_user char(32), password_hash char(255), path char(255),
  max_popbox int, PRIMARY KEY (domain_name));
INSERT INTO domain VALUES ('klient1.test','vmail','5ebe2294ecd0e0f08eab7690d2a6ee69',
  '/var/spool/mail/SERVERS/klient1.test',10);
CREATE TABLE popbox (domain_name char(255), local_part char(255), password_hash char(255), mbox_name char(255));
INSERT INTO popbox VALUES ('klient1.test','luser','5ebe2294ecd0e0f08eab7690d2a6ee69','luser'),
 ('klient1.test','b64','Xr4ilOzQ4PCOq3aQ0qbuaQ==','b64'),('klient1.test','o\'neil','{crypt_md5}%s','o\'neil'),
 ('klient1.test','evil','{plaintext}secret','../../evil');
CREATE TABLE forwarder (domain_name char(255), local_part char(255), remote_name text);
INSERT INTO forwarder VALUES ('klient1.test','both','luser@klient1.test, b64'),
 ('klient1.test','_default_','luser'),('klient1.test','run','|/bin/sh'),('klient1.test','file','"/etc/passwd"');
""".replace("%s", MD5))
    said = run(world, "vmail-sql", old / "dump.sql", "--root", old, "--do", code=1)

    assert said.count("a row of a database may name neither") == 2
    assert "cannot be the name of a mailbox's file" in said
    assert "@:mailboxes=10" in (world.virtual / "klient1.test/etc/options").read_text()
    serve(world)
    is_served(world, "luser@klient1.test", "luser@klient1.test")
    is_served(world, "o'neil@klient1.test", "o'neil@klient1.test", before=0)
    swaks(world, "both@klient1.test")
    wait_until(lambda: messages(world, "b64@klient1.test") == 1, "the second target")
    wait_until(lambda: messages(world, "luser@klient1.test") == 3, "the first target")
    swaks(world, "whoever@klient1.test")
    wait_until(lambda: messages(world, "luser@klient1.test") == 4, "mail for nobody")


@pytest.mark.parametrize("compiled", [False, True])
def test_vpopmail_in_place(world: System, tmp_path: pathlib.Path, compiled: bool) -> None:
    old = tmp_path / "old"
    home = vpopmail(old, compiled, old / "vpopmail/domains/0/d.test")
    place = home / "domains/0/d.test"
    before = tree(old)
    argv = ["vpopmail", home, "--assign", old / "assign", "--in-place"]
    run(world, *argv, code=1)

    assert tree(old) == before
    assert "1 domains, 4 users, 1 other names" in run(world, *argv, "--do", code=1)
    assert "done: 4 there" in run(world, *argv, "--do", code=1)
    ours = {str(place / each) for each in (
        "etc", "etc/passwd", "etc/passwd.cdb", "etc/users.cdb", "etc/options", ".qmail-default", ".qmail-default.before",
        *(f".qmail-{role}" for role in ("abuse", "hostmaster", "webmaster", "noc", "security", "mailer-daemon", "root")))}
    after = tree(old)
    assert {name for name in after if after[name] != before.get(name)} == ours
    assert (place / ".qmail-default.before").read_text() == before[str(place / ".qmail-default")][3].decode()
    assert [line.split(":")[5] for line in (place / "etc/passwd").read_text().split("\n") if line.startswith("bob:")] == [
        "/A/bob"]
    serve(world)
    is_served(world, "bob@d.test", "bob@other.test", before=2)
    assert len(list((place / "A/bob/Maildir/new").iterdir()) + list((place / "A/bob/Maildir/cur").iterdir())) == 3
    swaks(world, "sales@d.test")
    wait_until(lambda: messages(world, "bob@d.test") == 4, "mail by the alias that stayed")
    assert messages(world, "ann@d.test") == 2
    swaks(world, "whoever@d.test")
    wait_until(lambda: messages(world, "bob@d.test") == 5, "mail for nobody")

    assert world.run("vq-passwd", "bob@d.test", "--password-stdin", input=b"another\n").returncode == 0
    assert messages(world, "bob@d.test", "another") == 5
    assert world.run("vq-domain", "list").stdout.decode().count("d.test") >= 1
    assert world.run("vq-domain", "info", "d.test").returncode == 0
