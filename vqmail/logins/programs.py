"""Asking somebody else's program about a login: a checkpassword program, or PAM in a program of ours.

It gets name NUL password NUL challenge NUL on descriptor 3, the variables of the session, and DEADLINE seconds.

    0           he is; for a checkpassword program: vq-loginreply, which it became, says on descriptor 4 who
    1, 3        no: for PAM 1 is a wrong password and 3 nobody; of others it cannot be told, so both are nobody
    other       trouble
"""

from vqmail import codes, vqhome
from vqmail.formats import checkpassword, loginreply
from vqmail.logins import account, systemusers
from vqmail.unix import calls, child, fd, log, sockets

DEADLINE = 30                   # seconds
PAM = vqhome.path(b"bin/vq-pam")
REPLY = vqhome.path(b"bin/vq-loginreply")
PATH = b"/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/command"
PORTS = {account.POP3: b"110", account.SMTP: b"25", account.IMAP: b"143"}       # vchkpw goes by them
SHELL = b"/bin/false"


def pam(service: bytes, name: bytes, secret: bytes, challenge: bytes,
        client: account.Client) -> "account.Account | bytes":
    """The account; b"" if PAM knows no such user, or why he does not get in.  TryLater on trouble."""
    code, _, _ = _run([PAM, service], name, secret, challenge, client)
    if code == codes.PASSWORD_WRONG:
        return b"PAM refused"
    if code == codes.PASSWORD_NOBODY:
        return b""
    if code != codes.OK:
        raise _trouble(PAM, code)
    entry = systemusers.find(name)
    if entry is not None:
        return systemusers.account_of(entry)
    if client.service == account.SMTP:
        return _without_id(name)
    raise codes.TryLater("PAM lets %s in, but /etc/passwd has no line for him with a uid and gid from control/minuid "
                         "on" % log.shown(name))


def program(words: "list[bytes]", name: bytes, secret: bytes, challenge: bytes,
            client: account.Client) -> "account.Account | bytes":
    """The account that a checkpassword program hands on; b"" if it says no.  TryLater on trouble."""
    code, said, uid = _run([*words, REPLY], name, secret, challenge, client)
    if code in (codes.PASSWORD_WRONG, codes.PASSWORD_NOBODY):
        return b""
    if code != codes.OK:
        raise _trouble(words[0], code)
    if not said:
        if client.service == account.SMTP:      # for SMTP only the exit code counts: it need not run anything
            return _without_id(name)
        raise codes.TryLater("%s ended with 0 without running the program behind it" % log.shown(words[0]))
    try:
        reply = loginreply.decode(said)
    except ValueError as error:
        raise codes.TryLater("%s: %s" % (log.shown(words[0]), error)) from None
    if uid not in (0, reply.uid):               # a user's process may not speak for another user
        raise codes.TryLater("uid %d says it is %d" % (uid, reply.uid))
    user, _, domain = (reply.user if uid == 0 and reply.user else name).rpartition(b"@")
    if not user:
        user, domain = domain, b""
    return account.Account(user, domain, reply.uid, reply.gid, reply.home, reply.shell or SHELL)


def _without_id(name: bytes) -> account.Account:
    user, at, domain = name.rpartition(b"@")
    return account.Account(user if at else name, domain if at else b"", account.NO_ID, account.NO_ID, b"", SHELL)


def _trouble(path: bytes, code: int) -> codes.TryLater:
    return codes.TryLater("%s %s" % (log.shown(path), (
        "was killed by signal %d" % -code if code < 0 else "ended with %d" % code)))


def _run(argv: "list[bytes]", name: bytes, secret: bytes, challenge: bytes,
         client: account.Client) -> "tuple[int, bytes, int]":
    """(exit code, what came on descriptor 4, the uid of who said that)."""
    try:
        data = checkpassword.encode(name, secret, challenge)
    except ValueError:                          # more than there may be: nobody's password
        return codes.PASSWORD_NOBODY, b"", -1
    env = client.env() | {b"PATH": PATH, b"PROTO": b"TCP", b"TCPLOCALPORT": PORTS.get(client.service, b"0")}
    opened: list[int] = []
    try:
        ours, theirs = sockets.pair()
        opened += [ours.detach(), theirs.detach(), calls.open(b"/dev/null", calls.O_RDWR | calls.O_CLOEXEC)]
        here, there, null = opened
        sockets.name_senders(here)
        out, into = calls.pipe2(calls.O_CLOEXEC)
        opened.append(out)
        try:
            fd.write_all(into, data)            # 512 bytes at most: a pipe takes them at once
        finally:
            calls.close(into)
        pid = child.start(argv, env, {0: null, 1: null, 2: 2, 3: out, 4: there}, seconds=DEADLINE)
        code = child.wait_within(pid, DEADLINE)
        return code, *sockets.said(here, loginreply.LIMIT)
    except OSError as error:
        raise codes.TryLater("cannot start %s: %s" % (log.shown(argv[0]), error.strerror)) from None
    finally:
        checkpassword.wipe(data)
        for each in opened:
            calls.close(each)
