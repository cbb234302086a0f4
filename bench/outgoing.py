"""Messages per second from the first SMTP connection to the last message that a smtp-sink has taken, ours and Postfix in turn."""

import select
import statistics
import subprocess
import time
from typing import NamedTuple

import budget
import disk
import end_to_end
import measure
import peers

WARM_UP = 100
RECIPIENTS = [f"user{number:02}@far{number % 5}.test" for number in range(50)]


class Sink:
    """Debian's smtp-sink: takes every message and throws it away; counts them."""

    def __init__(self) -> None:
        self.port = peers.free_port()
        self.taken = 0
        self._process = subprocess.Popen(["/usr/sbin/smtp-sink", "-u", "nobody", "-c", f"127.0.0.1:{self.port}", "1000"],
                                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0)
        self._said = b""
        peers.await_banner(self.port, b"220")

    def await_messages(self, count: int, patience: float = 30.0) -> float:
        """When (monotonic) `count` messages had been taken since the start; gives up when none came for `patience`."""
        while self.taken < count:
            assert self._process.stdout is not None
            ready, _, _ = select.select([self._process.stdout], [], [], patience)
            data = self._process.stdout.read(65536) if ready else b""
            if not data:
                raise SystemExit(f"lost mail: {self.taken} of {count} messages came out")
            whole, _, self._said = (self._said + data).rpartition(b"\r")    # sess=.. quit=.. mesg=.. \r
            if whole:
                self.taken = int(whole.rpartition(b"mesg=")[2])
        return time.monotonic()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


class Result(NamedTuple):
    """One run."""

    rate: float                 # messages per second
    cpu: float                  # CPU milliseconds of the system per message, cleaning up included


def once(system: end_to_end.System, sink: Sink, count: int, sessions: int, size: int) -> Result:
    """One run; ends the program when a message does not come out, or comes out twice."""
    before, taken = measure.cpu(system.pids), sink.taken
    said = end_to_end.drive("smtp", system.port, count, sessions, max(1, count // sessions), size, *RECIPIENTS)
    end = sink.await_messages(taken + count)
    after = measure.quiet(system.pids)
    if sink.taken != taken + count:
        raise SystemExit(f"{system.name}: {count} sent, {sink.taken - taken} came out")
    disk.settle(system.folder)
    return Result(rate=count / (end - said["start"]), cpu=(after - before) / count * 1000)


def throughput(systems: "list[tuple[end_to_end.System, Sink]]", runs: int, count: int, sessions: int, size: int) -> None:
    """`runs` runs of every system, interleaved, and how they compare with the last one."""
    results: dict[str, list[Result]] = {system.name: [] for system, _ in systems}
    for system, sink in systems:
        once(system, sink, WARM_UP, sessions, size)
    for _ in range(runs):
        for system, sink in systems:
            results[system.name].append(once(system, sink, count, sessions, size))
    yardstick = results[systems[-1][0].name]
    print(f"  {'messages/s':14}{'runs':>{7 * runs}}{'median':>9}{'rounds':>8}   per message: {'CPU ms':>7}")
    for name, rows in results.items():
        rate, cpu = (statistics.median(column) for column in zip(*rows, strict=True))
        rounds = statistics.median(row.rate / each.rate for row, each in zip(rows, yardstick, strict=True))
        print(f"  {name:14}" + "".join(f"{row.rate:7.0f}" for row in rows) + f"{rate:9.0f}{rounds:8.2f}{cpu:23.2f}", flush=True)
        if name == "warm":
            print(f"  budget: warm at least {budget.limit('outgoing')} x {systems[-1][0].name}: "
                  f"{budget.at_least('outgoing', rounds)}")
