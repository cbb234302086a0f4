"""Which ways to log in a client is told of: control/clearauth, control/authmechanisms.

A password may go through the clear where control/clearauth names the service.  Without the file that is pop3 and not
smtp: POP3 in the clear is what the clients of an old installation do, and who guesses there reads one mailbox; who
guesses an SMTP password sends spam in our name.
"""

from vqmail.store import control, secure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

BOTH = b"1"
USUAL = (b"PLAIN", b"LOGIN")


def allowed(env: "Mapping[bytes, bytes]", service: bytes) -> bool:
    """Whether a client of `service` (pop3, smtp) may log in on this connection: it is secured, or need not be."""
    return secure.SECURED in env or not {service, BOTH}.isdisjoint(control.line(b"clearauth").lower().split())


def mechanisms(known: "tuple[bytes, ...]") -> "list[bytes]":
    """Those of the `known` ways of AUTH that control/authmechanisms lists, in its order."""
    entries = control.entries(b"authmechanisms")
    wanted = USUAL if entries is None else [each.upper() for each in entries]
    return [each for each in wanted if each in known]
