"""vq-tcpto: show the hosts that did not answer lately.

SYNOPSIS    vq-tcpto [--help]

WRITES      1   for each host: ADDRESS timed out N seconds ago; # recent timeouts: C

vq-remote leaves a host alone for an hour or two after its second timeout, and goes on with the host's other
addresses and the domain's other MX.  vq-tcpok makes it forget that.

FILES       queue/lock/tcpto    IPv4 addresses, as qmail has them
            queue/lock/tcpto6   IPv6 addresses

EXIT        0   all are shown, or there are none
            100 wrong usage
            111 cannot read the tables, or cannot write

RUNS AS     root, or a user of group qmail

STANDARDS   qmail-tcpto(8)
"""

from vqmail import codes
from vqmail.outgoing import tcpto
from vqmail.unix import fd, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:  # noqa: ARG001  every program has this shape
    """Write what tcpto.known says."""
    asked = usage.parse(__doc__, argv)
    try:
        if asked["--help"]:
            fd.write_all(1, (__doc__ or "").encode())
            return codes.OK
        lines = [b"%s timed out %d seconds ago; # recent timeouts: %d\n" % each for each in tcpto.known()]
        fd.write_all(1, b"".join(lines))
    except OSError as error:
        raise codes.TryLater("cannot show the hosts that timed out: %s; run it as root" %
                             (error.strerror or error)) from None
    except ValueError as error:
        raise codes.TryLater("the table of hosts that timed out is no such table: %s" % error) from None
    return codes.OK
