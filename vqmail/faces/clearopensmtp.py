"""clearopensmtp: take relaying back from addresses where nobody has read mail lately, as vpopmail does.

SYNOPSIS    clearopensmtp

It is vq-clearopensmtp, under the name that stands in the crontabs.

EXIT        0   done
            100 wrong usage
            111 any trouble

RUNS AS     root, or whose the directory in control/opensmtp is

STANDARDS   vpopmail 5.4
"""

from vqmail import codes, vqhome
from vqmail.unix import chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> chain.Next:
    """Be vq-clearopensmtp."""
    if len(argv) != 1:
        raise codes.GiveUp("usage: clearopensmtp")
    return chain.Next([vqhome.path(b"bin/vq-clearopensmtp")], env)
