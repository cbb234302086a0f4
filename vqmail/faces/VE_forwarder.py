"""VE-forwarder: add a forward, or a catch-all, as Vmail-SQL does.

SYNOPSIS    VE-forwarder add DOMAIN NAME ADDRESS[,ADDRESS...]

The name _default_ is the catch-all.  Programs and files are no addresses.  vq-alias is the command with all that vqmail
can do.

EXIT        0   done
            100 wrong usage; it is so already; there is no such user or domain; not allowed
            111 any trouble

RUNS AS     root; the owner of a domain, by `vq-service admin`

STANDARDS   Vmail-SQL
"""

from vqmail import codes
from vqmail.admin import aliases, catchall, foreign, mailboxes, names

CATCH_ALL = b"_default_"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:
    """Do it, here or by the service."""
    return foreign.run(__doc__ or "", serve, argv, env)


def serve(argv: "list[bytes]", env: "Env", caller: "Caller") -> int:  # noqa: ARG001  every command has this shape
    """Add a forward."""
    words = argv[1:]
    if len(words) < 4 or words[0] != b"add":
        raise codes.GiveUp("usage: VE-forwarder add DOMAIN NAME ADDRESS...")
    domain = mailboxes.real_domain(names.domain(words[1]))
    caller.check(domain)
    targets = [each.strip() for word in words[3:] for each in word.split(b",") if each.strip()]
    odd: list[str] = []
    with caller.change(domain) as t:
        if words[2] != CATCH_ALL:
            odd = aliases.add(t, domain, aliases.name_of(words[2]), targets)
        elif len(targets) == 1:
            catchall.set_to(t, domain, targets[0])
        else:
            raise codes.GiveUp("the catch-all has one address; make an alias with several, and name that")
        t.commit()
    foreign.warn("VE-forwarder", odd)
    return codes.OK
