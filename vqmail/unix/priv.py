"""Giving up rights.  The only file with setuid and its kin."""

from vqmail import codes
from vqmail.unix import calls


def drop_to(uid: int, gid: int) -> None:
    """Become `uid` and `gid` for good: groups, then gid, then real, effective and saved uid.  Or raise TryLater.

    A process that is not root can only stay who it is: in an installation under a single user there is
    nothing to give up.
    """
    if uid <= 0 or gid < 0:
        raise codes.TryLater("not allowed to run anything as uid %d gid %d" % (uid, gid))
    if calls.getresuid() == (uid, uid, uid) and calls.getresgid() == (gid, gid, gid):
        if calls.getgroups() not in ([], [gid]) and _may_set_groups():
            raise codes.TryLater("uid %d still has groups %r" % (uid, calls.getgroups()))
        return
    try:
        calls.setgroups([gid])
        calls.setresgid(gid, gid, gid)
        calls.setresuid(uid, uid, uid)
    except OSError as error:
        raise codes.TryLater("cannot become uid %d gid %d: %s" % (uid, gid, error.strerror)) from None
    if calls.getresuid() != (uid, uid, uid) or calls.getresgid() != (gid, gid, gid) or calls.getgroups() != [gid]:
        raise codes.TryLater("still not uid %d gid %d after the change" % (uid, gid))


def _may_set_groups() -> bool:
    return calls.geteuid() == 0
