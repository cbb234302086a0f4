"""mailq: list the queue.

SYNOPSIS    mailq [--json]

Becomes vq-qread.  What sendmail's mailq knows of options is accepted and has no effect.

WRITES      1   the messages of the queue, as vq-qread writes them

EXIT        as vq-qread

RUNS AS     root, or qmails

STANDARDS   mailq(1)
"""

from vqmail import vqhome
from vqmail.unix import chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

QREAD = vqhome.path(b"bin/vq-qread")


def main(argv: "list[bytes]", env: "Env") -> "chain.Next":
    """Become vq-qread."""
    return chain.Next([QREAD, *(each for each in argv[1:] if each == b"--json")], env)
