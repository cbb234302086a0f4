"""Who may own a domain: a UNIX user, a uid that many domains may have, or one that nobody has yet."""

from vqmail import codes
from vqmail.admin import accounts, uids
from vqmail.formats import assign
from vqmail.store import control, roles
from vqmail.unix import calls, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.transaction import Transaction

ROOT = (0, 0)
NEW = b"new"


def find(t: "Transaction", domain: bytes, whose: bytes) -> "tuple[bytes, int, int]":
    """(name, uid, gid) for users/assign.  GiveUp if there is no such owner, or he must not be one."""
    if roles.single_user():
        if whose not in (NEW, b"%d:%d" % (calls.geteuid(), calls.getegid())):
            raise codes.GiveUp("this installation is under one user, who owns all domains; leave --owner out")
        return domain, calls.geteuid(), calls.getegid()
    if whose == NEW:
        uid = uids.free(t, accounts.Taken(t))
        return domain, uid, uid
    first, colon, second = whose.partition(b":")
    if colon:
        if not (assign.is_id(first) and assign.is_id(second)):
            raise codes.GiveUp("%s is no UID:GID" % log.shown(whose))
        found = int(first), int(second)
        name = accounts.name_of(t, found[0]) or domain
    else:
        account = accounts.ids(t, whose)
        if account is None:
            raise codes.GiveUp("there is no UNIX user %s; make one, or give UID:GID, or new" % log.shown(whose))
        found, name = account, whose
    _may_own(*found)
    return name, *found


def _may_own(uid: int, gid: int) -> None:
    least = max(control.number(b"minuid"), 1)
    if uid < least or gid < least:
        raise codes.GiveUp("uid %d or gid %d is below %d (control/minuid): it may own no domain" % (uid, gid, least))
    for role in (roles.ALIAS, roles.QUEUE, roles.SEND, roles.REMOTE, roles.DAEMON, roles.LOG):
        if roles.ids(role)[0] == uid:
            raise codes.GiveUp("uid %d is one that parts of this installation run under: it may own no domain" % uid)


def ours() -> "tuple[int, int]":
    """Who keeps etc/: root, or the user of a single-user installation."""
    return ROOT if calls.geteuid() == 0 else (calls.geteuid(), calls.getegid())
