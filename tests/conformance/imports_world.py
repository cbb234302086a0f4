"""Trees of other systems, and what the tests of vq-import ask of an installation that they were brought to."""

import os
import pathlib
import subprocess
import warnings

import pytest
from system import System, wait_until

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import crypt

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
