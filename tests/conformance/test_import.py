"""Users of other systems come along with passwords, mail, aliases and old names, and real clients find them."""

import fcntl
import json
import os
import pathlib
import poplib
import shutil
import subprocess
import time
import warnings

import pytest
import support
from system import System, wait_until

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import crypt

pytestmark = [pytest.mark.root, pytest.mark.peers]
MD5 = crypt.crypt("secret", "$1$abcdefgh$")
SHA512 = crypt.crypt("secret", "$6$rounds=1000$salt")
YESCRYPT = crypt.crypt("secret", "$y$j75$" + "a" * 21 + ".")
DES = crypt.crypt("secret", "ab")
OWNER = 45990                   # whom the old trees belong to


@pytest.fixture
def world(system: System, tmp_path: pathlib.Path) -> System:
    """An installation that runs; its doors are opened as they are needed."""
    system.ports = {}           # type: ignore[attr-defined]
    (tmp_path / "old").mkdir()
    (tmp_path / "old").chmod(0o755)
    return system


def run(world: System, *argv: object, code: int = 0) -> str:
    done = world.run("vq-import", *map(str, argv), timeout=300)

    assert done.returncode == code, (done.stdout + done.stderr).decode()
    return done.stdout.decode()


def serve(world: System) -> None:
    """Everything that mail goes through."""
    world.start_all()
    world.ports = {"pop3": world.start_pop3(), "smtp": world.start_smtp()}         # type: ignore[attr-defined]


def pop(world: System, user: str, password: str = "secret", what: str = "1") -> "subprocess.CompletedProcess[str]":
    port = world.ports["pop3"]  # type: ignore[attr-defined]
    return subprocess.run(["curl", "-sS", "--max-time", "60", "--user", f"{user}:{password}",
                           f"pop3://127.0.0.1:{port}/{what}"], capture_output=True, text=True, check=False)


def messages(world: System, user: str, password: str = "secret") -> int:
    """How many messages curl lists."""
    done = pop(world, user, password, "")

    assert done.returncode == 0, (user, done.stderr, world.log())
    return len(done.stdout.split("\n")) - 1 if done.stdout.strip() else 0


def swaks(world: System, to: str, code: int = 0) -> None:
    port = world.ports["smtp"]  # type: ignore[attr-defined]
    done = subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(port), "--from", "ann@elsewhere.test", "--to", to,
                           "--body", "sent after the import", "--helo", "x"], capture_output=True, text=True, check=False)

    assert (done.returncode == 0) == (code == 0), done.stdout


def is_served(world: System, login: str, address: str, before: int = 1) -> None:
    """The mail of before is there, and what swaks sends now arrives."""
    assert messages(world, login) == before
    if before:
        assert "from before" in pop(world, login).stdout
    swaks(world, address)
    wait_until(lambda: messages(world, login) == before + 1, f"mail for {address}: {world.log()}")
    assert "sent after the import" in pop(world, login, what=str(before + 1)).stdout


def own(path: pathlib.Path, uid: int = OWNER) -> None:
    for each in (path, *path.rglob("*")):
        os.chown(each, uid, uid, follow_symlinks=False)


def maildir(path: pathlib.Path, count: int = 1) -> None:
    for each in ("tmp", "new", "cur"):
        (path / each).mkdir(parents=True)
    for number in range(count):
        (path / "cur" / f"{1_000_000_000 + number}.{number}.old:2,S").write_text(f"Subject: {number}\n\nfrom before\n")


def make_cdb(path: pathlib.Path, records: "list[tuple[bytes, bytes]]") -> None:
    """A constant database, by tinycdb."""
    text = b"".join(b"+%d,%d:%s->%s\n" % (len(key), len(data), key, data) for key, data in records) + b"\n"
    subprocess.run(["cdb", "-c", str(path)], input=text, check=True)


def tree(path: pathlib.Path) -> "dict[str, tuple[int, int, int, bytes]]":
    """What is in a directory, and whose it is."""
    found = {}
    for each in sorted(path.rglob("*")):
        status = each.lstat()
        text = each.read_bytes() if each.is_file() and not each.is_symlink() else b""
        found[str(each)] = (status.st_mode, status.st_uid, status.st_mtime_ns if each.is_file() else 0, text)
    return found


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


# vpopmail

def vpopmail(old: pathlib.Path, compiled: bool, was: "object" = "/home/vpopmail/domains/0/d.test") -> pathlib.Path:
    """A tree of vpopmail's: a domain, which was in `was`, with users in hash directories, and another name of it."""
    home = old / "vpopmail"
    place = home / "domains/0/d.test"
    users = [f"postmaster:{MD5}:1:0:Postmaster:{was}/postmaster:NOQUOTA:secret",
             f"bob:{SHA512}:0:0:Bob B:{was}/A/bob:1000000S,100C", f"ann:{MD5}:0:2064:Ann:{was}/ann:5000000",
             f"shut:{MD5}:0:2:Shut:{was}/shut:NOQUOTA", f"gone:{MD5}:0:0::{was}/gone:NOQUOTA"]
    for name in ("postmaster", "A/bob", "ann", "shut"):
        maildir(place / name / "Maildir", 2 if name == "A/bob" else 1)
    maildir(place / "A/bob/Maildir/.Sent")
    (place / "A/bob/lastauth").write_text("192.0.2.1")
    os.utime(place / "A/bob/lastauth", (1600000000, 1600000000))
    (place / "postmaster/.qmail").write_text("&bob@d.test\n./Maildir/\n")
    if compiled:
        make_cdb(place / "vpasswd.cdb", [(each.partition(":")[0].encode(), each.partition(":")[2].encode())
                                         for each in users])
    else:
        (place / "vpasswd").write_text("\n".join(users) + "\n")
    (place / ".qmail-default").write_text("| /home/vpopmail/bin/vdelivermail '' ann@d.test\n".replace("ann@", "bob@"))
    (place / ".qmail-sales").write_text(f"&bob@d.test\n{was}/ann/Maildir/\n")
    (place / ".qmail-jo:doe").write_text("bob@d.test\n")
    (place / ".qmail-list").write_text("| /usr/bin/ezmlm-send /home/list\n")
    (place / ".qmail-away").write_text("&nobody-of-that-name@d.test\n")
    (place / ".qmailadmin-limits").write_text("maxpopaccounts: 50\nmaxaliases: -1\ndefault_quota: 7000000\n")
    own(home)
    (old / "assign").write_text(f"+d.test-:d.test:89:89:{was}:-::\n+other.test-:d.test:89:89:{was}:-::\n.\n")
    return home


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


# stopped and started again; and out again

@pytest.mark.slow
def test_killed_and_started_again_it_is_complete_and_nothing_is_there_twice(world: System, tmp_path: pathlib.Path) -> None:
    old = tmp_path / "old"
    count = 3000
    (old / "passwd").write_text("".join(f"user{each}:{MD5}:{2000 + each}:{2000 + each}::/home/user{each}:\n"
                                        for each in range(count)))
    for each in range(0, count, 100):
        maildir(old / f"home/user{each}/Maildir")
        own(old / f"home/user{each}", 2000 + each)
    argv = [world.bin("vq-import"), "passwd", str(old / "passwd"), "d.test", "--root", str(old), "--do"]
    text = world.virtual / "d.test/etc/passwd"
    kills = 0
    for wanted in (0, 1000, 2000):              # once while the first are copied, and after each batch
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=world.env())
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            lines = text.read_text().count(MD5) if text.exists() else 0
            staged = world.virtual / ".import/d.test"
            if lines >= wanted and staged.is_dir() and any(staged.iterdir()):
                process.kill()
                kills += 1
                break
            time.sleep(0.002)
        process.communicate()
    run(world, *argv[1:])

    assert kills >= 2
    names = [line.partition(":")[0] for line in text.read_text().split("\n") if line and line[0] != "#"]
    assert sorted(names) == sorted(f"user{each}" for each in range(count))
    uids = [line.split(":")[2] for line in text.read_text().split("\n") if line and line[0] != "#"]
    assert len(set(uids)) == count
    assert sorted(os.listdir(world.virtual / "d.test/home")) == sorted(names)
    for each in range(0, count, 100):
        mail = list((world.virtual / f"d.test/home/user{each}/Maildir/cur").iterdir())
        assert [one.name for one in mail] == ["1000000000.0.old:2,S"]
    assert not (world.virtual / ".import").exists()
    assert (world.home / "users/logins").read_text().count("@d.test\n") == count
    assert "3000 there" in run(world, *argv[1:])


def test_two_imports_do_not_bring_users_to_one_domain_at_once(world: System, tmp_path: pathlib.Path) -> None:
    (tmp_path / "old/passwd").write_text(f"bob:{MD5}:1001:1001::/nowhere:\n")
    place = world.virtual / ".import/d.test"
    place.mkdir(mode=0o700, parents=True)
    (place / "other,part").mkdir()
    number = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        said = run(world, "passwd", tmp_path / "old/passwd", "d.test", "--do", code=1)
    finally:
        os.close(number)

    assert "another vq-import brings users to d.test just now" in said
    assert os.listdir(place) == ["other,part"]
    run(world, "passwd", tmp_path / "old/passwd", "d.test", "--do")
    assert not place.exists()


def test_somebody_who_is_not_root_can_neither_import_nor_export(world: System, tmp_path: pathlib.Path) -> None:
    (tmp_path / "old/passwd").write_text(f"bob:{MD5}:1001:1001::/nowhere:\n")
    for argv in (["vq-import", "passwd", str(tmp_path / "old/passwd"), "d.test", "--do"], ["vq-export", "d.test"]):
        done = world.run(*argv, uid=OWNER)

        assert (done.returncode, done.stdout) == (100, b"")
        assert b"only the postmaster (root) may" in done.stderr


def test_an_installation_under_one_user_imports_too(home: support.Home, tmp_path: pathlib.Path) -> None:
    uid, gid = support.single_ids()
    (home.path / "virtual").mkdir()
    os.chown(home.path / "virtual", uid, gid)
    home.control("virtualroot", f"{home.path}/virtual\n")
    home.control("minuid", "1\n")
    old = home.write("old/passwd", f"bob:{MD5}:1001:1001:Bob:/old/bob:\n")
    maildir(old.parent / "bob/Maildir")
    own(old.parent / "bob", uid)
    done = home.run(["vq-import", "passwd", str(old), "d.test", "--root", str(home.path), "--do"])

    assert done.returncode == 0, done.stdout + done.stderr
    assert (home.path / "virtual/d.test/home/bob/Maildir/cur/1000000000.0.old:2,S").stat().st_uid == uid
    again = home.run(["vq-export", "d.test", "--json"])
    assert again.returncode == 0, again.stderr
    everything = json.loads(again.stdout)
    assert everything["logins"] == {"bob": "bob@d.test"}
    assert everything["aliases"]["abuse"] == ["postmaster@host.test"]
    assert [(each["name"], each["hash"], each["uid"]) for each in everything["users"]] == [("bob", MD5, uid)]


def test_export_can_be_imported_again(world: System, tmp_path: pathlib.Path) -> None:
    (tmp_path / "old/passwd").write_text(f"bob:{MD5}:1001:1001:Bob B:/nowhere:\n")
    run(world, "passwd", tmp_path / "old/passwd", "d.test", "--do")
    done = world.run("vq-export", "d.test")
    fields = done.stdout.decode().removesuffix("\n").split(":")

    assert done.returncode == 0, done.stderr
    assert (fields[0], fields[1], fields[4:]) == ("bob", MD5, ["Bob B", f"{world.virtual}/d.test/home/bob", "/bin/false"])
    (tmp_path / "exported").write_bytes(done.stdout)
    run(world, "passwd", tmp_path / "exported", "e.test", "--min-uid", "100", "--no-logins", "--do")
    again = world.run("vq-export", "e.test", "--no-hashes").stdout.decode()
    assert again.startswith("bob:x:")


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


# what POP3 clients know the messages by

def unique_ids(world: System, user: str) -> "list[str]":
    client = poplib.POP3("127.0.0.1", world.ports["pop3"], timeout=60)  # type: ignore[attr-defined]
    client.user(user)
    client.pass_("secret")
    found = [each.decode().split()[1] for each in client.uidl()[1]]
    client.quit()
    return found


def test_pop3_clients_fetch_nothing_again(world: System, tmp_path: pathlib.Path) -> None:
    old = tmp_path / "old"
    maildir(old / "mail/luser")                                          # as tpop3d served it
    (old / "dump.sql").write_text(
        "INSERT INTO domain (domain_name, path, max_popbox) VALUES ('klient1.test', '/mail', 10);\n"
        "INSERT INTO popbox (domain_name, local_part, password_hash, mbox_name) VALUES\n"
        "('klient1.test', 'luser', '5ebe2294ecd0e0f08eab7690d2a6ee69', 'luser');\n")
    for number, name in enumerate(("courier", "dovecot", "told")):
        maildir(old / "home" / name / "Maildir")
        own(old / "home" / name, 1001 + number)
    (old / "home/dovecot/Maildir/dovecot-uidlist").write_text("3 V1234567890 N8 G0\n7 :1000000000.0.old\n")
    own(old / "home/dovecot", 1002)
    (old / "passwd").write_text("".join(f"{name}:{MD5}:{1001 + number}:{1001 + number}::/home/{name}:/bin/sh\n"
                                        for number, name in enumerate(("courier", "dovecot", "told"))))
    run(world, "vmail-sql", old / "dump.sql", "--root", old, "--do")
    run(world, "passwd", old / "passwd", "d.test", "--root", old, "--user", "courier", "--user", "dovecot", "--do")
    run(world, "passwd", old / "passwd", "d.test", "--root", old, "--user", "told", "--uidl", "tpop3d", "--do")

    assert run(world, "passwd", old / "passwd", "d.test", "--uidl", "imap", code=100) == ""
    serve(world)
    assert {user: unique_ids(world, user) for user in ("luser@klient1.test", "courier@d.test", "dovecot@d.test", "told@d.test")
            } == {"luser@klient1.test": ["985a93f2f960f80f63a30568f10e8ecf"], "courier@d.test": ["1000000000.0.old"],
                  "dovecot@d.test": ["00000007499602d2"], "told@d.test": ["985a93f2f960f80f63a30568f10e8ecf"]}


# passwords

def test_an_old_hash_works_and_is_a_better_one_after_the_first_login(world: System, tmp_path: pathlib.Path) -> None:
    old = tmp_path / "old"
    hashes = {"md5": MD5, "des": DES, "sha": SHA512, "idle": MD5}
    (old / "passwd").write_text("".join(f"{name}:x:{1001 + number}:{1001 + number}::/home/{name}:/bin/sh\n"
                                        for number, name in enumerate(hashes)))
    (old / "shadow").write_text("".join(f"{name}:{stored}:1:0:99999:7:::\n" for name, stored in hashes.items()))
    world.control("passwordscheme", "sha512\n")
    run(world, "passwd", old / "passwd", "domain1.test", "--shadow", old / "shadow", "--root", old, "--do")
    serve(world)
    passwd = world.virtual / "domain1.test/etc/passwd"

    def stored(name: str) -> str:
        return next(line.split(":")[1] for line in passwd.read_text().split("\n") if line.startswith(name + ":"))

    assert {name: stored(name) for name in hashes} == hashes
    assert pop(world, "md5@domain1.test", "wrong", what="").returncode == 67
    for name in ("md5", "des"):                 # while another change is made it is left for the next login
        wait_until(lambda name=name: messages(world, f"{name}@domain1.test") == 0 and stored(name) != hashes[name],
                   f"a better hash for {name}")
    assert {name: stored(name)[:3] for name in ("md5", "des", "idle")} == {"md5": "$6$", "des": "$6$", "idle": "$1$"}
    assert [messages(world, f"{name}@domain1.test") for name in hashes] == [0, 0, 0, 0]
    assert pop(world, "md5@domain1.test", "wrong", what="").returncode == 67
