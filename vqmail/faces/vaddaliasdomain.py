"""vaddaliasdomain: make a domain another name of one, as vpopmail does.

SYNOPSIS    vaddaliasdomain [-v] alias domain

Every address of the domain is an address of the alias, too.  The two may be given in either order: the one that is
there is the domain.

EXIT        0   done
            100 wrong usage; it is so already; there is no such user or domain; not allowed
            111 any trouble

RUNS AS     root

STANDARDS   vpopmail 5.4
"""

from vqmail import codes
from vqmail.admin import domains, foreign, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:
    """Do it, here or by the service."""
    return foreign.run(__doc__ or "", serve, argv, env)


def serve(argv: "list[bytes]", env: "Env", caller: "Caller") -> int:  # noqa: ARG001  every command has this shape
    """Make a domain another name of one."""
    _, rest = foreign.words(argv, "v", 2, 2)
    caller.must_be_master("add a domain")
    alias, domain = (names.domain(each) for each in rest)
    there = domains.names()
    if alias in there and domain not in there:
        alias, domain = domain, alias
    with caller.change_anything("add a domain") as t:
        domains.add_alias(t, alias, domains.real(domain))
        t.commit()
    return codes.OK
