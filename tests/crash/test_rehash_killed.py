"""A hash is being made anew after a login, and is killed at any call: no old password, and no deleted user, comes back."""

import os
import pathlib
import re
import subprocess
import typing

import pytest
import system as module

from vqmail.store import passwords

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.peers]
D = "a.test"
OLD = "{SHA}kGByAB793z4R5tK1eC9Hd/4Dhzk="       # geheim
CHANGES = ("write", "fsync", "fchown", "fchmod", "rename", "unlink")       # what can be half done


class Site:
    """Carl has a weak hash, and logs in."""

    def __init__(self, system: module.System) -> None:
        self.system = system
        system.add_domain(D, {"ann": "hidden"})
        system.control("passwordscheme", "sha512\n")
        self.text = system.virtual / D / "etc/passwd"
        self.anns = self.text.read_text()
        self.uid = system.owner(D) + 50
        (system.virtual / D / "home/carl").mkdir()

    def reset(self) -> None:
        fresh = self.text.with_name("fresh")
        fresh.write_text(f"{self.anns}carl:{OLD}:{self.uid}:{self.uid}::/home/carl:/bin/false\n")
        fresh.chmod(0o640)
        os.utime(fresh, (1, 1))
        fresh.rename(self.text)
        home = self.system.virtual / D / "home/carl"
        home.mkdir(exist_ok=True)
        os.chown(home, self.uid, self.uid)
        assert self.system.run("vq-newu").returncode == 0

    def log_in(self, *strace: str) -> None:
        """Log in under strace, which ends with the last process of it."""
        there, here = os.pipe()
        os.write(here, f"carl@{D}\0geheim\0t\0".encode())
        os.close(here)
        try:
            subprocess.run(["/bin/sh", "-c", 'exec 3<&0 </dev/null; exec "$@"', "sh", "strace", "-f", "-qq", *strace,
                            self.system.bin("vq-checkpassword"), "/bin/true"], stdin=there, env=self.system.env(),
                           capture_output=True, timeout=100, check=False)
        finally:
            os.close(there)

    def stored(self) -> "typing.Optional[bytes]":
        lines = [each.split(":") for each in self.text.read_text().splitlines()]
        return next((each[1].encode() for each in lines if each[0] == "carl"), None)


def points(trace: pathlib.Path) -> "list[tuple[str, int]]":
    """The calls of the process that hashes that change something: (name, the how many-th of that name in it)."""
    rows = [re.match(r"(\d+) +(\w+)\((.*)", each) for each in trace.read_text().splitlines()]
    calls = [each.groups() for each in rows if each]
    who = next(pid for pid, _, rest in calls if "/users/lock" in rest)
    found, counts = [], dict.fromkeys(CHANGES, 0)
    for pid, name, _ in calls:
        if pid == who and name in CHANGES:
            counts[name] += 1
            found.append((name, counts[name]))
    return found


def test_killed_at_any_call_it_brings_nobody_and_no_password_back(system: module.System, tmp_path: pathlib.Path) -> None:
    site = Site(system)
    site.reset()
    site.log_in("-o", str(tmp_path / "trace"))
    assert site.stored().startswith(b"$6$")
    where = points(tmp_path / "trace")
    assert {"fsync", "rename", "unlink"} <= {name for name, _ in where}

    half_done = 0
    for number, (name, count) in enumerate(where):
        site.reset()
        site.log_in("-o", "/dev/null", "-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={count}")
        half_done += (system.home / "users/journal").exists()
        assert passwords.verify(b"geheim", site.stored(), b""), (name, count)
        if number % 2:
            done = system.run("vq-user", "delete", f"carl@{D}")
        else:
            done = system.run("vq-passwd", "--password-stdin", f"carl@{D}", input=b"another-One7\n")
        again = system.run("vq-newu")

        assert (done.returncode, again.returncode) == (0, 0), (name, count, done.stderr, again.stderr)
        if number % 2:
            assert site.stored() is None, (name, count)
        else:
            assert passwords.verify(b"another-One7", site.stored(), b""), (name, count)
        assert not (system.home / "users/journal").exists()
        assert site.text.read_text().startswith(site.anns)
    assert half_done
