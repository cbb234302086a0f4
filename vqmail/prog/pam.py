"""vq-pam: check a password as PAM says.

SYNOPSIS    vq-pam service

READS       3   name NUL password NUL challenge NUL, at most 512 bytes
WRITES      2   the log: trouble

Asks PAM whether the password is right and the account may be used, now: /etc/pam.d/SERVICE says how.  The client's
address is PAM_RHOST.  A module that wants a second answer gets none.

vq-checkpassword and `vq-service auth` run it, for a line `pam SERVICE` in control/loginsources.  It is a process of its
own because modules are somebody else's code, and slow; they give it 30 seconds.

A program behind pam_exec that says no is a system error in the words of PAM, and so trouble.  This is
how it says that a password is wrong:

    auth    [success=1 default=ignore]  pam_exec.so expose_authtok quiet /usr/local/bin/knows
    auth    requisite                   pam_deny.so
    auth    required                    pam_permit.so
    account required                    pam_permit.so

ENVIRONMENT TCPREMOTEIP     the client's address

EXIT        0   he may in
            1   wrong password, or an account or password that has expired or is locked
            2   wrong usage: too little on descriptor 3
            3   PAM knows no such user
            100 no service named
            111 trouble: the service is not configured, a module failed, or there is no PAM here

RUNS AS     root: modules read /etc/shadow

STANDARDS   pam(3)
"""

from vqmail import codes
from vqmail.formats import checkpassword
from vqmail.unix import calls, fd, limits, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

# Linux-PAM's numbers, <security/_pam_types.h>
SUCCESS, DENIED, AUTH_ERR, USER_UNKNOWN, MAX_TRIES, NEW_PASSWORD, EXPIRED = 0, 6, 7, 10, 11, 12, 13
ANSWERS = {SUCCESS: codes.OK, USER_UNKNOWN: codes.PASSWORD_NOBODY,
           **dict.fromkeys((DENIED, AUTH_ERR, MAX_TRIES, NEW_PASSWORD, EXPIRED), codes.PASSWORD_WRONG)}


def main(argv: "list[bytes]", env: "Env") -> int:
    """Ask PAM."""
    if len(argv) != 2:
        raise codes.GiveUp("usage: vq-pam service")
    limits.no_core()
    try:
        name, secret, _ = checkpassword.decode(fd.read_all(3, checkpassword.LIMIT))
    except (OSError, ValueError):
        return codes.PASSWORD_MISUSED
    finally:
        calls.close(3)
    # a service without a file would be PAM's `other`, which denies everybody: a mistake is no wrong password
    path = b"/etc/pam.d/" + argv[1]
    try:
        calls.stat(path)
    except OSError as error:
        raise codes.TryLater("%s: %s" % (path.decode("utf-8", "replace"), error.strerror)) from None
    code, text = _ask(argv[1], name, secret, env.get(b"TCPREMOTEIP", b""))
    answer = ANSWERS.get(code, codes.TEMPORARY)
    if answer == codes.TEMPORARY:
        log.line(log.name_of(argv), b"PAM, service %s: %d, %s" % (argv[1], code, text))
    return answer


def _ask(service: bytes, name: bytes, secret: bytes, address: bytes) -> "tuple[int, bytes]":
    """(PAM's answer, its words)."""
    try:
        import pamela  # costs 50 ms, which is why no other program of ours asks PAM itself
    except (ImportError, OSError) as error:
        raise codes.TryLater("PAM cannot be asked: %s; install libpam and Python's pamela (Debian: python3-pamela; "
                             "PyPI: pamela) and run make setup" % error) from None

    conversation = pamela.new_simple_password_conv((secret,), "utf-8")
    try:
        handle = pamela.pam_start(service, name, conversation)
    except pamela.PAMError as error:
        return error.errno or codes.TEMPORARY, str(error).encode()
    code = SUCCESS
    if address:
        code = pamela.PAM_SET_ITEM(handle, pamela.PAM_RHOST, address)
    if code == SUCCESS:
        code = pamela.PAM_AUTHENTICATE(handle, 0)
    if code == SUCCESS:
        code = pamela.PAM_ACCT_MGMT(handle, 0)
    text = pamela.PAM_STRERROR(handle, code) or b""
    pamela.PAM_END(handle, code)
    return code, text
