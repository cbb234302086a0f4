"""vadddomain: add a domain, as vpopmail does.

SYNOPSIS    vadddomain [-v] [-q quota] [-b | -e address] [-u user | -i uid -g gid] [-O] [-r[length]] domain [password]

Adds the domain, with a mailbox postmaster that has the password, or the one that is typed; -r makes a random one and
shows it.  All that is left to do is nothing: mail is accepted when the command returns.

-q          the quota of its users
-b          mail for nobody is bounced, which is so without it
-e          mail for nobody goes to this address, or user of the domain; `delete` drops it
-u -i -g    who owns the domain: a UNIX user, or a uid and a gid; without them a new uid.  Its users have the owner's
            uid, as vpopmail's have.
-O          means nothing here: the directories are not hashed

vq-domain is the command with all that vqmail can do.

EXIT        0   done
            100 wrong usage; it is so already; there is no such user or domain; not allowed
            111 any trouble

RUNS AS     root

STANDARDS   vpopmail 5.4
"""

from vqmail import codes
from vqmail.admin import catchall, domains, foreign, names, newdomain, transaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:
    """Do it, here or by the service."""
    return foreign.run(__doc__ or "", serve, argv, env)


def serve(argv: "list[bytes]", env: "Env", caller: "Caller") -> int:  # noqa: ARG001  every command has this shape
    """Add a domain."""
    argv, length = foreign.split_random(argv)
    given, rest = foreign.words(argv, "vq:be:u:d:i:g:O", 1, 2)
    caller.must_be_master("add a domain")
    if "d" in given:
        raise codes.GiveUp("-d: all domains lie below control/virtualroot")
    domain = names.domain(rest[0])
    if domain in domains.names():               # before anybody types a password
        raise transaction.Already("%s is there already" % names.shown(domain))
    stored, random = foreign.secret(rest[1:], length, newdomain.POSTMASTER + b"@" + domain)
    with caller.change_anything("add a domain") as t:
        newdomain.add(t, domain, _owner(given), {b"uids": b"owner"}, password_hash=stored)
        if "q" in given:
            domains.set_options(t, domain, {b"quota": given["q"]}, b"*")
        if "e" in given:
            catchall.set_to(t, domain, given["e"])
        t.commit()
    foreign.show_random(random)
    return codes.OK


def _owner(given: "dict[str, bytes]") -> bytes:
    if "u" in given:
        return given["u"]
    if "i" in given or "g" in given:
        return given.get("i", given.get("g", b"")) + b":" + given.get("g", given.get("i", b""))
    return domains.NEW
