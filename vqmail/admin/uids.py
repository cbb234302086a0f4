"""Numbers for new users: each uid is given once, and never again, for files of a user who is gone may still lie about.

    control/firstuid    the smallest one
    users/uids          the last one that was given, changed together with what it was given to
"""

import contextlib

from vqmail import codes, vqhome
from vqmail.formats import assign, passwd
from vqmail.store import control, virtual
from vqmail.unix import calls, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from vqmail.admin import transaction

PATH = vqhome.path(b"users/uids")
ASSIGN = vqhome.path(b"users/assign")
SYSTEM = b"/etc/passwd"
LIMIT = 64 << 20
NOBODY = (65534, 65535)         # of most systems, and of those that count in 16 bits
STRANGE = 1 << 31               # ids from here on are of some special use


def free(t: "transaction.Transaction", taken: "Collection[int]" = ()) -> int:
    """A uid that nobody has, and a gid of the same number; `taken` are more that somebody has."""
    text = t.read(PATH)
    if text is None:
        last = _largest_in_use(t)
    elif assign.is_id(text.strip()):
        last = int(text)
    else:
        raise codes.GiveUp("%s must be the last uid that was given, a number; write it there" % PATH.decode())
    system = _of_system()
    uid = max(last + 1, control.number(b"firstuid"), control.number(b"minuid"), 1)
    while uid in taken or uid in system or uid in NOBODY:
        uid += 1
    if uid > assign.LARGEST:
        raise codes.GiveUp("there are no uids left above %d" % last)
    t.write(PATH, b"%d\n" % uid)
    return uid


def installation() -> "tuple[int, int] | None":
    """Uid and gid of the one user that has everything, in an installation under a single user; None in all others."""
    found = calls.stat(vqhome.VQHOME)
    return (found.st_uid, found.st_gid) if found.st_uid else None


def _of_system() -> "set[int]":
    """The uids and gids of the users of the system."""
    try:
        text = fd.read_file(SYSTEM, LIMIT)
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise codes.TryLater("cannot read %s: %s" % (SYSTEM.decode(), error.strerror)) from None
    fields = [each.split(b":") for each in text.split(b"\n")]
    return {int(number) for each in fields for number in each[2:4] if assign.is_id(number)}


def _largest_in_use(t: "transaction.Transaction") -> int:
    """The largest uid of all domains and owners from firstuid on: asked for once, before the first one is given."""
    found = {0}
    for line in (t.read(ASSIGN) or b"").split(b"\n"):
        found.update(int(each) for each in line.split(b":")[2:4] if assign.is_id(each))
    root = virtual.root()
    for domain in t.names(root):
        with contextlib.suppress(ValueError, codes.Failure):    # no domain, or a broken one: vq-newu complains of it
            for each in passwd.entries((t.read(root + b"/" + domain + virtual.TEXT) or b"").split(b"\n")):
                found.update((each.uid, each.gid))
    return max(each for each in found if each not in NOBODY and each < STRANGE)
