"""vq-rspawn: answer for remote deliveries.

SYNOPSIS    vq-rspawn

READS       0   commands of vq-send: number, message, sender, recipient
WRITES      1   one byte, how many deliveries at once; then reports: number, K Z or D, text

This version sends nothing out: it defers every delivery, so that mail for other hosts waits in the
queue, where nothing is lost, until a program that can send it takes this one's place.

EXIT        0   the end of descriptor 0

RUNS AS     qmailr

STANDARDS   qmail-rspawn(8)
"""

from vqmail import codes
from vqmail.formats import delivery
from vqmail.unix import calls, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

LATER = b"ZThis host does not send mail to other hosts yet; the message waits. (#4.4.1)\n"
NO_HOST = b"DSorry, address must include host name. (#5.1.3)\n"


def main(argv: "list[bytes]", env: "Env") -> int:  # noqa: ARG001  every program has this shape
    """Defer what vq-send says until it hangs up."""
    fd.write_all(1, b"%c" % delivery.SPAWN)
    commands = delivery.Commands()
    while data := calls.read(0, 65536):
        reports = [delivery.report(slot, LATER if b"@" in recipient else NO_HOST)
                   for slot, _, _, recipient in commands.feed(data)]
        if reports:
            fd.write_all(1, b"".join(reports))
    return codes.OK
