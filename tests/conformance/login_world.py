"""Logins by real uids: users of the system, services of PAM, checkpassword programs, and the auth service's questions."""

import json
import os
import pathlib
import pwd
import socket
import subprocess
import warnings

from system import System, worker

from vqmail.setup import install

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import crypt

# the machine has one table of users: each process of pytest-xdist's has names of its own there
NAME, PASSWORD = f"vqlogintest{worker()}", "shadow secret"
EXPIRED, LOCKED = f"vqloginexpired{worker()}", f"vqloginlocked{worker()}"
SERVICE = f"vqlogintest{worker()}"
PAM_D = pathlib.Path("/etc/pam.d")

# asks the auth service as vq-smtpd does: rows of [kind, env, fields], as whichever uid it has
ASK = """\
import json, select, sys
sys.path.insert(0, sys.argv[1])
from vqmail.logins import authentication
asked = []
for env, fields in json.loads(sys.argv[2]):
    exchange = authentication.Exchange({name.encode(): value.encode() for name, value in env.items()}, b"smtp")
    asked.append((exchange, exchange.check(*[each.encode("latin-1") for each in fields])))
answers = []
for exchange, descriptor in asked:
    select.select([descriptor], [], [])
    answer = exchange.answer()
    exchange.close()
    answers.append([answer.code, answer.name.decode()])
print(json.dumps(answers))
"""


def make_users() -> None:
    """Three users of this system: one that may log in, one that has expired, one that is locked."""
    remove_users()
    hashed = crypt.crypt(PASSWORD, "$6$rounds=1000$salt")
    for name, more in ((NAME, []), (EXPIRED, ["-e", "2020-01-01"]), (LOCKED, [])):
        stored = "!" + hashed if name == LOCKED else hashed
        subprocess.run(["useradd", "-m", "-s", "/bin/sh", "-p", stored, *more, name], check=True, capture_output=True)
        home = pathlib.Path(pwd.getpwnam(name).pw_dir)
        for folder in ("Maildir", "Maildir/new", "Maildir/cur", "Maildir/tmp"):
            (home / folder).mkdir()
            os.chown(home / folder, pwd.getpwnam(name).pw_uid, pwd.getpwnam(name).pw_gid)


def remove_users() -> None:
    for name in (NAME, EXPIRED, LOCKED):
        subprocess.run(["userdel", "-r", name], check=False, capture_output=True)


def pam_service(text: str) -> None:
    """/etc/pam.d/`SERVICE`."""
    (PAM_D / SERVICE).write_text(text)


def script(system: System, name: str, text: str) -> str:
    """A program of the test's, in sh; its path."""
    path = system.path / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


def ask(system: System, *questions: "tuple[str, ...]", user: str = "qmaild", ip: str = "192.0.2.1",
        prefix: "tuple[str, ...]" = ()) -> "list[list]":
    """The answers of the auth service to (name, secret[, challenge]), asked at once by `user`."""
    process = start_asking(system, *questions, user=user, ip=ip, prefix=prefix)
    out, errors = process.communicate(timeout=60)

    assert process.returncode == 0, errors
    return json.loads(out)


def start_asking(system: System, *questions: "tuple[str, ...]", user: str = "qmaild", ip: str = "192.0.2.1",
                 prefix: "tuple[str, ...]" = ()) -> "subprocess.Popen[bytes]":
    who = pwd.getpwnam(user)
    rows = [({"TCPREMOTEIP": ip}, [*each, ""][:3]) for each in questions]
    return subprocess.Popen([*prefix, install.interpreter(), "-IS", "-c", ASK, str(system.home / "lib"), json.dumps(rows)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, user=who.pw_uid, group=who.pw_gid,
                            extra_groups=[], cwd="/")


def pop3(port: int, name: str, password: str) -> bytes:
    """The answers to USER, PASS, STAT and QUIT."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        file = sock.makefile("rwb")
        said = [file.readline()]
        for command in (f"USER {name}", f"PASS {password}", "STAT", "QUIT"):
            try:
                file.write(command.encode() + b"\r\n")
                file.flush()
                said.append(file.readline())
            except OSError:
                break
        return b"".join(each[:4] + b" " for each in said if each).replace(b"  ", b" ").strip()
