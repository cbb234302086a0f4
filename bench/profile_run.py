"""Where the CPU goes while a mail system is under load: per program, and per Python function when py-spy is there."""

import collections
import pathlib
import subprocess
import sys
import tempfile
import time

import end_to_end
import measure

SPY = pathlib.Path(sys.executable).with_name("py-spy")
SECONDS = 5.0
SPIED = 5                       # programs that py-spy looks at, the busiest
ROWS = 12                       # functions shown of each


def report(system: "end_to_end.System", sessions: int, each: int, size: int) -> None:
    """Load `system` for SECONDS and print what each of its programs used."""
    command = [sys.executable, "-I", "-S", str(end_to_end.LOAD), "smtp", str(system.port), "1000000", str(sessions),
               str(each), str(size), *system.recipients]
    end_to_end.once(system, end_to_end.WARM_UP, sessions, 1, size)
    quiet = snapshot(system.pids)
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as client:
        try:
            time.sleep(1)
            before, sent, start = snapshot(system.pids), measure.arrived(system.maildirs), time.monotonic()
            spies = [Spy(pid, before[pid].name) for pid in busiest(quiet, before)] if SPY.exists() else []
            time.sleep(SECONDS)
            after, count = snapshot(system.pids), measure.arrived(system.maildirs) - sent
            took = time.monotonic() - start
        finally:
            client.kill()
    show(before, after, count, took)
    if not SPY.exists():
        print("  (for Python functions too: .venv/bin/pip install py-spy)")
    for spy in spies:
        spy.show()
    measure.quiet(system.pids)
    measure.empty(system.maildirs)


class Process:
    """One process at one time."""

    def __init__(self, pid: int, parent: "Process | None") -> None:
        folder = pathlib.Path("/proc", str(pid))
        text = (folder / "stat").read_text()
        field = text[text.rindex(")") + 2:].split()
        self.user, self.system, *reaped = (int(each) / measure.TICK for each in field[11:15])
        self.reaped = sum(reaped)
        status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
        self.waits = int(status["voluntary_ctxt_switches"])
        self.memory = int(status.get("RssAnon", "0 kB").split()[0]) / 1024
        argv = [each.decode() for each in (folder / "cmdline").read_bytes().split(b"\0")[:-1]]
        while argv and (argv[0].startswith("-") or pathlib.Path(argv[0]).name.startswith("python")):
            argv.pop(0)
        own = " ".join([pathlib.Path(argv[0]).name, *argv[1:2]])[:34] if argv else text[:40]
        self.name: str
        base = parent.name.removesuffix(" > worker") if parent else ""
        self.name = base + " > worker" if own == base else own


def snapshot(roots: "list[int]") -> "dict[int, Process]":
    """Every process of the trees below `roots`."""
    table = measure.tree(roots)
    found: dict[int, Process] = {}
    while waiting := [pid for pid in table if pid not in found and (table[pid][0] in found or pid in roots)]:
        for pid in waiting:
            try:
                found[pid] = Process(pid, found.get(table[pid][0]))
            except (FileNotFoundError, ProcessLookupError, KeyError):
                del table[pid]
    return found


def busiest(before: "dict[int, Process]", after: "dict[int, Process]") -> "list[int]":
    """Of each of the programs that used most since `before`, the process that used most."""
    used = {pid: row.user + row.system - (before[pid].user + before[pid].system if pid in before else 0)
            for pid, row in after.items()}
    programs: dict[str, list[int]] = collections.defaultdict(list)
    for pid in sorted(used, key=lambda pid: -used[pid]):
        programs[after[pid].name].append(pid)
    ranked = sorted(programs.values(), key=lambda pids: -sum(used[pid] for pid in pids))
    return [pids[0] for pids in ranked[:SPIED]]


def show(before: "dict[int, Process]", after: "dict[int, Process]", count: int, took: float) -> None:
    """The table, busiest program first. """
    rows: dict[str, list[float]] = collections.defaultdict(lambda: [0.0] * 5)
    for pid, row in after.items():
        old = before.get(pid)
        user, system, waits = ((row.user - old.user, row.system - old.system, row.waits - old.waits) if old
                               else (row.user, row.system, row.waits))
        for place, value in enumerate((1, user, system, waits, row.memory)):
            rows[row.name][place] += value
    ended = sum(row.reaped - (before[pid].reaped if pid in before else 0) for pid, row in after.items())
    rows["(processes that have ended)"] = [0.0, 0.0, ended, 0.0, 0.0]
    whole = sum(row[1] + row[2] for row in rows.values()) or 1.0
    print(f"  {count} messages in {took:.1f} s: {count / took:.0f}/s, {whole / max(count, 1) * 1000:.2f} CPU ms per message")
    print(f"  {'program':46}{'procs':>6}{'share':>7}{'CPU ms/msg':>11}{'user':>7}{'sys':>7}{'waits/msg':>11}{'MiB':>6}")
    for name, (procs, user, system, slept, memory) in sorted(rows.items(), key=lambda item: -item[1][1] - item[1][2]):
        if user + system > whole / 500:
            scale = 1000 / max(count, 1)
            print(f"  {name:46}{procs:6.0f}{(user + system) / whole:7.0%}{(user + system) * scale:11.3f}{user * scale:7.3f}"
                  f"{system * scale:7.3f}{slept / max(count, 1):11.2f}{memory:6.0f}")


class Spy:
    """py-spy on one process for nearly as long as the load lasts."""

    def __init__(self, pid: int, name: str) -> None:
        self._pid = pid
        self._name = name
        self._out = tempfile.NamedTemporaryFile(prefix="vqbench.")  # noqa: SIM115  closed by show()
        self._process = subprocess.Popen(
            [str(SPY), "record", "-d", str(int(SECONDS) - 1), "-r", "200", "-f", "raw", "-o", self._out.name, "--pid",
             str(pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def show(self) -> None:
        """The functions that take most of the time in which the process did not sleep; waiting for the disk is not sleep."""
        self._process.wait(30)
        own: collections.Counter[str] = collections.Counter()
        below: collections.Counter[str] = collections.Counter()
        for line in pathlib.Path(self._out.name).read_text().splitlines():
            stack, number = line.rsplit(" ", 1)
            frames = stack.split(";")
            own[frames[-1]] += int(number)
            for frame in set(frames):
                below[frame] += int(number)
        self._out.close()
        whole = sum(own.values())
        if not whole:                           # not Python
            return
        print(f"  {self._name} (pid {self._pid}): {whole} samples; own share, share with what it calls")
        for frame, samples in own.most_common(ROWS):
            print(f"  {samples / whole:8.0%}{below[frame] / whole:8.0%}  {frame}")
