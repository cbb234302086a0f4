"""vdominfo: show what there is to know of a domain, or of all, as vpopmail does.

SYNOPSIS    vdominfo [-a] [-n] [-u] [-g] [-d] [-t] [-r] [domain]

WRITES      1   with -a, or without options, all, a line each; otherwise what the options name, without its name:
                -n name, -u uid, -g gid, -d directory, -t number of users, -r the domain that it is another name of

EXIT        0   done
            100 wrong usage; it is so already; there is no such user or domain; not allowed
            111 any trouble

RUNS AS     root; the owner of a domain, by `vq-service admin`

STANDARDS   vpopmail 5.4
"""

from vqmail import codes
from vqmail.admin import command, domains, foreign, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:
    """Do it, here or by the service."""
    return foreign.run(__doc__ or "", serve, argv, env, alone=True)


def serve(argv: "list[bytes]", env: "Env", caller: "Caller") -> int:  # noqa: ARG001  every command has this shape
    """Show domains."""
    given, rest = foreign.words(argv, "anugdtrv", 0, 1)
    if rest:
        wanted = [names.domain(rest[0])]
        caller.check(domains.real(wanted[0]))
    else:
        wanted = [each for each, other in domains.names().items() if not other
                  and (caller.master or caller.owns(each))]
    for number, each in enumerate(wanted):
        if number:
            command.say(b"")
        for line in _lines(each, set(given) - {"v"}):
            command.say(line)
    return codes.OK


def _lines(domain: bytes, wanted: "set[str]") -> "list[bytes]":
    found = domains.info(domain)
    every = not wanted or "a" in wanted
    rows = [("n", "domain:", found["domain"]), ("u", "uid:", found["uid"]), ("g", "gid:", found["gid"]),
            ("d", "dir:", found["directory"]), ("t", "users:", found["mailboxes"])]
    if found["domain"] != domain:
        rows = [("n", "domain:", domain), ("r", "alias of:", found["domain"]), *rows[1:]]
    return [(("%-10s" % label) if every else "").encode() + (value if isinstance(value, bytes) else str(value).encode())
            for letter, label, value in rows if every or letter in wanted]
