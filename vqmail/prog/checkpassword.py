"""vq-checkpassword: check a password, and become the user.

SYNOPSIS    vq-checkpassword [-n] subprogram [arg ...]

READS       3   name NUL password NUL challenge NUL, at most 512 bytes
WRITES      2   the log: who logged in and who was refused, why, and from where

If the password is right: gives up root for the user's gid and uid, enters the home, and becomes
subprogram with HOME, USER and SHELL set.  The password may be the one itself or, for users whose
password is stored in clear, APOP's or CRAM-MD5's digest for the challenge.

Who is asked is in control/loginsources: the virtual users (without the file, they alone), those of the
system, PAM, another checkpassword program; in turn while they say "unknown", until one says "wrong".  One
that cannot be asked is trouble, and no refusal.  Users of the system get their own group, no others.

For an SMTP server with an AUTH patch the subprogram is /bin/true, and SERVICE=smtp in its environment says
that nobody's home is needed.  Who guesses passwords waits longer each time, and his address is locked out
for a while (control/loginlimits, doc/LOGINS.md).

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
    auth_username_chars =               # or Dovecot refuses bob!domain1.com by itself, without a line in its log
    mail_location = maildir:~/Maildir

ENVIRONMENT TCPLOCALIP TCPLOCALHOST VQ_DOMAIN SSL_TLS_SNI_SERVERNAME
                        what decides the domain of a bare user
            TCPREMOTEIP the client's address, for the log and for counting wrong passwords
            SERVICE     pop3 (the default), smtp, or imap
            AUTHORIZED  with -n: 1 asks for the user without a password

CONTROL FILES
            loginlimits loginseparators loginsources minuid opensmtp passwordscheme popdomains virtualdomains
            virtualroot

FILES       run/auth/guesses

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
from vqmail.formats import checkpassword
from vqmail.logins import account, admission
from vqmail.unix import calls, chain, fd, limits, log, priv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

NAME_ONLY = b"-n"
SERVICE = b"SERVICE"            # who is asked for; Dovecot sets it
ONLY_ASKED = [b"/bin/true"]


def main(argv: "list[bytes]", env: "Env") -> "int | chain.Next":
    """Check, and go on as subprogram, for the user."""
    name_only = argv[1:2] == [NAME_ONLY]
    following = argv[2:] if name_only else argv[1:]
    limits.no_core()                            # there will be a password in it
    try:
        name, secret, challenge = checkpassword.decode(_read())
    except (OSError, ValueError):
        return codes.PASSWORD_MISUSED
    if not following:
        return codes.PASSWORD_MISUSED
    client = account.Client.of(env, env.get(SERVICE, account.POP3).lower())
    if name_only and env.get(b"AUTHORIZED") == b"1":
        found = admission.find(name, client)
        if found is None:
            return codes.PASSWORD_NOBODY
        return chain.Next(following, _named(found, env) | {b"AUTHORIZED": b"2"})
    verdict = admission.check(name, secret, challenge, client)
    # cold, the parent is vq-popup, which tcpserver's log knows, and this process goes on as the session
    log.line(log.name_of(argv), b"pid %d parent %d %s" % (
        calls.getpid(), calls.getppid(), admission.line(client, verdict, name)))
    found = verdict.account
    if found is None:
        return verdict.code
    if name_only:
        return chain.Next(following, _named(found, env))
    if client.service == account.SMTP and following == ONLY_ASKED:
        return codes.OK                         # as it would end, for who has no uid or no home too
    priv.check(found.uid, found.gid, found.home)        # now, while the client can still be told
    return chain.Next(following, _entered(found, env), user=(found.uid, found.gid), home=found.home)


def _entered(found: account.Account, env: "Env") -> "Env":
    return env | {b"HOME": found.home, b"USER": found.user(), b"SHELL": found.shell}


def _named(found: account.Account, env: "Env") -> "Env":
    return _entered(found, env) | {b"userdb_uid": b"%d" % found.uid, b"userdb_gid": b"%d" % found.gid,
                                   b"EXTRA": b"userdb_uid userdb_gid"}


def _read() -> bytes:
    """What is on descriptor 3, which is closed then: the password must not reach the next program."""
    try:
        return fd.read_all(3, checkpassword.LIMIT)
    finally:
        calls.close(3)
