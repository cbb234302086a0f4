"""Prove that an installation is what hier.py and services.py say: each owner, mode, file and service.

Every complaint names the path, what is, what should be, and what mends it.
"""

import grp
import json
import pathlib
import pwd
import shutil
import stat
import subprocess

from vqmail.setup import certificates, controls, hier, install, roaming, services, starts

SOURCE = pathlib.Path(__file__).parent.parent


def complaints(home: pathlib.Path, ids: install.Ids) -> "list[str]":
    """What is wrong with the installation in `home`; empty when it is right."""
    found: list[str] = []
    directories = hier.DIRECTORIES + services.directories()
    kinds = ([(path, stat.S_IFDIR | mode, owner, group) for path, mode, owner, group in directories]
             + [(path, stat.S_IFREG | mode, owner, group) for path, mode, owner, group, _ in hier.FILES]
             + [(path, stat.S_IFIFO | mode, owner, group) for path, mode, owner, group in hier.FIFOS])
    for path, mode, owner, group in kinds:
        found += _look(home / path, mode, ids.of(owner, group))
    root = ids.of(hier.OWNER, hier.GROUP)
    for name, module in install.programs().items():
        script = install.script(name, str(home / "lib"), install.interpreter())
        found += _compare(home / "bin" / name, script, 0o755, root)
        if starts.has_one(module):
            found += _look(home / "lib/start" / starts.file_name(name), stat.S_IFREG | 0o644, root)
    for path, text, mode in services.files(home):
        found += _compare(home / path, text, mode, root)
    for name, settings in services.SETTINGS.items():
        found += [f"{home}/service/{name}/env/{setting} is missing; make setup writes it"
                  for setting in settings if not (home / "service" / name / "env" / setting).is_file()]
    for source in SOURCE.rglob("*.py"):
        found += _compare(home / "lib/vqmail" / source.relative_to(SOURCE), source.read_text(), 0o644, root)
    for each in (home / "lib").rglob("*"):
        found += _look(each, stat.S_IFDIR | 0o755 if each.is_dir() else stat.S_IFREG | 0o644, root)
    if not (home / "control/me").is_file():
        found.append(f"{home}/control/me is missing; echo the name of this host into it")
    found += certificates.complaints(home, root[0])
    found += roaming.complaints(home)
    found += controls.complaints(home)
    found += _beside(home)
    if (home / "users/journal").is_file():
        found.append(f"{home}/users/journal holds the rest of a change to settings; run {home}/bin/vq-newu")
    if not (home / "users/cdb").is_file():
        found.append(f"{home}/users/cdb is missing; run {home}/bin/vq-newu")
    return list(dict.fromkeys(found))


def _beside(home: pathlib.Path) -> "list[str]":
    """What the installation's own vq-showctl says of files that name what must be there, too."""
    found = []
    for name in ("loginsources", "popdomains"):
        path = home / "control" / name
        if path.is_file():
            said = subprocess.run([home / "bin/vq-showctl", "--json", name], capture_output=True, check=False).stdout
            found += [f"{path}: {each}" for each in json.loads(said or "{}").get("problems", ())]
    return found


def _of_programs(home: pathlib.Path) -> "list[str]":
    """Programs of daemontools that the service directories run, and that are not there."""
    return [f"{name} is not there, which {home}/service/*/run needs; install daemontools"
            for name in ("svscan", "envdir", "setuidgid", "multilog") if not shutil.which(name, path=services.PATH)]


def _look(path: pathlib.Path, mode: int, owner: "tuple[int, int]") -> "list[str]":
    try:
        status = path.lstat()
    except FileNotFoundError:
        return [f"{path} is missing; make setup makes it"]
    found = []
    if status.st_mode != mode:
        found.append(f"{path} has mode {status.st_mode:o}, should have {mode:o}; "
                     + ("chmod %o %s" % (stat.S_IMODE(mode), path) if stat.S_IFMT(status.st_mode) == stat.S_IFMT(mode)
                        else "move it away and make setup"))
    if (status.st_uid, status.st_gid) != owner:
        found.append(f"{path} belongs to {_names(status.st_uid, status.st_gid)}, should belong to {_names(*owner)}; "
                     f"chown {_names(*owner)} {path}")
    return found


def _compare(path: pathlib.Path, text: str, mode: int, owner: "tuple[int, int]") -> "list[str]":
    if not path.is_file():
        return [f"{path} is missing; make setup makes it"]
    found = _look(path, stat.S_IFREG | mode, owner)
    if path.read_text() != text:
        found.append(f"{path} is not what this version installs; make setup renews it")
    return found


def _names(uid: int, gid: int) -> str:
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    try:
        group = grp.getgrgid(gid).gr_name
    except KeyError:
        group = str(gid)
    return f"{user}:{group}"


def main(home: pathlib.Path, ids: install.Ids) -> int:
    """Print what is wrong; the exit code.  A change to settings that was killed is completed first."""
    if (home / "users/journal").is_file():
        subprocess.run([home / "bin/vq-newu"], check=False)
    try:
        found = complaints(home, ids) + _of_programs(home)
    except KeyError as error:                   # no such user or group
        found = [f"{error.args[0]}; make setup makes the users and groups"]
    for each in found:
        print(each)
    if not found:
        print(f"{home}: every owner, mode, program and service is as it should be")
    return 1 if found else 0
