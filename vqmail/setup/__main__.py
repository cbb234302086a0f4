"""Install vqmail into a home, or check one.

usage: python -m vqmail.setup [--check] HOME
"""

import os
import pathlib
import re
import socket
import stat
import subprocess
import sys

from vqmail.setup import check, hier, install, man, services

PLAIN = re.compile(r"/[A-Za-z0-9._+/-]+")       # a home that needs no quoting in scripts and tables


def main(arguments: "list[str]") -> int:
    """Do it; the exit code."""
    checking = "--check" in arguments
    homes = [each for each in arguments if not each.startswith("-")]
    if len(homes) != 1 or len(arguments) != 1 + checking or not homes[0].startswith("/"):
        print(__doc__, file=sys.stderr)
        return 100
    home = pathlib.Path(homes[0])
    if checking:
        return check.main(home, install.Ids())
    why = _objection(home)
    if why:
        print(why, file=sys.stderr)
        return 111
    make_users()
    os.umask(0o022)
    install.install(home, install.Ids())
    services.install(home, install.Ids())
    man.main([str(home / "man")])
    _first_settings(home)
    print(f"{home} is installed.  Next: make setup check-setup VQHOME={home}; then, for daemontools,\n"
          f"ln -s {home}/service/* /etc/service/     (or: svscan {home}/service &)")
    return 0


def _objection(home: pathlib.Path) -> str:
    """Why we must not install here, or an empty string."""
    if os.geteuid() != 0:
        return "make setup must be run by root: it makes users, and gives files to them"
    if not PLAIN.fullmatch(str(home)):
        return f"{home} has characters that scripts stumble over; choose another home: make setup VQHOME=/var/vqmail"
    for parent in home.parents:
        if parent.exists() and not parent.stat().st_mode & 0o001:
            return (f"the users under whom the programs run may not enter {parent} (mode "
                    f"{stat.S_IMODE(parent.stat().st_mode):o}); chmod a+x it, or choose another home: "
                    "make setup VQHOME=/var/vqmail")
    if not install.open_to_all(pathlib.Path(install.interpreter())):
        return (f"the users under whom the programs run may not run {install.interpreter()}; install a Python for "
                "everybody, and make setup PYTHON=/that/python3")
    for name in ("bin/qmail-send", "bin/qmail-queue"):
        if os.path.lexists(home / name):
            return f"{home} is the home of a qmail ({name} is there); choose another: make setup VQHOME=/var/vqmail"
    for name in ("queue", "control", "users"):
        if (home / name).exists() and not (home / "lib/vqmail").exists():
            return (f"{home}/{name} is there, but {home} is no vqmail; move it away, or choose another home: "
                    "make setup VQHOME=/var/vqmail")
    return ""


def make_users() -> None:
    """Make the groups and users of hier.ROLES that are not there; those that are stay as they are."""
    for group in (hier.GROUP, hier.NOFILES):
        if subprocess.run(["getent", "group", group], capture_output=True, check=False).returncode:
            subprocess.run(["groupadd", "--system", group], check=True)
    for user, (group, _, what) in hier.ROLES.items():
        if subprocess.run(["getent", "passwd", user], capture_output=True, check=False).returncode:
            subprocess.run(["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", "--gid", group,
                            "--shell", "/bin/false", "--comment", what, user], check=True)


def _first_settings(home: pathlib.Path) -> None:
    """The control files without which nothing works, where there are none."""
    name = socket.getfqdn()
    for file, text in (("control/me", f"{name}\n"), ("control/locals", f"{name}\n"), ("control/rcpthosts", f"{name}\n"),
                       ("users/assign", ".\n")):
        if not (home / file).exists():
            (home / file).write_text(text)
    for role in ("postmaster", "mailer-daemon", "root"):    # RFC 5321 4.5.1: there is always a postmaster
        path = home / "alias" / f".qmail-{role}"
        if not path.exists():
            path.write_text("./Maildir/\n")
            os.chown(path, *install.Ids().of(hier.ALIAS, hier.GROUP))
    maildir = home / "alias/Maildir"
    for folder in (maildir, maildir / "new", maildir / "cur", maildir / "tmp"):
        if not folder.exists():
            folder.mkdir(mode=0o700)
            os.chown(folder, *install.Ids().of(hier.ALIAS, hier.NOFILES))
    if not (home / "users/cdb").exists():
        subprocess.run([home / "bin/vq-newu"], check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
