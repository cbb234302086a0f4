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

import itertools
import time

from vqmail import codes
from vqmail.admin import command, foreign, fullness, mailboxes, names

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
    wanted = set(given) - {"D", "v"} or {"a"}
    use = fullness.reports(domain, users, b"show") if wanted & {"a", "Q"} else itertools.repeat(None)
    for number, (found, report) in enumerate(zip(mailboxes.infos(domain, users), use, strict=False)):
        if number:
            command.say(b"")
        for line in _lines(found, wanted, report):
            command.say(line)
    return codes.OK


def _lines(found: "dict[str, object]", wanted: "set[str]", report: "fullness.Report | None") -> "list[bytes]":
    every = "a" in wanted
    rows = [("n", "name:", found["name"]), ("p", "passwd:", found["password"]), ("u", "uid:", found["uid"]),
            ("g", "gid:", found["gid"]), ("c", "comment/gecos:", found["real_name"]), ("d", "dir:", found["home"]),
            ("q", "quota:", found["quota"] or b"NOQUOTA")]
    if report is not None:
        rows.append(("Q", "usage:", _usage(report)))
    if every or "l" in wanted:
        when = found["last_login"]
        if isinstance(when, int):
            rows += [("l", "last auth:", time.asctime(time.localtime(when)).encode()),
                     ("l", "last auth ip:", found["last_ip"])]
        else:
            rows.append(("l", "last auth:", b"NEVER LOGGED IN"))
    return [(("%-15s" % label) if every else "").encode() + _bytes(value)
            for letter, label, value in rows if every or letter in wanted]


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _usage(report: fullness.Report) -> bytes:
    """How full it is, as vq-quota says; NOQUOTA if that cannot be told."""
    return b"NOQUOTA" if report.trouble else fullness.line(report).partition(b" ")[2]
