"""Break a program at every system call it makes.

One traced run tells which calls there are; then it runs again for each of them, killed there, or with an error
there, once or from there on.  strace does it, to the unchanged program.
"""

import os
import pathlib
import re
import subprocess

# what may go wrong with each call; a call that is not here is not broken
ERRORS = {
    "openat": ("ENOSPC", "EMFILE", "EIO", "EACCES"),
    "write": ("ENOSPC", "EIO", "EDQUOT"),
    "pwrite64": ("EIO",),
    "fsync": ("EIO", "ENOSPC"),
    "link": ("EIO", "ENOSPC", "EMLINK"),
    "linkat": ("EIO", "ENOSPC", "EMLINK"),
    "rename": ("EIO", "ENOSPC"),
    "unlink": ("EIO", "EROFS"),
    "close": ("EIO",),
    "read": ("EIO",),
    "newfstatat": ("EIO", "ENOMEM"),
    "mkdir": ("ENOSPC",),
    "ftruncate": ("EIO",),
    "chdir": ("EIO", "EACCES"),
    "fchdir": ("EIO",),
    "pread64": ("EIO",),
    "flock": ("ENOLCK",),
}
LINE = re.compile(r"^(?:\d+ +)?(\w+)\(")


def calls_of(argv: "list[str]", marker: str, **options: object) -> "list[tuple[str, int]]":
    """(name, n) of each call in ERRORS that `argv` makes from the first one that mentions `marker` on; n counts the
    calls of that name from the start of the process, as strace's `when` does."""
    log = pathlib.Path(str(options.pop("log")))
    subprocess.run(["strace", "-qq", "-s", "300", "-o", str(log), "-e", "trace=" + ",".join(ERRORS), "--", *argv],
                   check=False, capture_output="stdout" not in options, **options)  # type: ignore[call-overload]
    counts = dict.fromkeys(ERRORS, 0)
    found = []
    begun = False
    for line in log.read_text(errors="replace").splitlines():
        match = LINE.match(line)
        if not match:
            continue
        name = match.group(1)
        counts[name] += 1
        begun = begun or marker in line
        if begun:
            found.append((name, counts[name]))
    return found


def faults(calls: "list[tuple[str, int]]") -> "list[str]":
    """Every way to break one of `calls`, as strace's inject expressions."""
    found = []
    for name, count in calls:
        found.append(f"{name}:signal=SIGKILL:when={count}")
        for error in ERRORS[name]:
            found += [f"{name}:error={error}:when={count}", f"{name}:error={error}:when={count}+"]
    return found


def broken(fault: str, argv: "list[str]") -> "list[str]":
    """The command line that runs `argv` with `fault`."""
    name = fault.partition(":")[0]
    return ["strace", "-qq", "-o", os.devnull, "-e", "trace=" + name, "-e", "inject=" + fault, "--", *argv]
