"""newaliases: say where the aliases are.

SYNOPSIS    newaliases

There is no table of aliases to rebuild: an alias is a file alias/.qmail-NAME in the home of vqmail, and counts as soon
as it is there.  This command refuses, so that nobody believes that an edited /etc/aliases was read.

WRITES      2   that

EXIT        100 always

RUNS AS     anybody

STANDARDS   newaliases(1)
"""

from vqmail import codes, vqhome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:  # noqa: ARG001  every program has this shape
    """Refuse."""
    alias = vqhome.path(b"alias/.qmail-NAME").decode("utf-8", "replace")
    raise codes.GiveUp("there is no table of aliases to rebuild, nor is /etc/aliases read; an alias is a file " + alias)
