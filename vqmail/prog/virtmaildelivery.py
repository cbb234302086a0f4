"""virtmaildelivery: put a message into the Maildir of a virtual user, or do what his .qmail says.

SYNOPSIS    virtmaildelivery user homedir [no|forwards|programs]

READS       0   the message, from where it stands
            homedir/.qmail, homedir/.qmail-EXT, homedir/.qmail-default     where the third argument is not no
            .over-quota.msg .quotawarn.msg  of the domain: what senders, and users, are told about quota
WRITES      1   why it was not delivered; what a .qmail did
            homedir/Maildir/new, and the queue
            homedir/Maildir/maildirsize     how much there is (Maildir++), which Dovecot and Courier share
            homedir/Maildir/quotawarn       when the user was warned last

The current directory is the domain's; homedir is relative to it even if it begins with a slash.  The Maildir is made
where the home is there and it is not.  The message is kept byte for byte after RPLINE and DTLINE.
An empty message is what a filter leaves that failed in front of us in a pipe: it is not delivered.

A .qmail is what dot-qmail(5) says, within what the third argument allows: forwards and the line ./Maildir/, or
programs, too.  It is looked at as vq-local looks at it: one that anybody may write to, a home that is sticky, a line
that is not allowed put the delivery off.  Without any, or if it is empty, the message goes to the Maildir.

ENVIRONMENT DTLINE  the Delivered-To line
            RPLINE  the Return-Path line
            UFLINE SENDER LOCAL HOST EXT RECIPIENT HOME
                    as vq-local sets them, for bob@example.com as if bob were a user of the host example.com
            FORWARDING
                    no: a .qmail forwards to nobody elsewhere
            QUOTA   how much mail there may be, such as 5000000S,1000C or 5M
            OVERQUOTA
                    defer: what does not fit waits in the queue; anything else: it goes back
            QUOTAWARN
                    at how many per cent of QUOTA the user is warned, once a day; 90 without it, 0 is never

EXIT        0   delivered
            100 a loop: the message has a Delivered-To line with this address; or a program said so;
                or the message does not fit into QUOTA
            111 not now, for whatever reason
            One that hangs for a day is ended by a signal.
RUNS AS     the virtual user

SECURITY    homedir has no `..` and no symbolic link in it: it cannot lead out of the domain.  A program gets nothing
            of the environment of whoever asked for the delivery but these variables.
"""

import _signal

from vqmail import codes
from vqmail.formats import deliveryenv
from vqmail.store import follow, homeorders, maildir, passage, quotabox
from vqmail.unix import calls, fd, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

BEYOND = calls.O_PATH | calls.O_DIRECTORY | calls.O_NOFOLLOW | calls.O_CLOEXEC
MAILDIR = b"Maildir"
LONGEST = 86400                 # seconds until a delivery that hangs, on a disk elsewhere, is ended; qmail-local's
QUOTA = (b"QUOTA", b"OVERQUOTA", b"QUOTAWARN")          # what no program of the user's is told

# the words for each step of a delivery that did not succeed
STEPS = {"open": "fopen failed", "write": "fprintf failed", "fsync": "fsync failed", "link": "link failed"}


def main(argv: "list[bytes]", env: "Env") -> int:
    try:
        return _deliver(argv, env)
    except codes.Failure as failure:            # vq-local takes what stands on 1 into its report
        try:
            fd.write_all(1, log.printable(str(failure).encode("utf-8", "surrogateescape")) + b"\n")
        except OSError:
            pass
        return failure.code


def _deliver(argv: "list[bytes]", env: "Env") -> int:
    if len(argv) < 2:
        raise codes.TryLater("invalid arguments: need username")
    if len(argv) < 3:
        raise codes.TryLater("invalid arguments: need home directory")
    head = _line(env, b"RPLINE") + _line(env, b"DTLINE")
    _signal.alarm(LONGEST)
    umask = calls.umask(0o077)
    domain = calls.open(b".", BEYOND)
    try:
        _enter(argv[2])
        _make_missing(argv[2])
        box = quotabox.Box(MAILDIR, env, domain)
        env = {name: value for name, value in env.items() if name not in QUOTA}
        orders = homeorders.find(env, argv[3] if len(argv) > 3 else homeorders.NO)
        if orders is not None:
            return orders.follow(lambda _: box.deliver(follow.message(head)))
        box.deliver(passage.checked(head, passage.loops(env)))
    except maildir.Undelivered as why:
        raise codes.TryLater("%s: %s" % (STEPS[why.step], why)) from None
    finally:
        calls.close(domain)
        calls.umask(umask)
        _signal.alarm(0)
    return codes.OK


def _line(env: "Env", name: bytes) -> bytes:
    """The header line in variable `name`: one line, whatever is in it."""
    if name not in env:
        raise codes.TryLater("environment variable %s not set" % name.decode())
    return deliveryenv.one_line(env[name])


def _enter(home: bytes) -> None:
    """Go to `home` below the current directory, step by step."""
    shown = _shown(home)
    steps = [each for each in home.split(b"/") if each not in (b"", b".")]
    if b".." in steps or b"\0" in home:
        raise codes.TryLater("chdir failed: %s: a home may not have .. in it" % shown)
    here = -1
    try:
        here = calls.open(b".", BEYOND)
        for each in steps:
            further = calls.open(each, BEYOND, dir_fd=here)
            calls.close(here)
            here = further
        calls.fchdir(here)
    except OSError as error:
        raise codes.TryLater("chdir failed: %s: %s" % (shown, error.strerror)) from None
    finally:
        if here >= 0:
            calls.close(here)


def _make_missing(home: bytes) -> None:
    try:
        calls.stat(MAILDIR + b"/new")
    except FileNotFoundError:
        try:
            maildir.make(MAILDIR)
        except OSError as error:
            raise codes.TryLater("chdir failed: %s: cannot make it: %s" % (_shown(home), error.strerror)) from None
    except OSError as error:
        raise codes.TryLater("chdir failed: %s: %s" % (_shown(home), error.strerror)) from None


def _shown(home: bytes) -> str:
    return (home.lstrip(b"/") + b"/" + MAILDIR).decode("utf-8", "replace")
