"""vrcptcheck: say whether mail for an address would be taken, as vpopmail does.

SYNOPSIS    vrcptcheck user@domain

EXIT        0   there is such an address
            1   there is not, or it is not an address of ours
            100 wrong usage
            111 it cannot be told now

RUNS AS     anybody; what may not be looked at is taken for there

STANDARDS   vpopmail 5.4
"""

from vqmail import codes
from vqmail.admin import command
from vqmail.store import resolver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

NOT_THERE = 1


def main(argv: "list[bytes]", env: "Env") -> int:  # noqa: ARG001  every program has this shape
    """Look it up as vq-smtpd does."""
    if argv[1:] == [b"--help"]:
        command.say((__doc__ or "").rstrip())
        return codes.OK
    if len(argv) != 2 or b"@" not in argv[1]:
        raise codes.GiveUp("usage: vrcptcheck USER@DOMAIN")
    asked = resolver.Resolver()
    try:
        kind = asked.resolve(argv[1]).kind
    finally:
        asked.close()
    return NOT_THERE if kind in (resolver.NOBODY, resolver.REMOTE) else codes.OK
