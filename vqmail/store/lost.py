"""queue/lost: bounces that could go to nobody, not even to the postmaster, for him to look at.

Each is a file, TIME.NUMBER, with a message as people read it.  The last ones stay, so that nobody fills the disk.
"""

from vqmail.store import queue
from vqmail.unix import calls, durable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

LOST = queue.QUEUE + b"/lost"
KEPT = 100                      # files
SIZE = 65536                    # bytes of the original in each; of a longer one its header


def keep(now: int, number: int, pieces: "Iterable[bytes]") -> bytes:
    """Keep the message `pieces`; its path, on the disk.  FileNotFoundError if there is no such directory, OSError."""
    name = b"%010d.%d" % (now, number)
    path = LOST + b"/" + name
    with durable.Draft(LOST, b"." + name, 0o600) as draft:
        for each in pieces:
            draft.write(each)
        draft.seal()
        try:
            draft.link(path)
        except FileExistsError:                 # of a crash before it was noted that it is done
            pass
        durable.sync_dir(LOST)
    for old in sorted(calls.listdir(LOST))[:-KEPT]:
        queue.remove(LOST + b"/" + old)
    return path
