"""A change to many files is made entirely or not at all; who comes next completes what was killed."""

import os
import pathlib

import pytest

from vqmail import codes
from vqmail.admin import disk, transaction
from vqmail.formats import journal
from vqmail.store import compiled, sender
from vqmail.store import journal as changes


class Place:
    """An installation in a temporary directory, with one virtual root."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        for each in ("control", "users", "virtual", "virtual/d.test", "virtual/d.test/etc"):
            (path / each).mkdir()
        (path / "control/virtualroot").write_text(f"{path}/virtual\n")
        self.d = path / "virtual/d.test"

    def name(self, name: str) -> bytes:
        return str(self.path / name).encode()

    def tree(self) -> "dict[str, bytes | str]":
        """Everything there is, but for the lock."""
        found: dict[str, bytes | str] = {}
        for each in sorted(self.path.rglob("*")):
            name = str(each.relative_to(self.path))
            if each.is_symlink():
                found[name] = "-> " + os.readlink(each)
            elif each.is_dir():
                found[name] = "directory"
            elif name != "users/lock":
                found[name] = each.read_bytes()
        return found


@pytest.fixture
def place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    each = Place(tmp_path)
    monkeypatch.setattr("vqmail.vqhome.VQHOME", str(tmp_path).encode())
    monkeypatch.setattr(changes, "LOCK", each.name("users/lock"))
    monkeypatch.setattr(changes, "PATH", each.name("users/journal"))
    monkeypatch.setattr(compiled, "ASSIGN", each.name("users/assign"))
    monkeypatch.setattr(compiled, "USERS", each.name("users/cdb"))
    monkeypatch.setattr(sender, "MUTEX", each.name("queue/lock/sendmutex"))
    return each


def test_nothing_changes_without_commit(place: Place) -> None:
    before = place.tree()
    with transaction.Transaction() as t:
        t.write(place.name("control/rcpthosts"), b"d.test\n")
        t.make_directory(place.name("virtual/e.test"), 0o755, (os.getuid(), os.getgid()))

    assert before == place.tree()


def test_a_write_keeps_mode_and_owner_of_the_old_file(place: Place) -> None:
    path = place.path / "control/locals"
    path.write_text("a\n")
    path.chmod(0o4640)
    if os.geteuid() == 0:
        os.chown(path, 45001, 45002)
        path.chmod(0o4640)
    before = path.stat()
    for times in (1, 2):
        with transaction.Transaction() as t:
            for number in range(times):
                t.write(place.name("control/locals"), b"%d\n" % number)
            t.write(place.name("control/other"), b"x\n", 0o600)
            t.write(place.name("control/other"), b"y\n")
            t.commit()
        after = path.stat()

        assert (f"{times - 1}\n", 0o100640, before.st_uid, before.st_gid) == (
            path.read_text(), after.st_mode, after.st_uid, after.st_gid)
        assert (place.path / "control/other").stat().st_mode == 0o100600


def test_a_link_that_the_postmaster_made_stays_one(place: Place) -> None:
    (place.path / "elsewhere").write_text("a\n")
    (place.path / "control/locals").symlink_to("../elsewhere")
    with transaction.Transaction() as t:
        t.write(place.name("control/locals"), b"b\n")
        t.commit()

    assert ("../elsewhere", "b\n") == (os.readlink(place.path / "control/locals"), (place.path / "elsewhere").read_text())


def test_it_sees_what_it_is_going_to_do(place: Place) -> None:
    (place.d / "x").write_text("old\n")
    with transaction.Transaction() as t:
        t.write(place.name("virtual/d.test/y"), b"one\n")
        t.write(place.name("virtual/d.test/y"), b"two\n")
        t.move(place.name("virtual/d.test/etc"), place.name("virtual/d.test/etc2"))
        t.remove(place.name("virtual/d.test/x"))

        assert (b"two\n", None, None, "directory", "file") == (
            t.read(place.name("virtual/d.test/y")), t.read(place.name("virtual/d.test/x")),
            t.kind(place.name("virtual/d.test/etc")), t.kind(place.name("virtual/d.test/etc2")),
            t.kind(place.name("virtual/d.test/y")))


def everything(place: Place) -> None:
    """One of each kind of step."""
    uid = (os.getuid(), os.getgid())
    with transaction.Transaction() as t:
        t.write(place.name("control/rcpthosts"), b"e.test\n")
        t.remove(place.name("control/gone"))
        t.move(place.name("virtual/d.test"), place.name("virtual/e.test"))
        t.write(place.name("virtual/e.test/new"), b"new\n")
        t.make_directory(place.name("virtual/e.test/home"), 0o755, uid)
        t.make_directory(place.name("virtual/e.test/home/bob"), 0o700, uid)
        t.link(b"e.test", place.name("virtual/f.test"))
        t.remove_tree(place.name("virtual/.trash/1.x"))
        t.write(place.name("users/assign"), b".\n")
        t.compile()
        t.reload()
        t.commit()


def fill(place: Place) -> None:
    (place.path / "control/gone").write_text("x\n")
    (place.path / "virtual/.trash/1.x/a/b").mkdir(parents=True)
    (place.path / "virtual/.trash/1.x/a/link").symlink_to("/etc")
    (place.path / "users/assign").write_text(".\n")


DONE = {
    "control": "directory", "control/rcpthosts": b"e.test\n", "users": "directory", "users/assign": b".\n",
    "virtual": "directory", "virtual/.trash": "directory", "virtual/e.test": "directory", "virtual/e.test/etc": "directory",
    "virtual/e.test/new": b"new\n", "virtual/e.test/home": "directory", "virtual/e.test/home/bob": "directory",
    "virtual/f.test": "-> e.test"}


def done(place: Place) -> "dict[str, bytes | str]":
    found = place.tree()
    found.pop("control/virtualroot")
    assert len(found.pop("users/cdb")) > 2048
    return found


def test_all_steps_are_done(place: Place) -> None:
    fill(place)
    everything(place)

    assert done(place) == DONE


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", range(9))
def test_killed_before_any_step_the_next_one_completes_it(place: Place, step: int,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    fill(place)
    real = changes._do
    count = 0

    def do(each):
        nonlocal count
        count += 1
        if count > step:
            raise Killed
        return real(each)

    monkeypatch.setattr(changes, "_do", do)
    with pytest.raises(Killed):
        everything(place)
    monkeypatch.setattr(changes, "_do", real)

    assert transaction.recover()
    assert done(place) == DONE
    assert not transaction.recover()


@pytest.mark.parametrize("times", [1, 2])
def test_steps_done_again_are_the_same(place: Place, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(place)
    kept = []
    monkeypatch.setattr(changes, "commit", lambda steps: kept.extend(steps) or [])
    everything(place)
    for _ in range(times):
        changes.carry_out(journal.decode(journal.encode(kept)))

    assert done(place) == DONE


def test_a_full_disk_changes_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(place)
    before = place.tree()
    full = os.statvfs_result((4096, 4096, 1000, 1, 1, 1000, 100, 100, 0, 255))
    monkeypatch.setattr("os.statvfs", lambda path: full)
    with pytest.raises(codes.TryLater, match="nothing was changed: the disk of .* is full"):
        everything(place)

    assert before == place.tree()


def test_a_broken_assign_is_not_half_changed(place: Place) -> None:
    fill(place)
    (place.path / "users/assign").write_text("nonsense\n.\n")
    before = place.tree()
    with pytest.raises(codes.GiveUp, match="nothing was changed: users/assign: line 1"), transaction.Transaction() as t:
        t.write(place.name("control/rcpthosts"), b"x\n")
        t.compile()
        t.commit()

    assert before == place.tree()


def test_no_link_of_a_domains_owner_is_followed(place: Place) -> None:
    (place.path / "secret").write_text("secret\n")
    (place.d / "file").symlink_to(place.path / "secret")
    (place.d / "folder").symlink_to(place.path / "control")
    with transaction.Transaction() as t:
        with pytest.raises(codes.TryLater, match="cannot read"):
            t.read(place.name("virtual/d.test/file"))
        with pytest.raises(codes.TryLater, match="cannot read"):
            t.read(place.name("virtual/d.test/folder/virtualroot"))
        t.write(place.name("virtual/d.test/file"), b"mine\n")
        t.commit()

    assert ("secret\n", "mine\n") == ((place.path / "secret").read_text(), (place.d / "file").read_text())


def test_a_file_with_another_name_is_not_read(place: Place) -> None:
    (place.path / "secret").write_text("secret\n")
    os.link(place.path / "secret", place.d / "file")
    with transaction.Transaction() as t, pytest.raises(codes.TryLater, match="more than one name"):
        t.read(place.name("virtual/d.test/file"))


def test_an_owner_who_takes_the_ground_away_stops_nobody(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = changes.carry_out

    def carry_out(steps):
        (place.d / "etc").rmdir()
        (place.d / "etc").symlink_to(place.path / "control")
        return real(steps)

    monkeypatch.setattr(changes, "carry_out", carry_out)
    with pytest.raises(codes.TryLater, match="d.test/etc/x: not done"), transaction.Transaction() as t:
        t.write(place.name("virtual/d.test/etc/x"), b"x\n")
        t.write(place.name("control/y"), b"y\n")
        t.commit()

    assert (False, "y\n", False) == ((place.path / "control/x").exists(), (place.path / "control/y").read_text(),
                                     (place.path / "users/journal").exists())


def test_the_lock_is_let_go(place: Place) -> None:
    for _ in range(2):
        with transaction.Transaction() as t:
            t.write(place.name("control/y"), b"y\n")
            t.commit()


def test_somebody_else_with_the_lock_is_waited_for_and_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "SOON", 0.01)
    monkeypatch.setattr(changes, "PATIENCE", 0.05)
    with transaction.Transaction(), pytest.raises(codes.TryLater, match="somebody else has held"), transaction.Transaction():
        pass


def test_a_domain_that_root_put_elsewhere_by_a_link_is_changed_there_and_no_link_below_it_is_followed(place: Place) -> None:
    (place.path / "elsewhere/etc").mkdir(parents=True)
    (place.path / "elsewhere/trap").symlink_to(place.path / "control")
    (place.path / "virtual/e.test").symlink_to(place.path / "elsewhere")
    with transaction.Transaction() as t:
        t.write(place.name("virtual/e.test/etc/options"), b"# none\n")
        t.commit()

    assert (place.path / "elsewhere/etc/options").read_bytes() == b"# none\n"
    assert disk.names(place.name("virtual/e.test")) == [b"etc", b"trap"]
    assert disk.kind(place.name("virtual/e.test")) == "link"
    with pytest.raises(codes.TryLater), transaction.Transaction() as t:
        t.read(place.name("virtual/e.test/trap/virtualroot"))
