"""vq-clearopensmtp: take relaying back from addresses where nobody has read mail lately.

SYNOPSIS    vq-clearopensmtp

Takes the addresses that have been open for longer than control/opensmtp says out of open-smtp and
open-smtp6, and makes tcp.smtp.cdb anew of tcp.smtp and what is left.  If control/opensmtp is not there,
or says 0, all of them.  Run it from cron, as vpopmail's clearopensmtp, or after you edited tcp.smtp.

tcp.smtp is a text for tcprules; IPv6 addresses may be in it: `2001:db8:1:2::allow,RELAYCLIENT=""` is a
rule for 2001:db8:1:2::/64.

FILES       control/open-smtp, open-smtp6, open-smtp.lock, tcp.smtp, tcp.smtp.cdb, or the same in the
            directory that control/opensmtp names

CONTROL FILES
            opensmtp

EXIT        0   done
            100 wrong usage
            111 something cannot be read or written; a line of tcp.smtp is broken; the cdb stays what it was

RUNS AS     root, or whose the directory is

STANDARDS   vpopmail 5.4: clearopensmtp; tcprules(1)
"""

from vqmail import codes
from vqmail.store import opensmtp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:  # noqa: ARG001  every program has this shape
    """Do what opensmtp.clear does."""
    if len(argv) != 1:
        raise codes.GiveUp("usage: vq-clearopensmtp")
    try:
        opensmtp.clear()
    except OSError as error:
        raise codes.TryLater("cannot close addresses%s: %s" % (
            " in " + error.filename.decode("utf-8", "replace") if isinstance(error.filename, bytes) else "",
            error.strerror or error)) from None
    except ValueError as error:
        raise codes.TryLater("%s (tcp.smtp.cdb is as it was)" % error) from None
    return codes.OK
