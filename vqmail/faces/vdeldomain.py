"""vdeldomain: delete a domain, or another name of one, as vpopmail does.

SYNOPSIS    vdeldomain [-v] [-f] domain

Deletes the domain and all other names of it; of another name only that name goes.  vpopmail's mail would be gone; ours
is in a trash: vq-domain restore brings it back, vq-domain purge removes it for good.  -f means nothing here.

EXIT        0   done
            100 wrong usage; it is so already; there is no such user or domain; not allowed
            111 any trouble

RUNS AS     root

STANDARDS   vpopmail 5.4
"""

import time

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
    """Delete a domain."""
    _, rest = foreign.words(argv, "vf", 1, 1)
    caller.must_be_master("delete a domain")
    domain = names.domain(rest[0])
    with caller.change_anything("delete a domain") as t:
        if domains.names().get(domain):
            domains.remove_alias(t, domain)
        else:
            domains.delete(t, domain, int(time.time()))
        t.commit()
    return codes.OK
