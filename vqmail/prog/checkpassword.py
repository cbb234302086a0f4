"""vq-checkpassword: check the password of a virtual user, and become that user.

SYNOPSIS    vq-checkpassword [-n] subprogram [arg ...]

READS       3   name NUL password NUL timestamp NUL, at most 512 bytes
WRITES      2   the log: who logged in, and from where

If the password is right: gives up root for the user's gid and uid, enters the home, and becomes
subprogram with HOME, USER and SHELL set.  The password may be the one itself or, for users whose
password is stored in clear, APOP's digest for the timestamp.

The name is user@domain; !, %, : and / do for the @.  A bare user belongs to the domain of the address
that the client connected to.  Where there is no such user the name may be an old one, of the domain's
etc/logins (OLDNAME:USER) or of users/logins (OLDNAME:USER@DOMAIN).  A wrong password costs the time of
a right one, and so does a user whom there is not.  To one whose login is suspended
(/virtual/DOMAIN/etc/options) every password is a wrong one, and the log says why; asked about without
a password he is there.

With -n it stays who it is, and names the user to subprogram instead: in userdb_uid and userdb_gid, which
are listed in EXTRA.  That is what Dovecot's checkpassword driver wants, whose subprogram refuses to run
as a user.  Dovecot also asks for users without a password, with AUTHORIZED=1: AUTHORIZED=2 is the answer.
In dovecot.conf:

    passdb {
      driver = checkpassword
      args = /var/vqmail/bin/vq-checkpassword -n
    }
    userdb {
      driver = prefetch
    }
    userdb {                            # for dovecot-lda and doveadm
      driver = checkpassword
      args = /var/vqmail/bin/vq-checkpassword -n
    }
    service auth {
      user = root                       # who else can read the passwords of all domains?
    }
    mail_location = maildir:~/Maildir

ENVIRONMENT TCPLOCALIP  the address that the client connected to
            TCPREMOTEIP the client's, for the log
            AUTHORIZED  with -n: 1 asks for the user without a password

CONTROL FILES
            minuid popdomains virtualdomains virtualroot

EXIT        1   the password is not accepted
            2   wrong usage: too little on descriptor 3, no subprogram
            3   asked without a password: there is no such user
            111 trouble; try again later
            of subprogram, otherwise

RUNS AS     root, until the password is right; with -n, to the end

SECURITY    Without -n AUTHORIZED means nothing.  With it, whoever sets the environment is believed: never
            use -n below a server that is not Dovecot.

STANDARDS   checkpassword(8); Dovecot 2.3, AuthDatabase.CheckPassword
"""

from vqmail import codes
from vqmail.formats import checkpassword, header
from vqmail.store import login, passwords, virtual
from vqmail.unix import calls, chain, fd, log, priv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

SHELL = b"/bin/false"
NAME_ONLY = b"-n"


def main(argv: "list[bytes]", env: "Env") -> "int | chain.Next":
    """Check, drop, and go on as subprogram."""
    name_only = argv[1:2] == [NAME_ONLY]
    following = argv[2:] if name_only else argv[1:]
    try:
        name, secret, timestamp = checkpassword.decode(_read())
    except (OSError, ValueError):
        return codes.PASSWORD_MISUSED
    if not following:
        return codes.PASSWORD_MISUSED
    found = login.who(name, env.get(b"TCPLOCALIP", b""))
    only_asked = name_only and env.get(b"AUTHORIZED") == b"1"
    domain = found[2] if found else b""
    suspended = found is not None and b"login" in found[0].suspended
    if not only_asked and not passwords.verify(secret, found[1] if found and not suspended else None, timestamp):
        if suspended:
            log.line(log.name_of(argv), b"pid %d parent %d from %s refused <%s>: suspended in etc/options of %s" % (
                calls.getpid(), calls.getppid(), header.safe(env.get(b"TCPREMOTEIP", b"unknown")), name, domain))
        return codes.PASSWORD_WRONG
    if found is None:
        return codes.PASSWORD_NOBODY if only_asked else codes.PASSWORD_WRONG
    who = found[0]
    home = virtual.home_directory(domain, who)
    full = who.name + b"@" + domain
    env = env | {b"HOME": home, b"USER": full, b"SHELL": SHELL}
    if name_only:
        env |= {b"userdb_uid": b"%d" % who.uid, b"userdb_gid": b"%d" % who.gid, b"EXTRA": b"userdb_uid userdb_gid"}
        if only_asked:
            return chain.Next(following, env | {b"AUTHORIZED": b"2"})
    else:
        _become(who, home)
    # the parent is vq-popup, which tcpserver's log knows; this process goes on as the session
    log.line(log.name_of(argv), b"pid %d parent %d from %s login of <%s> as %s" % (
        calls.getpid(), calls.getppid(), header.safe(env.get(b"TCPREMOTEIP", b"unknown")), name, full))
    return chain.Next(following, env)


def _become(who: virtual.User, home: bytes) -> None:
    # ---- root above, the user below ----
    priv.drop_to(who.uid, who.gid)
    try:
        calls.chdir(home)
    except OSError as error:
        raise codes.TryLater("cannot enter %s: %s" % (home.decode("utf-8", "replace"), error.strerror)) from None


def _read() -> bytes:
    """What is on descriptor 3, which is closed then: the password must not reach the next program."""
    try:
        return fd.read_all(3, checkpassword.LIMIT)
    finally:
        calls.close(3)
