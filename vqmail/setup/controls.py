"""What is wrong with the control files, as vq-showctl tells it too, and who may read the passwords in files.

A file with a password in it that others may read is used all the same: the password is known then, and no less so when
mail stands still.
"""

import pathlib
import stat

from vqmail.formats import controlcheck, controlfile
from vqmail.store import control

TEXTS = ("line", "number", "list", "map")       # kinds of control files that are looked into
OTHERS = 0o004
WITH_PASSWORDS = ("authsenders", "smtproutes")


def complaints(home: pathlib.Path) -> "list[str]":
    """Each names the file, what is, and what mends it."""
    found = []
    for each, setting in control.TABLE.items():
        path = home / "control" / each.decode()
        if setting.kind in TEXTS and path.is_file():
            found += [f"{path}: {fault}" for fault in controlcheck.faults(each, setting.kind, path.read_bytes())]
    for path in [home / "control" / word for word in WITH_PASSWORDS]:
        if path.is_file() and b"|" in path.read_bytes():
            found += _open(path, f"chgrp qmail {path}; chmod 640 {path}")
    for name in ("passwd", "passwd.cdb"):
        for path in sorted(_virtual(home).glob(f"*/etc/{name}")):
            found += _open(path, f"chmod o-r {path}")
    return found


def _open(path: pathlib.Path, remedy: str) -> "list[str]":
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & OTHERS:
        return []
    return [f"{path} has passwords in it, and mode {mode:o}: everybody on this machine can read them; {remedy}"]


def _virtual(home: pathlib.Path) -> pathlib.Path:
    path = home / "control/virtualroot"
    text = controlfile.line(path.read_bytes()) if path.is_file() else b"/virtual"
    return pathlib.Path(text.decode("utf-8", "surrogateescape") or "/virtual")
