"""vq-popup: ask a POP3 client who it is.

SYNOPSIS    vq-popup hostname subprogram [arg ...]

READS       0   the client
WRITES      1   the client
            2   the log: who could not log in, and from where
            3   of subprogram: name NUL password NUL challenge NUL

Greets, takes USER and PASS or APOP, then starts subprogram, a checkpassword program, with the
password on its descriptor 3, and waits.  subprogram does not come back: if the password is right it
becomes the POP3 server, on the same connection.  There is one attempt in a connection.

Never reads beyond the line with the password, so a client may send its next commands behind it.

ENVIRONMENT TCPREMOTEIP     for the log

CONTROL FILES
            apop

EXIT        0   the session is over, after a login or QUIT
            1   wrong password, lost connection, timeout
            100 wrong usage
            111 no pipe, no process

RUNS AS     root, when subprogram must be able to become any user; it touches nothing but the client

STANDARDS   RFC 1939, 2449 (CAPA), 3206 (AUTH-RESP-CODE); qmail-popup(8)
"""

import time

from vqmail import codes
from vqmail.formats import checkpassword, header
from vqmail.proto import pop3
from vqmail.store import control
from vqmail.unix import calls, child, fd, line, log, timed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

SECONDS = 1200
BROKEN = 1


def main(argv: "list[bytes]", env: "Env") -> int:
    """Talk to the client until it has said who it is."""
    if len(argv) < 3:
        raise codes.GiveUp("usage: vq-popup hostname subprogram [arg ...]")
    challenge = b"<%d.%d.%s@%s>" % (calls.getpid(), time.time(), calls.urandom(8).hex().encode(), argv[1])
    session = pop3.Authorization()
    try:
        _say(pop3.greeting(challenge if control.number(b"apop") else argv[1]))
        while True:
            said = line.read(0, pop3.LINE_LIMIT, SECONDS)
            if not said:
                return BROKEN
            event = session.command(said)
            if isinstance(event, pop3.Reply):
                _say(event.text)
            elif isinstance(event, pop3.Login):
                return _check(event, challenge, argv[2:], env)
            else:
                _say(pop3.BYE)
                return codes.OK
    except ValueError:
        _try_to_say(pop3.TOO_LONG)
    except TimeoutError:
        _try_to_say(pop3.TIMEOUT)
    except OSError:                             # the client is gone
        return BROKEN
    return BROKEN


def _check(login: pop3.Login, challenge: bytes, argv: "list[bytes]", env: "Env") -> int:
    """Have the password checked, and wait for what becomes of the session."""
    try:
        secret = checkpassword.encode(login.user, login.secret, challenge)
    except ValueError:
        secret = None
    checkpassword.wipe(login.secret)
    if secret is None:
        return _refuse(pop3.FAILED, b"login failed", login, env)
    there, here = calls.pipe2(calls.O_CLOEXEC)
    try:
        pid = child.start(argv, env, {0: 0, 1: 1, 2: 2, 3: there})
        calls.close(there)
        there = -1
        try:
            fd.write_all(here, secret)          # 512 bytes at most: a pipe takes them at once
        except BrokenPipeError:                 # it did not want to hear it; its exit code says why
            pass
    except OSError as error:
        raise codes.TryLater("cannot start %s: %s" % (argv[0].decode("utf-8", "replace"), error.strerror)) from None
    finally:
        checkpassword.wipe(secret)
        for each in (there, here):
            if each >= 0:
                calls.close(each)
    code = child.wait(pid)
    if code == codes.OK:
        return codes.OK
    if code < 0:
        return _refuse(pop3.CRASHED, b"checker was killed by signal %d" % -code, login, env)
    if code in (codes.PASSWORD_WRONG, 3):       # 3 is vchkpw's
        return _refuse(pop3.FAILED, b"login failed", login, env)
    return _refuse(pop3.TRY_LATER if code in (codes.TEMPORARY, codes.EXEC_NOT_FOUND, codes.EXEC_WOULD_NOT_START)
                   else pop3.FAILED, b"checker ended with %d" % code, login, env)


def _refuse(text: bytes, why: bytes, login: pop3.Login, env: "Env") -> int:
    log.line(b"vq-popup", b"pid %d from %s %s for <%s>" % (
        calls.getpid(), header.safe(env.get(b"TCPREMOTEIP", b"unknown")), why, login.user))
    _try_to_say(text)
    return BROKEN


def _say(text: bytes) -> None:
    timed.write_all(1, text, SECONDS)


def _try_to_say(text: bytes) -> None:
    try:
        timed.write_all(1, text, 1)
    except OSError:
        return
