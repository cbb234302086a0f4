"""Where a measurement runs: a journaled ext4 image without discard, as a real server has, or the plain disk."""

import contextlib
import ctypes
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator

BASE = "/var/tmp"               # never a tmpfs: a sync must mean something
SIZE = 2 << 30                  # sparse


@contextlib.contextmanager
def place(kind: str) -> Iterator[pathlib.Path]:
    """A fresh directory that every uid may walk through; `kind` is "image" or "root".  Gone afterwards, come what may."""
    work = pathlib.Path(tempfile.mkdtemp(prefix="vqbench.", dir=BASE))
    work.chmod(0o755)
    target = work / "disk"
    target.mkdir(mode=0o755)
    mounted = False
    try:
        if kind == "image":
            _mount(work / "image", target)
            mounted = True
        yield target
    finally:
        if mounted:
            _unmount(target)
        if not os.path.ismount(target):
            shutil.rmtree(work, ignore_errors=True)


def _mount(image: pathlib.Path, target: pathlib.Path) -> None:
    with image.open("wb") as file:
        file.truncate(SIZE)
    # Nothing may be left for a kernel thread to initialise while we measure.
    subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", str(image)],
                   check=True)
    # "loop" gives a device that frees itself at umount.
    subprocess.run(["mount", "-o", "loop,nodiscard", str(image), str(target)], check=True)


def _unmount(target: pathlib.Path) -> None:
    for _ in range(50):         # a process that was just killed may still hold a file
        if subprocess.run(["umount", str(target)], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)
    subprocess.run(["umount", "-l", str(target)], check=False)


def settle(path: pathlib.Path) -> None:
    """Write out what the last run left behind, so that the next one does not pay for it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        ctypes.CDLL(None).syncfs(handle)
    finally:
        os.close(handle)
