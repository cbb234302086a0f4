"""Deleted domains: /virtual/.trash/TIME.DOMAIN, until somebody empties it.

    manifest        what was taken out of the tables: `domain NAME`, `assign LINE`, `alias NAME`
    domain          the directory, with all mail

Only root can look into it: what an owner has lost he has lost.
"""

from vqmail import codes
from vqmail.admin import disk
from vqmail.store import virtual
from vqmail.unix import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.transaction import Transaction

MANIFEST = b"/manifest"
CONTENT = b"/domain"


def place() -> bytes:
    """The directory of the trash."""
    return virtual.root() + b"/.trash"


def put(t: "Transaction", domain: bytes, directory: bytes, record: "list[bytes]", when: int) -> bytes:
    """Move a domain's directory into the trash, with what there is to be known for its return; where it is then."""
    ours = (calls.geteuid(), calls.getegid())
    if t.kind(place()) is None:
        t.make_directory(place(), 0o700, ours)
    while t.kind(b"%s/%d.%s" % (place(), when, domain)) is not None:
        when += 1
    into = b"%s/%d.%s" % (place(), when, domain)
    t.make_directory(into, 0o700, ours)
    t.move(directory, into + CONTENT)
    t.write(into + MANIFEST, b"".join(each + b"\n" for each in record), 0o600, ours)
    return into


def all_of(domain: bytes = b"") -> "list[bytes]":
    """What of `domain`, or of all, is in the trash, the oldest first."""
    return [b"%s/%d.%s" % (place(), when, name) for when, name in sorted(
        (int(number), name) for number, _, name in (each.partition(b".") for each in disk.names(place()))
        if number.isdigit() and (not domain or name == domain))]


def find(domain: bytes, when: int = 0) -> bytes:
    """The one that was deleted last, or at `when`.  GiveUp if there is none."""
    found = [each for each in all_of(domain) if not when or time_of(each) == when]
    if not found:
        raise codes.GiveUp("there is no %s in the trash; vq-domain trash shows what is" % domain.decode())
    return found[-1]


def time_of(path: bytes) -> int:
    """When it was deleted."""
    return int(path.rpartition(b"/")[2].partition(b".")[0])


def domain_of(path: bytes) -> bytes:
    """What was deleted."""
    return path.rpartition(b"/")[2].partition(b".")[2]


def record(t: "Transaction", path: bytes) -> "dict[bytes, list[bytes]]":
    """What is written of one, by its kind."""
    found: dict[bytes, list[bytes]] = {}
    for line in (t.read(path + MANIFEST) or b"").split(b"\n"):
        kind, _, rest = line.partition(b" ")
        if rest:
            found.setdefault(kind, []).append(rest)
    return found


def take(t: "Transaction", path: bytes, directory: bytes) -> None:
    """Move one out of the trash."""
    t.move(path + CONTENT, directory)
    t.remove(path + MANIFEST)
    t.remove(path)
