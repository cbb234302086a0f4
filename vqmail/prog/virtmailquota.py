"""virtmailquota: say how full the Maildir of a virtual user is, or whether so much more fits into it.

SYNOPSIS    virtmailquota homedir quota show
            virtmailquota homedir quota recount
            virtmailquota homedir quota fits bytes

READS       homedir/Maildir/maildirsize
            homedir/Maildir, if that file is missing, broken or old, or for recount
WRITES      1   show and recount: BYTES MESSAGES, in a line; or what is wrong
            homedir/Maildir/maildirsize

The current directory is the domain's; homedir is relative to it.  `quota` is 5000000S,1000C, or 5M, or NOQUOTA.
vq-quota runs this for people, and the service virtmailfilter for vq-smtpd, before it takes a message for this user.
Where there is no Maildir yet there is no mail in it.

EXIT        0   it was said; it fits
            100 it does not fit; wrong usage
            111 trouble
RUNS AS     the virtual user

STANDARDS   Maildir++
"""

from vqmail import codes
from vqmail.formats import quota as quotas
from vqmail.store import quota
from vqmail.unix import calls, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

USAGE = "usage: virtmailquota homedir quota show|recount|fits [bytes]"

WORDS = {b"show": 4, b"recount": 4, b"fits": 5}


def main(argv: "list[bytes]", _env: "Env") -> int:
    """Do what `argv` says."""
    if len(argv) < 4 or len(argv) != WORDS.get(argv[3]):
        raise codes.GiveUp(USAGE)
    if argv[3] == b"fits" and (not argv[4].isdigit() or len(argv[4]) > quotas.DIGITS):
        raise codes.GiveUp(USAGE)
    try:
        limits = quotas.parse(argv[2])
    except ValueError as error:
        raise codes.GiveUp(str(error)) from None
    path = (b"./" + argv[1].strip(b"/")).rstrip(b"/") + b"/Maildir"
    umask = calls.umask(0o077)
    try:
        return _do(quota.Quota(path, limits), argv)
    except FileNotFoundError:
        if argv[3] != b"fits":
            fd.write_all(1, b"0 0\n")
        return codes.OK
    except OSError as error:
        raise quota.trouble(path, error) from None
    finally:
        calls.umask(umask)


def _do(box: quota.Quota, argv: "list[bytes]") -> int:
    if argv[3] == b"fits":
        return codes.OK if box.fits(int(argv[4])) else codes.PERMANENT
    use = box.recount() if argv[3] == b"recount" else box.use()
    fd.write_all(1, b"%d %d\n" % (use.size, use.count))
    return codes.OK
