"""vq-domain at once with another one, killed, and on a full disk: a domain is there, whole, or it is not."""

import os
import random
import signal
import subprocess
import threading
import time

import pytest
import system
from domains_world import done, line_counts
from domains_world import site  # noqa: F401

pytestmark = [pytest.mark.root, pytest.mark.peers]


def legal(site: "system.System") -> "set[str]":
    """The domains that there are, after a look at each: all of it is there, or nothing."""
    done(site, "vq-newu")
    present = {each.name for each in site.virtual.iterdir() if not each.name.startswith(".")}
    named = set((site.home / "control/virtualdomains").read_text().replace(":", "\n").split())

    assert present == named
    for each in present:
        assert line_counts(site, each) == (1, 1, 1), each
        owner = (site.virtual / each).stat()
        assert f"+{each}-:{each}:{owner.st_uid}:{owner.st_gid}:{site.virtual / each}:-::" in (
            site.home / "users/assign").read_text()
        assert sorted(os.listdir(site.virtual / each)) == sorted(EMPTY)
        assert sorted(os.listdir(site.virtual / each / "etc")) == ["passwd", "passwd.cdb", "users.cdb"]
    leftovers = [str(each) for place in ("control", "users") for each in (site.home / place).iterdir()
                 if each.suffix in (".tmp", ".vq-new") or each.name == "journal"]
    assert leftovers == []
    return present


def test_two_administrators_at_once_lose_nothing(site: "system.System") -> None:
    done(site, "vq-domain", "add", "first.example")
    EMPTY[:] = os.listdir(site.virtual / "first.example")

    def work(letter: str) -> None:
        for number in range(15):
            ended = site.run("vq-domain", "add", f"{letter}{number}.example")
            if ended.returncode or ended.stderr.strip(b"\n") not in (b"", WAITING):
                failed.append(ended)

    failed: list = []
    workers = [threading.Thread(target=work, args=(each,)) for each in "abc"]
    for each in workers:
        each.start()
    for each in workers:
        each.join()

    assert failed == []
    assert legal(site) == {"first.example", *(f"{letter}{number}.example" for letter in "abc" for number in range(15))}
    assert len({(site.virtual / each).stat().st_uid for each in legal(site)}) == 46


WAITING = b"vqmail: somebody else is changing settings; waiting, 60 seconds at most"
EMPTY: "list[str]" = []         # what is in the directory of a new domain


@pytest.mark.slow
def test_kill_9_at_random_moments_leaves_no_half_domain(site: "system.System") -> None:
    done(site, "vq-domain", "add", "first.example")
    EMPTY[:] = os.listdir(site.virtual / "first.example")
    chance = random.Random(4)
    expected = {"first.example"}
    killed = 0
    for number in range(300):
        name = f"d{chance.randrange(12)}.example"
        word = "delete" if name in expected else "add"
        process = subprocess.Popen([site.bin("vq-domain"), word, name], env=site.env(), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        if chance.random() < 0.7:
            time.sleep(chance.uniform(0.015, 0.09))
            process.send_signal(signal.SIGKILL)
        _, said = process.communicate()
        if process.returncode == -9:
            killed += 1
        else:
            assert process.returncode == 0, said
        if process.returncode == -9 or number % 25 == 24:
            found = legal(site)
            assert found ^ expected in (set(), {name})
            expected = found
        else:
            expected ^= {name}

    assert legal(site) == expected
    assert killed > 50


@pytest.mark.parametrize("size", ["size=200k", "nr_inodes=12"])
def test_a_disk_that_is_full_leaves_all_as_it_was(site: "system.System", size: str) -> None:
    done(site, "vq-domain", "add", "first.example")
    done(site, "vq-domain", "delete", "first.example")
    done(site, "vq-domain", "purge", "--all")
    subprocess.run(["mount", "-t", "tmpfs", "-o", size + ",mode=755", "none", site.virtual], check=True)
    try:
        added = []
        for number in range(100):
            ended = site.run("vq-domain", "add", f"d{number}.example")
            if ended.returncode:
                break
            added.append(f"d{number}.example")

        assert (ended.returncode, b"nothing was changed" in ended.stderr) == (111, True), ended.stderr
        assert done(site, "vq-domain", "list").split() == sorted(added)
        assert sorted(each.name for each in site.virtual.iterdir() if each.name[0] != ".") == sorted(added)
        assert not (site.home / "users/journal").exists()
        if added:
            done(site, "vq-domain", "delete", added[0])
    finally:
        subprocess.run(["umount", site.virtual], check=True)
