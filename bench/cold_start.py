"""How long each program of an installation takes from exec to exit when there is nothing to do, beside a bare interpreter."""

import os
import pathlib
import select
import signal
import statistics
import tempfile
import time

import budget
import disk

from vqmail.setup import install, starts

PATIENCE = 3.0                  # seconds; a program that runs longer is a server: what counts is that it came up
SEVERAL = {"datemail", "mailq"}        # programs that end as others: their table row is the whole chain
BARE = "python3 -I -S -c pass"
IMPORT = "import sys; sys.path.insert(0, {lib!r}); from vqmail.{module} import main; import vqmail.unix.chain"


def timed(argv: "list[str]", null: int) -> "tuple[float, int | None]":
    """Milliseconds until `argv` ended, and its exit code; None when it had to be stopped."""
    actions = [(os.POSIX_SPAWN_DUP2, null, handle) for handle in range(3)]
    start = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, {"PATH": "/usr/bin:/bin"}, file_actions=actions, setpgroup=0)
    handle = os.pidfd_open(pid)
    try:
        ended = bool(select.select([handle], [], [], PATIENCE)[0])
        took = (time.perf_counter() - start) * 1000
        if not ended:
            os.killpg(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
    finally:
        os.close(handle)
    return took, os.waitstatus_to_exitcode(status) if ended else None


def report(times: int = 20) -> None:
    """Print best and median of `times` rounds; every round runs every program once, so that noise hits all alike."""
    with tempfile.TemporaryDirectory(prefix="vqbench.", dir=disk.BASE) as folder:
        home = pathlib.Path(folder) / "home"
        install.install(home, install.Ids((os.getuid(), os.getgid())))
        (home / "control/me").write_text("host.test\n")
        python = install.interpreter()
        commands = {BARE: [python, "-I", "-S", "-c", "pass"]}
        commands |= {name: [str(home / "bin" / name)] for name in install.programs()}
        codes: dict[str, int | None] = {}
        null = os.open(os.devnull, os.O_RDWR)
        for name, argv in list(commands.items()):       # once beforehand: fills the page cache, finds the servers
            codes[name] = timed(argv, null)[1]
            if codes[name] is None:
                code = IMPORT.format(lib=str(home / "lib"), module=install.programs()[name])
                commands[name] = [python, "-I", "-S", "-c", code]
        rows: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(times):
            for name, argv in commands.items():
                rows[name].append(timed(argv, null)[0])
        os.close(null)
    show(rows, codes)


def show(rows: "dict[str, list[float]]", codes: "dict[str, int | None]") -> None:
    """The table."""
    allowed = budget.limit("cold_start")
    best, median = min(rows[BARE]), statistics.median(rows[BARE])
    print(f"cold start: no arguments, nothing on standard input; best and median of {len(rows[BARE])}, budget {allowed} x")
    print(f"  {'':26}{'best ms':>9}{'ratio':>7}{'median':>9}{'ratio':>7}{'':>6}  exit")
    modules = install.programs()
    for name, row in rows.items():
        ratio = statistics.median(row) / median
        verdict = budget.at_most("cold_start", min(row) / best) if name == BARE or has_budget(name, modules[name]) else ""
        code = "serves (imports only)" if codes[name] is None else str(codes[name])
        print(f"  {name:26}{min(row):9.1f}{min(row) / best:7.2f}{statistics.median(row):9.1f}{ratio:7.2f}"
              f"{verdict:>6}  {code}")
    print("  without a verdict: servers, which start once, what people run by hand (docopt, tables), and chains of programs")


def has_budget(name: str, module: str) -> bool:
    """Whether a program runs once for each message or connection."""
    return starts.has_one(module) and name not in SEVERAL and "vqmail.unix.usage" not in starts.order("vqmail." + module)
