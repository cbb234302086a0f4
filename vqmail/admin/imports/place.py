"""Where the users that are brought in will live: a domain of ours, or a tree that stays where it is.

A tree in place is a link, made by root, of the domain's name in control/virtualroot.  What is added to it: etc/, with
the users' texts, and a .qmail-default that hands mail to virtmailfilter; the one that was there is kept beside it.
"""

import contextlib
import os
import stat

from vqmail import codes
from vqmail.admin import accounts, catchall, disk, domains, tables, transaction, usertexts
from vqmail.admin.imports import found
from vqmail.admin.imports.found import Domain, Mailbox
from vqmail.formats import options
from vqmail.store import control, virtual
from vqmail.unix import log

BEFORE = b"/.qmail-default.before"


def here(domain: Domain) -> "usertexts.Domain | None":
    """The domain as it is here, None if it is not.  GiveUp if something else has its name."""
    directory = domains.directory(domain.name)
    if disk.kind(directory) is None:
        return None
    domains.require(transaction.Transaction(), domain.name)
    if domain.place and os.path.realpath(directory) != domain.place:
        raise codes.GiveUp("%s is here already, and not %s" % (log.shown(domain.name), log.shown(domain.place)))
    return usertexts.look(domain.name, disk.read)


def make(domain: Domain, owner: bytes, uids: bytes) -> None:
    """Make the domain, with its options.  GiveUp if it cannot be."""
    values = {key: value for key, value in domain.options.items() if value}
    if uids:
        values[b"uids"] = uids
    with transaction.Transaction() as t:
        if domain.place:
            _link(t, domain)
            with contextlib.suppress(transaction.Already):      # it may have been a domain of ours before
                domains.set_options(t, domain.name, values)
        else:
            domains.add(t, domain.name, owner, values)
        with contextlib.suppress(transaction.Already):
            domains.set_options(t, domain.name, domain.defaults, options.EVERYBODY)
        t.commit()


def owner_of(domain: Domain, mailbox: Mailbox) -> "tuple[int, int]":
    """Uid and gid of a home that stays where it is.  GiveUp if they may not be a user's."""
    path = domain.place + mailbox.home
    status = os.lstat(path)
    least = max(control.number(b"minuid"), 1)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid < least or status.st_gid < least:
        raise codes.GiveUp("%s is no directory, or its uid %d or gid %d is below %d: see control/minuid" % (
            log.shown(path), status.st_uid, status.st_gid, least))
    return status.st_uid, status.st_gid


def _link(t: transaction.Transaction, domain: Domain) -> None:
    """Make a tree that stays where it is a domain of ours; it is the owner's of the tree."""
    path = domains.directory(domain.name)
    status = os.lstat(domain.place)
    least = max(control.number(b"minuid"), 1)
    if status.st_uid < least or status.st_gid < least:
        raise codes.GiveUp("%s belongs to uid %d, gid %d, which is below %d: see control/minuid" % (
            log.shown(domain.place), status.st_uid, status.st_gid, least))
    if disk.kind(domain.place + b"/etc") is not None:
        raise codes.GiveUp("there is a %s/etc already" % log.shown(domain.place))
    who, ours = (status.st_uid, status.st_gid), usertexts.ours()
    name = accounts.name_of(t, status.st_uid) or domain.name
    if tables.prefix(t, domain.name) is not None or tables.assigned(t, domain.name) is not None:
        raise codes.GiveUp("control/virtualdomains or users/assign has a line for %s already" % log.shown(domain.name))
    tables.receive(t, domain.name)
    tables.make_virtual(t, domain.name, domain.name)
    tables.assign(t, b"+%s-:%s:%d:%d:%s:-::" % (domain.name, name, *who, path))
    t.link(domain.place, path)
    t.make_directory(path + b"/etc", 0o755, ours)
    t.write(path + virtual.TEXT, domains.PASSWD, 0o640, ours)
    default = found.read(domain.place, b"/.qmail-default")
    if default is not None:
        t.write(path + BEFORE, default, 0o644, who)
    t.write(path + b"/.qmail-default", catchall.FILTER, 0o644, who)
    t.compile(domain.name)
