"""vq-checkpassword: check the password of a virtual user, and become that user.

SYNOPSIS    vq-checkpassword subprogram [arg ...]

READS       3   name NUL password NUL timestamp NUL, at most 512 bytes
WRITES      2   the log: who logged in, and from where

If the password is right: gives up root for the user's gid and uid, enters the home, and becomes
subprogram with HOME, USER and SHELL set.  The password may be the one itself or, for users whose
password is stored in clear, APOP's digest for the timestamp.

The name is user@domain, user!domain or user%domain; a bare user belongs to the domain of the address
that the client connected to.  A wrong password costs the time of a right one, and so does a user
whom there is not.

ENVIRONMENT TCPLOCALIP  the address that the client connected to
            TCPREMOTEIP the client's, for the log

CONTROL FILES
            minuid popdomains virtualdomains virtualroot

EXIT        1   the password is not accepted
            2   wrong usage: too little on descriptor 3, no subprogram
            111 trouble; try again later
            of subprogram, otherwise

RUNS AS     root, until the password is right

STANDARDS   checkpassword(8)
"""

from vqmail import codes
from vqmail.formats import checkpassword, header
from vqmail.store import login, passwords, virtual
from vqmail.unix import calls, chain, fd, log, priv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

SHELL = b"/bin/false"


def main(argv: "list[bytes]", env: "Env") -> "int | chain.Next":
    """Check, drop, and go on as subprogram."""
    try:
        name, secret, timestamp = checkpassword.decode(_read())
    except (OSError, ValueError):
        return codes.PASSWORD_MISUSED
    if len(argv) < 2:
        return codes.PASSWORD_MISUSED
    user, domain = login.split(name, env.get(b"TCPLOCALIP", b""))
    found = login.find(user, domain)
    if not passwords.verify(secret, found[1] if found else None, timestamp) or found is None:
        return codes.PASSWORD_WRONG
    who = found[0]
    home = virtual.home_directory(domain, who)
    # ---- root above, the user below ----
    priv.drop_to(who.uid, who.gid)
    try:
        calls.chdir(home)
    except OSError as error:
        raise codes.TryLater("cannot enter %s: %s" % (home.decode("utf-8", "replace"), error.strerror)) from None
    full = who.name + b"@" + domain
    # the parent is vq-popup, which tcpserver's log knows; this process goes on as the session
    log.line(log.name_of(argv), b"pid %d parent %d from %s login of <%s> as %s" % (
        calls.getpid(), calls.getppid(), header.safe(env.get(b"TCPREMOTEIP", b"unknown")), name, full))
    return chain.Next(argv[1:], env | {b"HOME": home, b"USER": full, b"SHELL": SHELL})


def _read() -> bytes:
    """What is on descriptor 3, which is closed then: the password must not reach the next program."""
    try:
        return fd.read_all(3, checkpassword.LIMIT)
    finally:
        calls.close(3)
