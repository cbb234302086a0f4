"""A large site: 10,000 domains with 100 users each, beside one with a single domain.  What each step costs in both."""

import os
import pathlib
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

import end_to_end
import ours
import peers

USERS = 100                     # of each domain
OWNERS = 2_000_000              # the first owner's uid; his users have it, too
TIMES = 10


class Large(ours.Warm):
    """Warm, with many domains more."""

    name = "warm-large"
    domains = 10_000

    def more(self, home: pathlib.Path, virtual: pathlib.Path) -> "dict[str, str]":
        names = [f"d{number:05}.test" for number in range(self.domains)]
        passwd = "".join(f"user{number:03}:{peers.HASH}:{{uid}}:{{uid}}::/home/user{number:03}:\n" for number in range(USERS))
        for number, name in enumerate(names):
            uid = OWNERS + number
            (virtual / name / "etc").mkdir(parents=True)
            (virtual / name / "etc/passwd").write_text(passwd.replace("{uid}", str(uid)))
            (virtual / name / "etc/passwd").chmod(0o640)
            (virtual / name / ".qmail-default").write_text("| virtmailfilter\n")
            (virtual / name / "home").mkdir()
            for path in (virtual / name, virtual / name / ".qmail-default", virtual / name / "home"):
                os.chown(path, uid, uid)
        (home / "control/morercpthosts").write_text("".join(f"{name}\n" for name in names))
        subprocess.run([home / "bin/vq-newmrh"], check=True)
        return {"virtualdomains": "".join(f"{name}:{name}\n" for name in names),
                "assign": "".join(f"+{name}-:{name}:{OWNERS + number}:{OWNERS + number}:{virtual / name}:-::\n"
                                  for number, name in enumerate(names))}


class Cost(NamedTuple):
    """What a command took."""

    seconds: float
    mebibytes: float


def run(*argv: "str | pathlib.Path") -> Cost:
    """Run a command; its time, and the most memory it had."""
    code = ("import resource, subprocess, sys, time; began = time.monotonic()\n"
            "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
            "print(time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
    done = subprocess.run([sys.executable, "-I", "-c", code, *map(str, argv)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{argv[0]} failed: {done.stderr.strip()[-500:]}")
    seconds, kibibytes = done.stdout.split()
    return Cost(float(seconds), int(kibibytes) / 1024)


def commands(system: ours.Warm, domain: str) -> None:
    """The administrators' steps in one installation."""
    home, virtual = system.folder / "home", system.folder / "virtual"
    print(f"  {system.name}: {sum(1 for _ in virtual.iterdir())} domains", flush=True)
    for each in virtual.glob("*/etc/*.cdb"):
        each.unlink()
    _say("full compile (vq-newu)", [run(home / "bin/vq-newu")])
    _say("compile, nothing changed", [run(home / "bin/vq-newu") for _ in range(3)])
    _say("add one user (vq-user add)", [run(home / "bin/vq-user", "add", f"new{number}@{domain}", "--hash", peers.HASH)
                                        for number in range(TIMES)])
    _say("add one domain (vq-domain add)", [run(home / "bin/vq-domain", "add", f"new{number}.test") for number in range(3)])
    _say("one lookup, cold (vq-explain)", [run(home / "bin/vq-explain", f"new{number}@{domain}") for number in range(TIMES)])
    _say("bare interpreter", [run("/usr/bin/python3", "-I", "-S", "-c", "pass") for _ in range(TIMES)])


def _say(what: str, costs: "list[Cost]") -> None:
    print(f"    {what:34}{statistics.median(each.seconds for each in costs) * 1000:10.1f} ms"
          f"{max(each.mebibytes for each in costs):8.0f} MiB", flush=True)


def report(systems: "list[ours.Warm]", size: int) -> None:
    """Everything: commands, one delivery, one login."""
    for system in systems:
        commands(system, "d05000.test" if isinstance(system, Large) else peers.DOMAIN)
    end_to_end.alone(systems[::-1], 30, size)
    end_to_end.pop3(systems[::-1], 3, sessions=10, count=300, messages=1, size=size, password=peers.PASSWORD)
