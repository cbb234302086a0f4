"""vq-import stopped and started again, two at once, and by whom; vq-export; what clients and passwords are after it."""

import fcntl
import json
import os
import pathlib
import poplib
import subprocess
import time

import pytest
import support
from imports_world import DES, MD5, OWNER, SHA512, maildir, messages, own, pop, run, serve
from imports_world import world  # noqa: F401
from system import System, wait_until

pytestmark = [pytest.mark.root, pytest.mark.peers]


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
