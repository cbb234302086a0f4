"""Two administrators change users of one domain, and are killed at any moment: no user is lost, none is half there."""

import pathlib
import random
import subprocess
import threading
import time

import pytest
import system as module

pytestmark = [pytest.mark.root, pytest.mark.slow]
D = "a.test"
ROUNDS = 60                     # of each administrator, about two in three of them killed
NAMES = [f"u{number}" for number in range(8)]


def administrator(site: module.System, dice: random.Random, wrong: "list[str]") -> None:
    """Do something to a user, and be killed before it is done, or not."""
    for _ in range(ROUNDS):
        name, other = dice.choice(NAMES), dice.choice(NAMES)
        words = dice.choice([["add", f"{name}@{D}", "--no-password", "--quota=5M"], ["delete", f"{name}@{D}"], ["restore", f"{name}@{D}"],
                             ["rename", f"{name}@{D}", other], ["suspend", f"{name}@{D}"], ["set", f"{name}@{D}", "quota=7M"]])
        process = subprocess.Popen([site.bin("vq-user"), *words], stderr=subprocess.PIPE, env=site.env())
        if dice.random() < 0.66:
            time.sleep(dice.uniform(0.03, 0.15))
            process.kill()
        said = (process.communicate(timeout=100)[1] or b"").decode()
        if process.returncode not in (0, 100, -9) or "Traceback" in said:
            wrong.append(f"{words}: {process.returncode} {said}")


def check(site: module.System, root: pathlib.Path) -> None:
    """A user is in all places where he should be, or in none."""
    lines = [line.split(":") for line in (root / "etc/passwd").read_text().splitlines() if ":" in line]
    names = [line[0] for line in lines]
    with_options = [line.split(":")[0] for line in (root / "etc/options").read_text().splitlines() if ":" in line]
    homes = sorted(each.name for each in (root / "home").iterdir())

    assert len(names) == len(set(names))
    assert sorted(names) == homes
    assert sorted(with_options) == homes
    for name, _, uid, gid, _, home, _ in lines:
        found = (root / home[1:]).stat()

        assert (home, int(uid), int(gid)) == (f"/home/{name}", found.st_uid, found.st_gid)
        assert sorted(each.name for each in (root / home[1:] / "Maildir").iterdir()) == ["cur", "new", "tmp"]
        assert site.run("vq-user", "info", f"{name}@{D}").returncode == 0
    for each in (root / ".trash").glob("*"):
        assert sorted(part.name for part in each.iterdir()) == ["home", "options", "passwd"]
        assert each.name.partition(".")[2] == (each / "passwd").read_text().partition(":")[0]
    uids = [line[2] for line in lines]
    uids += [(each / "passwd").read_text().split(":")[2] for each in (root / ".trash").glob("*")]

    assert len(uids) == len(set(uids))
    assert [each for each in [*root.rglob("*.vq-new"), *root.rglob("*.tmp"), site.home / "users/journal"] if each.exists()] == []


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment_nobody_is_lost_or_half_there(system: module.System, seed: int) -> None:
    system.add_domain(D, {"bob": "secret"})
    root = system.virtual / D
    (root / "home/bob").rmdir()
    (root / "etc/passwd").write_text("#\n")
    (root / "etc/options").write_text("#\n")
    wrong: list[str] = []
    two = [threading.Thread(target=administrator, args=(system, random.Random(seed * 2 + each), wrong)) for each in range(2)]
    for each in two:
        each.start()
    for each in two:
        each.join()
    done = system.run("vq-newu")

    assert (done.returncode, wrong) == (0, [])
    check(system, root)
