"""virtmailfilter: deliver a message to a virtual user, in a domain owner's .qmail-default.

SYNOPSIS    | virtmailfilter [CATCH-ALL]

READS       0   the message; virtmaildelivery reads it, this program does not, but for a catch-all elsewhere
WRITES      1   why a delivery failed, or what a catch-all did

Finds the user EXT of the domain HOST in /virtual/HOST/etc/passwd, or in what vq-newu compiled of it,
and has virtmaildelivery put the message into that user's Maildir, under that user's uid.  bob-lists and bob+lists
are bob's, unless somebody is called so.

CATCH-ALL says what happens to mail for nobody; without it the option catchall of /virtual/HOST/etc/options does:
a user gets it; an address has it sent on, under the owner's uid, its sender kept; `delete` drops it;
`bounce-no-mailbox` bounces it.  As an argument it may also be the path of a maildir of the owner's.
/virtual/HOST may be a link to another domain beside it: then the users are that one's.

Nothing here is set-uid: the local service `vq-service virtmailfilter` does the work.  It serves a
caller only for the domains that control/virtualdomains and users/assign give to the caller's uid.

ENVIRONMENT EXT HOST        the user and the domain; vq-local sets them
            DTLINE RPLINE   go on to virtmaildelivery; DTLINE without the prefix of virtualdomains
            SENDER          the sender of what is sent on
            QMAILQUEUE      queues it instead of vq-queue

CONTROL FILES
            deliveredto minuid virtualdomains virtualroot

EXIT        0   delivered
            100 no such user, or he is suspended, or the domain is not ours; wrong usage; a loop
            111 any trouble; try again later

RUNS AS     the domain's owner; the service is root, looks up, and drops

STANDARDS   the Virtual Services HOWTO, chapter 9
"""

from vqmail import codes
from vqmail.formats import job
from vqmail.store import desk, rewrite, roles, virtual
from vqmail.unix import calls, chain, fd, priv, sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

NO_SERVICE = b"virtmailfilter: no service at %s: %s; is the service `virtmailfilter` up?\n"


def main(argv: "list[bytes]", env: "Env") -> "int | chain.Next":
    """Ask the service; or, where we have all rights already or need none, be it."""
    if len(argv) > 2 or any(each[:1] == b"-" for each in argv[1:]):
        fd.write_all(1, b"usage: virtmailfilter [CATCH-ALL]\n")
        return codes.PERMANENT
    argument = argv[1] if len(argv) > 1 else None
    if roles.single_user() or calls.geteuid() == 0:
        return _here(env, argument)
    try:
        service = sockets.connect(desk.SOCKET)
    except OSError as error:
        fd.write_all(1, NO_SERVICE % (desk.SOCKET, str(error.strerror).encode()))
        return codes.TEMPORARY
    try:
        sockets.send(service, job.encode([b"virtmailfilter", *argv[1:]], desk.handed(env), b"0,1,2"), [0, 1, 2])
        answer = service.recv(sockets.PACKET)
    except OSError as error:
        fd.write_all(1, NO_SERVICE % (desk.SOCKET, str(error.strerror).encode()))
        return codes.TEMPORARY
    finally:
        service.close()
    yours = desk.decode(answer)
    if yours is not None:
        return _myself(yours, env, argument)
    code, _, text = answer.partition(b" ")
    if text:
        fd.write_all(1, text + b"\n")
    return int(code) if code.isdigit() else codes.TEMPORARY


def _here(env: "Env", argument: "bytes | None") -> "int | chain.Next":
    try:
        plan = desk.Desk().plan(env, calls.geteuid(), argument)
    except codes.Failure as failure:
        fd.write_all(1, str(failure).encode("utf-8", "surrogateescape") + b"\n")
        return failure.code
    if isinstance(plan, desk.Deleted):
        fd.write_all(1, plan.why + b"\n")
        return codes.OK
    if isinstance(plan, desk.Yours):
        if calls.geteuid() == 0:
            owner = virtual.owner(env[b"HOST"].lower(), rewrite.Rules())
            if owner is None:
                fd.write_all(1, b"domain failed: it is not in control/virtualdomains. (#5.1.2)\n")
                return codes.PERMANENT
            # ---- root above, the domain's owner below ----
            priv.drop_to(owner.uid, owner.gid)
        return _myself(plan, env, argument)
    try:
        calls.chdir(plan.directory)
    except OSError as error:
        fd.write_all(1, b"domain failed: %s: %s\n" % (plan.directory, str(error.strerror).encode()))
        return codes.TEMPORARY
    # ---- root above, the virtual user below ----
    priv.drop_to(plan.uid, plan.gid)
    return chain.Next(plan.argv, plan.env)


def _myself(yours: desk.Yours, env: "Env", argument: "bytes | None") -> int:
    """What is for the owner to do."""
    from vqmail.store import ownersown          # maildirs and the way into the queue: only for a catch-all

    try:
        said = ownersown.do(yours, env, argument)
    except codes.Failure as failure:
        said, code = str(failure).encode("utf-8", "surrogateescape") + b"\n", failure.code
    else:
        code = codes.OK
    if said:
        fd.write_all(1, said)
    return code
