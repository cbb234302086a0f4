"""vq-tcpok: forget which hosts did not answer lately.

SYNOPSIS    vq-tcpok [--help]

Of use when the network was down: vq-remote left hosts alone that are there.  It does not make messages be
tried before their time; an ALRM signal to vq-send does.

FILES       queue/lock/tcpto    IPv4 addresses, as qmail has them
            queue/lock/tcpto6   IPv6 addresses

EXIT        0   all are forgotten
            100 wrong usage
            111 cannot write the tables

RUNS AS     root, or qmailr

STANDARDS   qmail-tcpok(8)
"""

from vqmail import codes
from vqmail.outgoing import tcpto
from vqmail.unix import fd, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:  # noqa: ARG001  every program has this shape
    """Do what tcpto.forget does."""
    asked = usage.parse(__doc__, argv)
    try:
        if asked["--help"]:
            fd.write_all(1, (__doc__ or "").encode())
        else:
            tcpto.forget()
    except OSError as error:
        raise codes.TryLater("cannot forget the hosts that timed out: %s; run it as root" %
                             (error.strerror or error)) from None
    return codes.OK
