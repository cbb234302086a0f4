"""maildir2mbox: move the messages of a maildir into an mbox.

SYNOPSIS    MAILDIR=... MAIL=... MAILTMP=... maildir2mbox

READS       MAILDIR     the messages in new and cur
WRITES      MAIL        all that it had, then the messages, oldest first
            2           why not

MAILTMP is written first, with all that MAIL has, then takes its place, and only then the messages go: whatever happens
there is the old MAIL or the new one, no message is lost, and at worst some come twice.  MAIL keeps its mode and owner.
Nothing in the maildir: nothing is done.

MAIL is locked with flock; readers that lock otherwise must not run at the same time.

ENVIRONMENT MAILDIR MAIL MAILTMP    paths; a relative MAIL or MAILTMP is below MAILDIR.  MAILTMP is overwritten, and on
                                    the same file system as MAIL

EXIT        0   done; a warning on 2 says which messages could not be removed and will come again
            111 not done; the maildir is as it was, and so is MAIL unless the disk failed last
RUNS AS     their owner

STANDARDS   maildir2mbox(1) of qmail, maildir(5), mbox(5) of the mboxrd kind
"""

import time

from vqmail import codes
from vqmail.formats import date822, header, mboxrd
from vqmail.store import mailbox, mbox
from vqmail.unix import calls, fd, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

ANONYMOUS = b"XXX"              # what qmail's writes for the sender of a message that does not tell it
RETURN_PATH = b"Return-Path: <"


def main(argv: "list[bytes]", env: "Env") -> int:
    if len(argv) != 1:
        raise codes.GiveUp("usage: MAILDIR=... MAIL=... MAILTMP=... maildir2mbox")
    for name in (b"MAIL", b"MAILTMP", b"MAILDIR"):
        if not env.get(name):
            raise codes.TryLater("fatal: %s not set" % name.decode())
    calls.umask(0o077)
    try:
        calls.chdir(env[b"MAILDIR"])
        messages = mailbox.Mailbox(b".")
    except OSError as error:
        raise codes.TryLater("fatal: no maildir at $MAILDIR, %s: %s" % (
            _shown(env[b"MAILDIR"]), error.strerror)) from None
    messages.clean(time.time())
    if not messages.count:
        return codes.OK
    number, _ = mbox.hold(env[b"MAIL"])
    try:
        _move(number, env[b"MAIL"], env[b"MAILTMP"])
    finally:
        calls.close(number)
    return codes.OK


def _move(number: int, path: bytes, temporary: bytes) -> None:
    """Do it, with the mbox `path` open and locked as `number`."""
    messages = mailbox.Mailbox(b".")            # again: before we had the lock another may have moved them
    moved: set[int] = set()
    try:
        mbox.replace(path, temporary, number, lambda new: _write(new, number, messages, moved))
    except OSError as error:
        raise codes.TryLater("fatal: unable to write %s and put it in the place of %s: %s" % (
            _shown(temporary), _shown(path), error.strerror)) from None
    for failure in messages.finish(moved):
        log.line(b"maildir2mbox", "warning: $MAILDIR/%s will be delivered twice; unable to unlink: %s" % (
            _shown((failure.filename or b"?").removeprefix(b"./")), failure.strerror))


def _write(new: int, old: int, messages: mailbox.Mailbox, moved: "set[int]") -> None:
    """Write the mbox `old` and all messages to `new`, and note in `moved` which these are."""
    for piece in fd.pieces(old):
        fd.write_all(new, piece)
    fd.write_all(new, mbox.gap(old))
    for index in range(messages.count):
        try:
            number = messages.open(index)
        except FileNotFoundError:               # its reader took it
            continue
        try:
            start = calls.pread(number, 8192, 0)
            date = date822.from_line(calls.fstat(number).st_mtime)
            fd.write_all(new, header.from_line(sender_of(start), date))
            for part in mboxrd.quoted(fd.pieces(number)):
                fd.write_all(new, part)
        finally:
            calls.close(number)
        moved.add(index)


def sender_of(start: bytes) -> bytes:
    """The sender as the first line of a message tells it; b"" is the null sender."""
    line, end, _ = start.partition(b"\n")
    if not end or not line.startswith(RETURN_PATH) or not line.endswith(b">"):
        return ANONYMOUS
    return line[len(RETURN_PATH):-1]


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
