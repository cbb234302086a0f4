"""Put an installation in its home: the library, the programs, the directories of hier.py."""

import compileall
import importlib.machinery
import importlib.util
import os
import pathlib
import shutil
import sys

from vqmail.setup import hier, starts

# what our programs import beyond Python itself: _crypt_r from 3.13 on, those after it for passwords that need them
LIBRARIES = ("cdbx", "docopt", "dns", "_crypt_r", "pamela", "argon2", "_argon2_cffi_bindings", "_cffi_backend")
DEBIAN = pathlib.Path("/usr/lib/python3/dist-packages")     # the Python of a venv does not look there

# commands that live on the warm floor, because they run other programs without executing them
WARM = {"vq-lspawn": "warm.lspawn", "vq-rspawn": "warm.rspawn", "vq-service": "warm.service",
        "vq-tcpserver": "warm.tcpserver"}

# the administrators' commands
ADMIN: "dict[str, str]" = {
    "vq-export": "admin.export_command",
    "vq-import": "admin.import_command",
    "vq-alias": "admin.alias_command",
    "vq-domain": "admin.domain_command",
    "vq-passwd": "admin.passwd_command",
    "vq-quota": "admin.quota_command",
    "vq-user": "admin.user_command",
}

# commands that bear their module's name, because qmail, sendmail or the HOWTO called them so; all others are vq-NAME
OWN_NAMES = {"virtmailfilter", "virtmaildelivery", "virtmailquota", "sendmail", "mailq", "newaliases", "forward",
             "condredirect", "except", "bouncesaying", "preline", "maildirmake", "maildir2mbox", "mailsubj", "datemail",
             "predate", "qreceipt", "qbiff"}

SCRIPT = """\
#!{python} -IS
import gc, sys; gc.disable(); sys.path.insert(0, "{library}")
{start}from vqmail.{module} import main
from vqmail.unix.chain import launch
launch(main)
"""
START = """\
import marshal
try:
    loader, modules = marshal.loads(open("{file}." + sys.implementation.cache_tag, "rb").read())
except (OSError, EOFError, ValueError, TypeError):      # not there, cut, or of another Python: import each, as ever
    pass
else:
    exec(loader); del modules
"""


class Ids:
    """uid and gid of each role.  With `single`, every role is that one user."""

    def __init__(self, single: "tuple[int, int] | None" = None) -> None:
        self._single = single

    def of(self, owner: str, group: str) -> "tuple[int, int]":
        """(uid, gid) of a row of hier."""
        if self._single:
            return self._single
        import grp
        import pwd

        return pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid


def interpreter() -> str:
    """The Python that installed programs name: a real file that every user may run.

    Not a version manager's shell script, nor a Python below somebody's private directory: the programs
    run under eight different users.  It must be of the same version as the Python that installs, for the
    compiled libraries' sake.
    """
    own = os.path.realpath(sys.executable)
    system = os.path.realpath(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    for candidate in (system, own):
        if os.access(candidate, os.X_OK) and open_to_all(pathlib.Path(candidate)):
            return candidate
    return own


def open_to_all(path: pathlib.Path) -> bool:
    """Whether every user may go to `path` and, if it is a program, run it."""
    return all(each.stat().st_mode & 0o001 for each in (path, *path.parents))


def programs() -> "dict[str, str]":
    """Command name to module of vqmail, such as prog.smtpd."""
    folder = pathlib.Path(__file__).parent.parent / "prog"
    names = WARM | ADMIN
    faces = folder.parent / "faces"             # other systems' commands, by their names
    names |= {each.stem.replace("_", "-"): "faces." + each.stem for each in faces.glob("[!_]*.py")}
    for module in sorted(each.stem for each in folder.glob("*.py") if each.stem != "__init__"):
        name = module.strip("_").replace("_", "-")      # except_ is no word of Python's, except is
        names[name if name in OWN_NAMES else "vq-" + name] = "prog." + module
    return names


def script(name: str, library: str, python: str) -> str:
    """The text of bin/`name`."""
    module = programs()[name]
    start = START.format(file=f"{library}/start/{name}") if starts.has_one(module) else ""
    return SCRIPT.format(module=module, library=library, python=python, start=start)


TREE_SCRIPT = """\
#!/usr/bin/python3 -IS
import gc, sys; gc.disable(); tree = __file__.rpartition("/bin/")[0]; sys.path.insert(0, tree)
sys.path.append(tree + "/.venv/lib/python%d.%d/site-packages" % sys.version_info[:2])
from vqmail.{module} import main
from vqmail.unix.chain import launch
launch(main)
"""


def tree_script(module: str) -> str:
    """The text of bin/NAME in a source tree, which runs where it lies."""
    return TREE_SCRIPT.format(module=module)


def write_tree(folder: pathlib.Path) -> None:
    """Make bin/ of a source tree anew."""
    wanted = programs()
    for name, module in wanted.items():
        (folder / name).write_text(tree_script(module))
        (folder / name).chmod(0o755)
    for each in folder.iterdir():
        if each.name not in wanted:
            each.unlink()


def install(home: pathlib.Path, ids: Ids) -> None:
    """Make or renew the installation in `home`.  Mail, control files and users that are there stay as they are."""
    home.mkdir(parents=True, exist_ok=True)
    for path, mode, owner, group in hier.DIRECTORIES:
        (home / path).mkdir(exist_ok=True)
        os.chown(home / path, *ids.of(owner, group))
        os.chmod(home / path, mode)
    for path, mode, owner, group, size in hier.FILES:
        if not (home / path).exists():
            (home / path).write_bytes(bytes(size))
        os.chown(home / path, *ids.of(owner, group))
        os.chmod(home / path, mode)
    for path, mode, owner, group in hier.FIFOS:
        if not (home / path).exists():
            os.mkfifo(home / path)
        os.chown(home / path, *ids.of(owner, group))
        os.chmod(home / path, mode)
    _install_library(home / "lib", ids)
    for name in programs():
        target = home / "bin" / name
        temporary = target.with_name(name + ".new")
        temporary.write_text(script(name, str(home / "lib"), interpreter()))
        os.chmod(temporary, 0o755)
        os.chown(temporary, *ids.of(hier.OWNER, hier.GROUP))
        temporary.replace(target)


def _install_library(library: pathlib.Path, ids: Ids) -> None:
    ours = pathlib.Path(__file__).parent.parent
    sources = {"vqmail": ours}
    for name in LIBRARIES:
        source = source_of(name, DEBIAN)
        if source is not None:
            sources[name] = source
    for name, source in sources.items():
        target = library / (name if source.is_dir() else source.name)
        if source.is_dir():
            fresh = library / (name + ".new")
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.copytree(source, fresh, ignore=shutil.ignore_patterns("__pycache__"))
            shutil.rmtree(target, ignore_errors=True)
            fresh.rename(target)
        else:
            shutil.copy(source, target)
    _own(library, ids)                          # what is compiled takes its mode from its source
    compileall.compile_dir(library, quiet=2, force=True)
    starts.write(library / "start", library, programs())
    _own(library, ids)


def source_of(name: str, other: pathlib.Path) -> "pathlib.Path | None":
    """The file or directory of a module, of this Python's or else in the directory `other`; None if there is none."""
    spec = importlib.util.find_spec(name) or importlib.machinery.PathFinder.find_spec(name, [str(other)])
    if spec is None or spec.origin is None:
        return None
    origin = pathlib.Path(spec.origin)
    return origin.parent if origin.name == "__init__.py" else origin


def _own(library: pathlib.Path, ids: Ids) -> None:
    """All of the library can be read by everybody, whatever modes it had where it came from."""
    for folder, _, files in os.walk(library):
        for each, mode in ((folder, 0o755), *((os.path.join(folder, name), 0o644) for name in files)):
            os.chown(each, *ids.of(hier.OWNER, hier.GROUP))
            os.chmod(each, mode)
