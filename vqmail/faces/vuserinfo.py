"""vuserinfo: show what there is to know of a user, as vpopmail does.

SYNOPSIS    vuserinfo [-a] [-n] [-p] [-u] [-g] [-c] [-d] [-q] [-Q] [-l] user@domain
            vuserinfo [-a] ... -D domain

WRITES      1   with -a, or without options, all, a line each; otherwise what the options name, without its name:
                -n name, -p what kind of hash the password has, -u uid, -g gid, -c real name, -d home, -q quota,
                -Q how full it is, -l the last login

The hash of the password is shown to nobody.  -D is for all users of the domain.

EXIT        0   done
            100 wrong usage; it is so already; there is no such user or domain; not allowed
            111 any trouble

RUNS AS     root; the owner of a domain, by `vq-service admin`

STANDARDS   vpopmail 5.4
"""

import subprocess
import time

from vqmail import codes, vqhome
from vqmail.admin import command, foreign, mailboxes, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:
    """Do it, here or by the service."""
    return foreign.run(__doc__ or "", serve, argv, env)


def serve(argv: "list[bytes]", env: "Env", caller: "Caller") -> int:  # noqa: ARG001  every command has this shape
    """Show users."""
    given, rest = foreign.words(argv, "anpugcdqQDlCv", 1, 1)
    if "D" in given:
        domain = mailboxes.real_domain(names.domain(rest[0]))
        caller.check(domain)
        users = mailboxes.names(domain)
    else:
        user, domain = foreign.address(rest[0])
        caller.check(domain)
        users = [user]
    for number, each in enumerate(users):
        if number:
            command.say(b"")
        for line in _lines(domain, each, set(given) - {"D", "v"}):
            command.say(line)
    return codes.OK


def _lines(domain: bytes, user: bytes, wanted: "set[str]") -> "list[bytes]":
    found = mailboxes.info(domain, user)
    every = not wanted or "a" in wanted
    rows = [("n", "name:", found["name"]), ("p", "passwd:", found["password"]), ("u", "uid:", found["uid"]),
            ("g", "gid:", found["gid"]), ("c", "comment/gecos:", found["real_name"]), ("d", "dir:", found["home"]),
            ("q", "quota:", found["quota"] or b"NOQUOTA")]
    lines = [(("%-15s" % label) if every else "").encode() + _bytes(value)
             for letter, label, value in rows if every or letter in wanted]
    if every or "Q" in wanted:
        lines.append((b"usage:         " if every else b"") + _usage(domain, user))
    if every or "l" in wanted:
        when, ip = found["last_login"], found["last_ip"]
        if isinstance(when, int):
            lines.append(b"last auth:     " + time.asctime(time.localtime(when)).encode())
            lines.append(b"last auth ip:  " + _bytes(ip))
        else:
            lines.append(b"last auth:     NEVER LOGGED IN")
    return lines


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _usage(domain: bytes, user: bytes) -> bytes:
    """How full it is, as vq-quota says; NOQUOTA if that cannot be told."""
    done = subprocess.run([vqhome.path(b"bin/vq-quota"), user + b"@" + domain], capture_output=True, check=False,
                          timeout=60)
    return done.stdout.strip().partition(b" ")[2].strip() if done.returncode == 0 else b"NOQUOTA"
