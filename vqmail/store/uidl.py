"""The unique-ids of the messages of a Maildir: in the style that the file uidlstyle in it says, or control/uidlstyle.

In the style `dovecot` the first session writes down, in vqpop3uidl, what Dovecot has given until then, and every later
one goes by that: Dovecot may go on to serve the Maildir over IMAP and number new messages, which POP3 clients know by
their names by then.  Without dovecot-uidlist, and for what is not in it, the style is `qmail`.
"""

import errno

from vqmail import codes
from vqmail.formats import uidl
from vqmail.store import control
from vqmail.store import maildir as maildirs
from vqmail.unix import fd, log

KEPT = b"vqpop3uidl"
DOVECOTS = b"dovecot-uidlist"
STYLE = b"uidlstyle"
LIMIT = 256 << 20               # bytes: half a million messages with long names
ABSENT = (errno.ENOENT, errno.ENOTDIR)


def style(maildir: bytes) -> bytes:
    """The style for `maildir`, a path that ends in a slash.  TryLater if it cannot be told: other unique-ids for an
    hour would make clients fetch all mail again."""
    text = _read(maildir + STYLE)
    found = control.line(b"uidlstyle") if text is None else text.partition(b"\n")[0]
    found = found.strip().lower()
    if found not in uidl.STYLES:
        raise codes.TryLater("uidlstyle in control/ or %s says `%s`; there may stand qmail, tpop3d or dovecot" % (
            log.shown(maildir), log.shown(found)))
    return found


def of(maildir: bytes, names: "list[bytes]", how: bytes) -> "list[bytes]":
    """The unique-ids of the messages `names`, in the style `how`; no two are equal.  TryLater."""
    if how == uidl.TPOP3D:
        return list(map(uidl.tpop3d, names))
    if how == uidl.DOVECOT:
        known = _kept(maildir)
        return uidl.different(names, [known.get(each) or uidl.qmail(each) for each in names])
    return uidl.different(names, list(map(uidl.qmail, names)))


def _kept(maildir: bytes) -> "dict[bytes, bytes]":
    text = _read(maildir + KEPT)
    if text is not None:
        return uidl.parse_kept(text)
    text = _read(maildir + DOVECOTS)
    if text is None:
        return {}
    try:
        known = uidl.dovecot_list(text)
    except ValueError as error:
        raise codes.TryLater("%s: %s" % (log.shown(maildir), error)) from None
    try:
        maildirs.replace(maildir, KEPT, uidl.kept(known))
    except OSError as error:
        raise codes.TryLater("cannot keep the unique-ids of %s: %s" % (log.shown(maildir), error.strerror)) from None
    return known


def _read(path: bytes) -> "bytes | None":
    """The content of a file, None if there is none.  TryLater."""
    try:
        return fd.read_file(path, LIMIT)
    except ValueError as error:
        raise codes.TryLater("%s: %s" % (log.shown(path), error)) from None
    except OSError as error:
        if error.errno in ABSENT:
            return None
        raise codes.TryLater("cannot read %s: %s" % (log.shown(path), error.strerror)) from None
