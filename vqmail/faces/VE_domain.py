"""VE-domain: add a domain, or limit its mailboxes, as Vmail-SQL does.

SYNOPSIS    VE-domain add DOMAIN
            VE-domain popboxes DOMAIN max NUMBER

A domain's users have the uid of its owner, which is a new one.  vq-domain is the command with all that vqmail can do.

EXIT        0   done
            100 wrong usage; it is so already; there is no such user or domain; not allowed
            111 any trouble

RUNS AS     root

STANDARDS   Vmail-SQL
"""

from vqmail import codes
from vqmail.admin import domains, foreign, names, newdomain

USAGE = "usage: VE-domain add DOMAIN; VE-domain popboxes DOMAIN max NUMBER"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:
    """Do it, here or by the service."""
    return foreign.run(__doc__ or "", serve, argv, env)


def serve(argv: "list[bytes]", env: "Env", caller: "Caller") -> int:  # noqa: ARG001  every command has this shape
    """Add a domain, or limit its mailboxes."""
    words = argv[1:]
    if len(words) < 2 or words[0] not in (b"add", b"popboxes"):
        raise codes.GiveUp(USAGE)
    caller.must_be_master("change domains")
    domain = names.domain(words[1])
    with caller.change_anything("change domains") as t:
        if words[0] == b"add" and len(words) == 2:
            newdomain.add(t, domain, values={b"uids": b"owner"})
        elif words[0] == b"popboxes" and words[2:3] == [b"max"] and len(words) == 4:
            domains.require(t, domain)
            domains.set_options(t, domain, {b"mailboxes": words[3]})
        else:
            raise codes.GiveUp(USAGE)
        t.commit()
    return codes.OK
