"""vq-domain killed, or given an error, at every system call that changes something: after vq-newu all is as it was, or
all is as it was to be.

Most of it runs in forks of a process that has the installation's programs loaded (forked.py); what the library that
writes compiled files calls is broken by strace, as is the last test's command.
"""

import collections
import errno
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import system
from crash import sweep

from vqmail.setup import install

pytestmark = pytest.mark.root
KILLED = (-9, 137)
CHANGING = ("write", "fsync", "rename", "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat", "symlink", "symlinkat",
            "rmdir", "fchmod", "fchown", "pwrite64", "ftruncate", "kill")
COMMANDS = {
    "add": ["add", "new.example", "--owner=46001:46001", "quota=5M"],
    "delete": ["delete", "old.example"],
    "rename": ["rename", "old.example", "new.example", "--keep"],
    "restore": ["restore", "gone.example"],
}
PLACES = ("control", "users", "virtual")
LIBRARYS = ("write", "ftruncate", "fsync")      # what the C library that makes a compiled file calls


class Site:
    """An installation with a domain that has another name and a user with mail, and a domain in the trash."""

    def __init__(self, path: pathlib.Path) -> None:
        self.system = system.System(path)
        self.log = path / "trace"
        self.folder = {"control": self.system.home / "control", "users": self.system.home / "users",
                       "virtual": self.system.virtual}
        (self.folder["users"] / "assign").write_text("=joe:joe:1001:1001:/home/joe:-::\n+zoo-:zoo:1002:1002:/home/zoo:-::\n.\n# end\n")
        self.done("vq-newu")
        self.forked = subprocess.Popen([install.interpreter(), "-IS", pathlib.Path(__file__).with_name("forked.py"),
                                        self.system.home / "lib"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                       env=self.system.env())
        self.done("vq-domain", "add", "old.example", "--owner=46002:46002")
        self.done("vq-domain", "alias", "alias.example", "old.example")
        self.done("vq-domain", "add", "gone.example", "--owner=46003:46003")
        mail = self.system.virtual / "gone.example/home/bob/Maildir/new"
        mail.mkdir(parents=True)
        (mail / "1.mail").write_text("kept\n")
        self.done("vq-domain", "delete", "gone.example")
        self.kept = path / "kept"
        self.kept.mkdir()
        for each in PLACES:
            subprocess.run(["cp", "-a", self.folder[each], self.kept / each], check=True)

    def done(self, *argv: str) -> None:
        done = self.system.run(*argv)

        assert done.returncode == 0, done.stderr

    def fill(self) -> None:
        """As it is before a run."""
        for each in PLACES:
            shutil.rmtree(self.folder[each])
            subprocess.run(["cp", "-a", self.kept / each, self.folder[each]], check=True)

    def state(self) -> "dict[str, tuple]":
        """All there is, but for what is compiled of it."""
        found = {}
        for place, folder in self.folder.items():
            for each in sorted(folder.rglob("*")):
                name = re.sub(r"\.trash/\d+\.", ".trash/TIME.", f"{place}/{each.relative_to(folder)}")
                about = each.lstat()
                if each.name.endswith(".cdb") or name == "users/lock":
                    continue
                content = os.readlink(each) if each.is_symlink() else "" if each.is_dir() else each.read_bytes()
                found[name] = (oct(about.st_mode), about.st_uid, about.st_gid, content)
        return found

    def argv(self, command: str) -> "list[str]":
        return [self.system.bin("vq-domain"), *COMMANDS[command]]

    def fork(self, program: str, arguments: "list[str]", fault: "list | None" = None) -> "tuple[int, str, list[str]]":
        """(exit code, what it said, the changing calls it made) of a program run by forked.py."""
        self.forked.stdin.write(json.dumps([program, arguments, fault]) + "\n")
        self.forked.stdin.flush()
        code, said, made = json.loads(self.forked.stdout.readline())
        return code, said, made

    def calls(self, command: str) -> "list[tuple[str, int]]":
        """(name, n) of each call that changes something, as forked.py counts them."""
        self.fill()
        code, said, made = self.fork("vq-domain", COMMANDS[command])
        assert code == 0, said
        seen: collections.Counter[str] = collections.Counter()
        found = []
        for name in made:
            seen[name] += 1
            found.append((name, seen[name]))
        return found

    def changes(self, command: str) -> "list[tuple[str, int, str]]":
        """(name, n, line) of each call that changes something, from the lock on, as strace counts them."""
        self.fill()
        subprocess.run(["strace", "-y", "-qq", "-o", self.log, "-e", "trace=openat," + ",".join(CHANGING), "--",
                        *self.argv(command)], check=True, capture_output=True)
        counts = dict.fromkeys(("openat", *CHANGING), 0)
        found, begun = [], False
        for line in self.log.read_text().splitlines():
            match = sweep.LINE.match(line)
            if match:
                counts[match.group(1)] += 1
                begun = begun or "users/lock" in line
                if begun and match.group(1) != "openat":
                    found.append((match.group(1), counts[match.group(1)], line))
        return found

    def librarys(self, command: str) -> "list[tuple[str, int]]":
        """(name, n) of each call that strace sees and forked.py may not: those on compiled files."""
        every = self.changes(command)
        ours = collections.Counter(name for name, _ in self.calls(command))
        theirs = [(name, count) for name, count, line in every if name in LIBRARYS and "cdb.tmp>" in line]
        more = collections.Counter(name.removesuffix("at") for name, _, _ in every) - collections.Counter(
            {"pwrite64" if name == "pwrite" else name: count for name, count in ours.items()})
        assert more <= collections.Counter(name for name, _ in theirs), "no call is broken by neither of the two"
        return theirs

    def after_fork(self, command: str, fault: "list") -> "tuple[int, str, dict[str, tuple]]":
        """(exit code, what it said, the state after vq-newu) of a run with a fault of forked.py's."""
        self.fill()
        code, said, _ = self.fork("vq-domain", COMMANDS[command], fault)
        completed, complaint, _ = self.fork("vq-newu", [])
        assert completed == 0, complaint
        return code, said, self.state()

    def after(self, command: str, fault: str) -> "tuple[int, str, dict[str, tuple]]":
        """(exit code, what it said, the state after vq-newu) of a run with `fault`."""
        self.fill()
        ended = subprocess.run(sweep.broken(fault, self.argv(command)), check=False, capture_output=True, timeout=60)
        self.done("vq-newu")
        return ended.returncode, ended.stderr.decode(), self.state()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("admin")
    # in memory: what a kill leaves does not depend on the disk, and most of the time went into its syncs
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m,mode=755", "none", path], check=True)
    try:
        each = Site(path)
        yield each
        each.forked.stdin.close()
        each.forked.wait()
        each.system.stop()
    finally:
        system.unmount(path)


def both(site: Site, command: str) -> "tuple[dict[str, tuple], dict[str, tuple]]":
    """(the state before, the state after)."""
    site.fill()
    before = site.state()
    site.done("vq-domain", *COMMANDS[command])
    return before, site.state()


@pytest.mark.parametrize("command", COMMANDS)
def test_killed_at_any_change_it_is_done_or_not_begun(site: Site, command: str) -> None:
    before, after = both(site, command)
    seen = set()
    # a kill leaves at an fsync what it leaves at the next call: only a power cut does not
    runs = [(site.after_fork, name, [name, count, "kill"]) for name, count in site.calls(command) if name != "fsync"]
    runs += [(site.after, name, f"{name}:signal=SIGKILL:when={count}") for name, count in site.librarys(command)]
    for run, _, fault in runs:
        code, _, state = run(command, fault)
        if code not in KILLED:
            continue                            # a call that this run did not make: how long a wait took differs

        assert state in (before, after), (fault, {key: (before.get(key), after.get(key), state.get(key)) for key in
                                                  {*before, *after, *state} if state.get(key) != before.get(key)})
        seen.add(state == after)

    assert seen == {False, True}


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_an_error_at_any_change_is_told_and_leaves_the_old_state_or_the_new(site: Site, error: str) -> None:
    before, after = both(site, "add")
    runs = [(site.after_fork, name, [name, count, getattr(errno, error)]) for name, count in site.calls("add")]
    runs += [(site.after, name, f"{name}:error={error}:when={count}") for name, count in site.librarys("add")]
    for run, name, fault in runs:
        if name in ("unlink", "kill", "fchmod", "fchown"):
            continue
        code, said, state = run("add", fault)

        assert state in (before, after), fault
        assert code != 0 or state == after, fault
        assert "nothing was changed" not in said or state == before, (fault, said)
        assert "internal error" not in said, (fault, said)


def test_the_check_completes_what_was_killed(site: Site) -> None:
    _, after = both(site, "add")
    last = [count for name, count, _ in site.changes("add") if name == "rename"][-1]
    site.fill()
    subprocess.run(sweep.broken(f"rename:signal=SIGKILL:when={last}", site.argv("add")), check=False, capture_output=True)
    assert (site.system.home / "users/journal").exists()
    subprocess.run([sys.executable, "-m", "vqmail.setup", "--check", str(site.system.home)], check=False, capture_output=True,
                   cwd=pathlib.Path(__file__).parents[2])

    assert site.state() == after
