"""Messages per second from the first SMTP connection to the last file in new/, ours and Postfix in turn."""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from typing import NamedTuple, Protocol

import budget
import disk
import load
import measure

LOAD = pathlib.Path(__file__).with_name("load.py")
WARM_UP = 100


class System(Protocol):
    """What a measurement needs of a mail system."""

    name: str
    folder: pathlib.Path
    port: int                   # of SMTP; 0: has none
    recipients: "list[str]"
    maildirs: "list[pathlib.Path]"
    pop_port: int               # 0: has none
    part: int                   # a slow one is measured with a part of the messages

    @property
    def pids(self) -> "list[int]": ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def log(self) -> str: ...


class Result(NamedTuple):
    """One run."""

    rate: float                 # messages per second
    accepted: float             # of which the SMTP side alone: accepted per second
    cpu: float                  # CPU milliseconds of the system per message, cleaning up included
    client: float               # CPU milliseconds of the load generator per message
    flushes: float              # of the disk, per message
    written: float              # KiB to the disk per message
    elsewhere: float            # part of the machine that neither of the two used (the kernel's own threads, others)


def drive(kind: str, port: int, count: int, sessions: int, *rest: object) -> "dict[str, float]":
    """Run the load generator; what it says of itself."""
    command = [sys.executable, "-I", "-S", str(LOAD), kind, str(port), str(count), str(sessions), *map(str, rest)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the load generator failed: {done.stderr.strip()}")
    return dict(json.loads(done.stdout))


def once(system: System, count: int, sessions: int, each: int, size: int) -> Result:
    """One run into empty Maildirs; ends the program when a message is missing or there twice."""
    before, busy, disk_before = measure.cpu(system.pids), measure.busy(), measure.flushes(system.folder)
    clock = time.monotonic()
    said = drive("smtp", system.port, count, sessions, each, size, *system.recipients)
    end = measure.await_arrival(system.maildirs, count)
    after, clock = measure.quiet(system.pids), time.monotonic() - clock
    busy, disk_after = measure.busy() - busy, measure.flushes(system.folder)
    found = measure.numbers(system.maildirs)
    if found != list(range(count)):
        raise SystemExit(f"{system.name}: {count} sent, {len(found)} delivered, {len(set(found))} different")
    measure.empty(system.maildirs)
    disk.settle(system.folder)
    return Result(
        rate=count / (end - said["start"]),
        accepted=count / (said["end"] - said["start"]),
        cpu=(after - before) / count * 1000,
        client=said["cpu"] / count * 1000,
        flushes=(disk_after[0] - disk_before[0]) / count,
        written=(disk_after[1] - disk_before[1]) / count,
        elsewhere=(busy - (after - before) - said["cpu"]) / clock / (os.cpu_count() or 1),
    )


def throughput(systems: "list[System]", runs: int, count: int, sessions: int, each: int, size: int) -> None:
    """`runs` runs of every system, interleaved, and how they compare with the last system named: the medians, and the median round."""
    results: dict[str, list[Result]] = {system.name: [] for system in systems}
    for system in systems:
        once(system, WARM_UP, sessions, 1, size)
    for _ in range(runs):
        for system in systems:
            results[system.name].append(once(system, count // system.part, sessions, each, size))
    yardstick = results[systems[-1].name]
    print(f"  {'messages/s':14}{'runs':>{7 * runs}}{'median':>9}{'ratio':>7}{'rounds':>8}{'accepted/s':>12}   per message: {'CPU ms':>7}"
          f"{'client':>8}{'flushes':>9}{'KiB':>6}{'others':>8}")
    verdict = ""
    for name, rows in results.items():
        middle = Result(*(statistics.median(column) for column in zip(*rows, strict=True)))
        ratio = middle.rate / statistics.median(each.rate for each in yardstick)
        # what else the machine does drifts: neighbours in time are the fairer pair
        rounds = statistics.median(row.rate / each.rate for row, each in zip(rows, yardstick, strict=True))
        print(f"  {name:14}" + "".join(f"{row.rate:7.0f}" for row in rows)
              + f"{middle.rate:9.0f}{ratio:7.2f}{rounds:8.2f}{middle.accepted:12.0f}{middle.cpu:23.2f}"
              f"{middle.client:8.2f}{middle.flushes:9.2f}{middle.written:6.0f}{middle.elsewhere:8.0%}", flush=True)
        if name == "warm":
            verdict = budget.at_least("end_to_end", rounds)
    if verdict:
        print(f"  budget: warm at least {budget.limit('end_to_end')} x {systems[-1].name}: {verdict}")


def alone(systems: "list[System]", count: int, size: int) -> None:
    """Milliseconds from connect to the file in new/, one message at a time, each to the next user."""
    times: dict[str, list[float]] = {system.name: [] for system in systems}
    watches = {system.name: measure.Watch([each / "new" for each in system.maildirs]) for system in systems}
    for number in range(count):
        for system in systems:
            start = time.monotonic()
            _send(system.port, number, system.recipients, size)
            times[system.name].append((watches[system.name].wait() - start) * 1000)
            measure.quiet(system.pids, 0.05, 1)
    yardstick = statistics.median(times[systems[-1].name])
    print(f"  {'one alone, ms':14}{'median':>9}{'best':>8}{'worst':>8}{'ratio':>7}")
    for system in systems:
        watches[system.name].close()
        row = times[system.name]
        median = statistics.median(row)
        print(f"  {system.name:14}{median:9.1f}{min(row):8.1f}{max(row):8.1f}{median / yardstick:7.2f}", flush=True)
        if system.name == "warm":
            print(f"  budget: warm at most {budget.limit('alone')} x {systems[-1].name}:"
                  f" {budget.at_most('alone', median / yardstick)}")
        measure.await_arrival(system.maildirs, count)
        measure.empty(system.maildirs)


def _send(port: int, number: int, recipients: "list[str]", size: int) -> None:
    """One message by one blocking connection; returns with the reply to the final dot."""
    connection = load.Connection(port, load.smtp([number], [each.encode() for each in recipients], size))
    while connection.readable():
        pass




def pop3(systems: "list[System]", runs: int, sessions: int, count: int, messages: int, size: int, password: str) -> None:
    """POP3 sessions per second: login, STAT, LIST, RETR of everything, QUIT; ratio to the last system named."""
    results: dict[str, list[tuple[float, float]]] = {system.name: [] for system in systems}
    for system in systems:
        for maildir in system.maildirs:
            _fill(maildir, messages, size)
    for turn in range(runs + 1):
        for system in systems:
            number = count if turn else len(system.recipients)          # first everybody once, not counted
            before = measure.cpu(system.pids)
            said = drive("pop3", system.pop_port, number, sessions, messages, password, *system.recipients)
            cpu = (measure.quiet(system.pids) - before) / number * 1000
            if turn:
                results[system.name].append((number / (said["end"] - said["start"]), cpu))
    yardstick = statistics.median(rate for rate, _ in results[systems[-1].name])
    print(f"  {'sessions/s':14}{'runs':>{7 * runs}}{'median':>9}{'ratio':>7}{'CPU ms/session':>16}")
    for system in systems:
        rate, cpu = (statistics.median(column) for column in zip(*results[system.name], strict=True))
        print(f"  {system.name:14}" + "".join(f"{row[0]:7.0f}" for row in results[system.name])
              + f"{rate:9.0f}{rate / yardstick:7.2f}{cpu:16.2f}", flush=True)
        if system.name == "warm":
            print(f"  budget: warm at most {budget.limit('pop3_session')} CPU ms: {budget.at_most('pop3_session', cpu)}")
        measure.empty(system.maildirs)


def _fill(maildir: pathlib.Path, messages: int, size: int) -> None:
    owner = maildir.stat()
    for number in range(messages):
        path = maildir / "new" / f"{1_700_000_000 + number}.M{number}P1.host.bench.test"
        path.write_bytes(load.message(number, b"pop@bench.test", size)[:-3].replace(b"\r\n", b"\n"))
        path.chmod(0o600)
        os.chown(path, owner.st_uid, owner.st_gid)
