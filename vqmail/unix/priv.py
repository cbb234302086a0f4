"""Giving up rights.  The only file with setuid and its kin."""

import stat

from vqmail import codes
from vqmail.unix import calls


def drop_to(uid: int, gid: int) -> None:
    """Become `uid` and `gid` for good: groups, then gid, then real, effective and saved uid.  Or raise TryLater.

    A process that is not root can only stay who it is: in an installation under a single user there is
    nothing to give up.
    """
    _check(uid, gid)
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


def check(uid: int, gid: int, directory: bytes) -> None:
    """TryLater if nothing can be run as `uid` and `gid` in `directory`, as far as root can see that."""
    _check(uid, gid)
    name = directory.decode("utf-8", "replace")
    try:
        found = calls.stat(directory)
    except OSError as error:
        raise codes.TryLater("cannot enter %s: %s" % (name, error.strerror)) from None
    enter = stat.S_IXUSR if found.st_uid == uid else stat.S_IXGRP if found.st_gid == gid else stat.S_IXOTH
    if not found.st_mode & enter:
        raise codes.TryLater("uid %d cannot enter %s: it belongs to uid %d, mode %o; see chown, and chmod u+x" % (
            uid, name, found.st_uid, stat.S_IMODE(found.st_mode)))


def _check(uid: int, gid: int) -> None:
    if uid <= 0 or gid < 0:
        raise codes.TryLater("not allowed to run anything as uid %d gid %d" % (uid, gid))


def _may_set_groups() -> bool:
    return calls.geteuid() == 0
