"""Uid and gid 89, which vpopmail recommends, are somebody else's here, as other distributions give them to Postfix.

All of it happens in an /etc of its own, in which nobody of ours has a number yet.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import typing

import pytest
import system as module

from vqmail.setup import hier

pytestmark = [pytest.mark.root, pytest.mark.peers]
TREE = pathlib.Path(__file__).parents[2]
TAKEN = 89
OURS = {*hier.ROLES, hier.GROUP, hier.NOFILES}


def _copy(source: str, target: str) -> None:
    """A file, unless it is gone: others add users meanwhile, and that makes files in /etc that come and go."""
    with contextlib.suppress(FileNotFoundError):
        shutil.copy2(source, target, follow_symlinks=False)


class World:
    """An /etc with a postfix of uid and gid 89, and the programs that see it."""

    def __init__(self, path: pathlib.Path) -> None:
        self.etc = path / "etc"
        self.home = path / "vqmail"
        self.virtual = path / "virtual"
        shutil.copytree("/etc", self.etc, symlinks=True, ignore=shutil.ignore_patterns("*.lock", "*.lock.*"),
                        copy_function=_copy)
        for name in ("passwd", "shadow", "group", "gshadow"):
            file = self.etc / name
            if file.exists():                   # a small system may have no gshadow
                rows = [row for row in file.read_text().splitlines()
                        if row.partition(":")[0] not in {*OURS, "postfix"} and f":x:{TAKEN}:" not in row]
                file.write_text("".join(row + "\n" for row in rows))
        self.run("groupadd", "--gid", str(TAKEN), "postfix")
        self.run("useradd", "--uid", str(TAKEN), "--gid", str(TAKEN), "--no-create-home", "postfix")

    def run(self, *argv: object, code: int = 0, **options: typing.Any) -> str:
        """Run a program to its end; what it said."""
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc && exec "$@"', str(self.etc), *map(str, argv)],
            capture_output=True, text=True, check=False, timeout=120, **options)

        assert done.returncode == code, (argv, done.stdout + done.stderr)
        return done.stdout

    def ours(self, name: str, *argv: object, **options: typing.Any) -> str:
        return self.run(self.home / "bin" / name, *argv, **options)

    def setup(self, *options: str) -> str:
        """What make setup runs (with --check: what make check-setup runs)."""
        return self.run(sys.executable, "-m", "vqmail.setup", *options, self.home, cwd=TREE)

    def numbers(self, name: str, field: int) -> "dict[str, int]":
        """Name -> a field of /etc/`name`."""
        rows = [row.split(":") for row in (self.etc / name).read_text().splitlines()]
        return {row[0]: int(row[field]) for row in rows}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """What make setup leaves there."""
    path = tmp_path_factory.mktemp("taken")
    module.let_through(path)
    each = World(path)
    each.setup()
    each.virtual.mkdir()
    (each.home / "control/virtualroot").write_text(f"{each.virtual}\n")
    return each


def of_89(path: pathlib.Path) -> "list[pathlib.Path]":
    """What belongs to uid or gid 89."""
    return [each for each in (path, *path.rglob("*")) if TAKEN in (each.lstat().st_uid, each.lstat().st_gid)]


def test_setup_gives_its_roles_other_numbers(world: World) -> None:
    users, groups = world.numbers("passwd", 2), world.numbers("group", 2)

    assert OURS == {each for each in {*users, *groups} if each in OURS}
    assert {"postfix"} == {each for each, number in users.items() if number == TAKEN}
    assert {"postfix"} == {each for each, number in groups.items() if number == TAKEN}
    assert [] == of_89(world.home)
    assert world.setup("--check").startswith(f"{world.home}: every owner, mode, program and service is as it should be\n")


def test_a_role_that_has_89_keeps_it(tmp_path: pathlib.Path) -> None:
    module.let_through(tmp_path)
    world = World(tmp_path)
    world.run("userdel", "postfix")
    world.run("groupadd", "--gid", str(TAKEN), "qmail")
    world.run("useradd", "--uid", str(TAKEN), "--gid", "qmail", "--no-create-home", "qmailq")
    world.setup()

    assert (TAKEN, TAKEN) == (world.numbers("passwd", 2)["qmailq"], world.numbers("passwd", 3)["qmails"])
    assert TAKEN == (world.home / "queue/mess").stat().st_uid
    assert world.setup("--check").startswith(f"{world.home}: every owner, mode, program and service is as it should be\n")


def test_new_domains_and_users_are_not_given_it_either(world: World) -> None:
    before = {name: (world.home / "control" / name).read_bytes() for name in ("firstuid", "minuid")
              if (world.home / "control" / name).exists()}
    for name in ("firstuid", "minuid"):
        (world.home / "control" / name).write_text(f"{TAKEN}\n")
    try:
        world.ours("vq-domain", "add", "d.test")
        world.ours("vq-user", "add", "--password-stdin", "bob@d.test", input="secret\n")
    finally:
        for name in ("firstuid", "minuid"):
            (world.home / "control" / name).unlink()
            if name in before:
                (world.home / "control" / name).write_bytes(before[name])
    owner = (world.virtual / "d.test").stat().st_uid
    bob = (world.virtual / "d.test/home/bob").stat().st_uid

    assert owner == min(each for each in range(TAKEN, 1000) if each not in {
        *world.numbers("passwd", 2).values(), *world.numbers("passwd", 3).values()})
    assert bob > owner
    assert [] == of_89(world.virtual)


def test_mail_that_was_vpopmails_is_the_new_owners(world: World, tmp_path: pathlib.Path) -> None:
    module.let_through(tmp_path)
    place = tmp_path / "vpopmail/domains/vp.test"
    (place / "ann/Maildir/cur").mkdir(parents=True)
    for each in ("new", "tmp"):
        (place / "ann/Maildir" / each).mkdir()
    (place / "ann/Maildir/cur/1000000000.1.old:2,S").write_text("Subject: x\n\nfrom before\n")
    (place / "vpasswd").write_text(f"ann:$1$abcdefgh$irWbblnpmw.5z7wgBnprh0:1:0:Ann:{place}/ann:NOQUOTA\n")
    (place / ".qmail-default").write_text("| /home/vpopmail/bin/vdelivermail '' bounce-no-mailbox\n")
    assign = tmp_path / "assign"
    assign.write_text(f"+vp.test-:vp.test:{TAKEN}:{TAKEN}:{place}:-::\n.\n")
    for each in (tmp_path / "vpopmail", *(tmp_path / "vpopmail").rglob("*")):
        os.chown(each, TAKEN, TAKEN)
    world.ours("vq-import", "vpopmail", tmp_path / "vpopmail", "--assign", assign, "--do")
    mail = world.virtual / "vp.test/home/ann/Maildir/cur/1000000000.1.old:2,S"

    assert mail.read_text() == "Subject: x\n\nfrom before\n"
    assert mail.stat().st_uid == (world.virtual / "vp.test").stat().st_uid
    assert [] == of_89(world.virtual)
    assert f":{TAKEN}:" not in (world.home / "users/assign").read_text()
