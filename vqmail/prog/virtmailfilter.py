"""virtmailfilter: deliver a message to a virtual user, in a domain owner's .qmail-default.

SYNOPSIS    | virtmailfilter

READS       0   the message; virtmaildelivery reads it, this program does not
WRITES      1   why a delivery failed

Finds the user EXT of the domain HOST in /virtual/HOST/etc/passwd, or in what vq-newu compiled of it,
and has virtmaildelivery put the message into that user's Maildir, under that user's uid.

Nothing here is set-uid: the local service `vq-service virtmailfilter` does the work.  It serves a
caller only for the domains that control/virtualdomains and users/assign give to the caller's uid.

ENVIRONMENT EXT HOST        the user and the domain; vq-local sets them
            DTLINE RPLINE   go on to virtmaildelivery

CONTROL FILES
            minuid virtualdomains virtualroot

EXIT        0   delivered
            100 no such user, or the domain is not ours
            111 any trouble; try again later

RUNS AS     the domain's owner; the service is root, looks up, and drops

STANDARDS   the Virtual Services HOWTO, chapter 9
"""

from vqmail import codes
from vqmail.formats import job
from vqmail.store import desk, roles
from vqmail.unix import calls, chain, fd, priv, sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

NO_SERVICE = b"virtmailfilter: no service at %s: %s; is the service `virtmailfilter` up?\n"


def main(argv: "list[bytes]", env: "Env") -> "int | chain.Next":
    """Ask the service; or, where we have all rights already or need none, be it."""
    if roles.single_user() or calls.geteuid() == 0:
        return _here(env)
    try:
        service = sockets.connect(desk.SOCKET)
    except OSError as error:
        fd.write_all(1, NO_SERVICE % (desk.SOCKET, str(error.strerror).encode()))
        return codes.TEMPORARY
    try:
        sockets.send(service, job.encode([b"virtmailfilter"], desk.handed(env), b"0,1,2"), [0, 1, 2])
        code, _, text = service.recv(sockets.PACKET).partition(b" ")
    except OSError as error:
        fd.write_all(1, NO_SERVICE % (desk.SOCKET, str(error.strerror).encode()))
        return codes.TEMPORARY
    finally:
        service.close()
    if text:
        fd.write_all(1, text + b"\n")
    return int(code) if code.isdigit() else codes.TEMPORARY


def _here(env: "Env") -> "int | chain.Next":
    try:
        plan = desk.Desk().plan(env, calls.geteuid())
    except codes.Failure as failure:
        fd.write_all(1, str(failure).encode("utf-8", "surrogateescape") + b"\n")
        return failure.code
    try:
        calls.chdir(plan.directory)
    except OSError as error:
        fd.write_all(1, b"domain failed: %s: %s\n" % (plan.directory, str(error.strerror).encode()))
        return codes.TEMPORARY
    # ---- root above, the virtual user below ----
    priv.drop_to(plan.uid, plan.gid)
    return chain.Next(plan.argv, plan.env)
