"""vq-popup: ask a POP3 client who it is.

SYNOPSIS    vq-popup hostname subprogram [arg ...]

READS       0   the client
WRITES      1   the client
            2   the log: who could not log in, and from where
            3   of subprogram: name NUL password NUL challenge NUL

Greets, takes USER and PASS or APOP, then starts subprogram, a checkpassword program, with the
password on its descriptor 3, and waits.  subprogram does not come back: if the password is right it
becomes the POP3 server, on the same connection.  There is one attempt in a connection.  A wrong
password is answered a second after it came, whoever was asked for and however his is stored.

Never reads beyond the line with the password, so a client may send its next commands behind it.

ENVIRONMENT PROTO TCPLOCALIP TCPLOCALPORT TCPREMOTEIP TCPREMOTEPORT, as tcpserver sets them; without them,
            as under inetd or systemd, the connection itself is asked, and they are set for subprogram

CONTROL FILES
            apop

EXIT        0   the session is over, after a login or QUIT
            1   no login: refused, lost connection, timeout
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
from vqmail.unix import calls, child, fd, inetd, line, log, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

SECONDS = 1200                  # for all of the login
NO_SOONER = 1                   # seconds from the password to the refusal
NO_LOGIN = 1
REFUSED = (codes.PASSWORD_WRONG, 3)             # 3 is vchkpw's; every other code is trouble


def main(argv: "list[bytes]", env: "Env") -> int:
    """Talk to the client until it has said who it is; have that checked."""
    if len(argv) < 3:
        raise codes.GiveUp("usage: vq-popup hostname subprogram [arg ...]")
    env = inetd.environment(0, env)
    challenge = b"<%d.%d.%s@%s>" % (calls.getpid(), time.time(), calls.urandom(8).hex().encode(), argv[1])
    client = send.Sender(1)
    try:
        login = _login(client, challenge if control.number(b"apop") else argv[1])
        if login is None:
            return codes.OK
        begun = time.monotonic()
        text, why = _check(login, challenge, argv[2:], env)
        if not text:
            return codes.OK
        log.line(log.name_of(argv), b"pid %d from %s %s for <%s>" % (
            calls.getpid(), header.safe(env.get(b"TCPREMOTEIP", b"unknown")), why, login.user))
        time.sleep(max(begun + NO_SOONER - time.monotonic(), 0))
        client.write_all(text, 1)
    except (line.Unfinished, TimeoutError):     # at a timeout in silence: RFC 1939 3
        pass
    except line.TooLong:
        _try_to_say(client, pop3.TOO_LONG)
    except OSError:                             # the client is gone
        pass
    except codes.Failure:
        _try_to_say(client, pop3.TRY_LATER)
        raise
    finally:
        client.close()
    return NO_LOGIN


def _login(client: send.Sender, words: bytes) -> "pop3.Login | None":
    """Who the client says it is; None if it said goodbye.  line.Unfinished, line.TooLong, OSError."""
    deadline = time.monotonic() + SECONDS
    session = pop3.Authorization()
    client.write_all(pop3.greeting(words), SECONDS)
    while True:
        said = line.read(0, pop3.LINE_LIMIT, max(deadline - time.monotonic(), 0))
        event = session.command(said)
        if isinstance(event, pop3.Login):
            return event
        if isinstance(event, pop3.Quit):
            client.write_all(pop3.BYE, SECONDS)
            return None
        client.write_all(event.text, SECONDS)


def _check(login: pop3.Login, challenge: bytes, argv: "list[bytes]", env: "Env") -> "tuple[bytes, bytes]":
    """Have the password checked, and wait for what becomes of the session.

    (b"", b"") if that was a session, else what to tell the client, and the log.
    """
    try:
        secret = checkpassword.encode(login.user, login.secret, challenge)
    except ValueError:                          # a NUL, or more than there may be: nobody's password
        return pop3.FAILED, b"login failed"
    finally:
        checkpassword.wipe(login.secret)
    try:
        pid = _start(argv, env, secret)
    except OSError as error:
        raise codes.TryLater("cannot start %s: %s" % (argv[0].decode("utf-8", "replace"), error.strerror)) from None
    finally:
        checkpassword.wipe(secret)
    code = child.wait(pid)
    if code == codes.OK:
        return b"", b""
    if code in REFUSED:
        return pop3.FAILED, b"login failed"
    if code < 0:
        return pop3.CRASHED, b"checker was killed by signal %d" % -code
    return pop3.TRY_LATER, b"checker ended with %d" % code


def _start(argv: "list[bytes]", env: "Env", secret: bytearray) -> int:
    """Start the checker with `secret` on its descriptor 3; its pid."""
    there, here = calls.pipe2(calls.O_CLOEXEC)
    try:
        try:
            pid = child.start(argv, env, {0: 0, 1: 1, 2: 2, 3: there})
        finally:
            calls.close(there)
        try:
            fd.write_all(here, secret)          # 512 bytes at most: a pipe takes them at once
        except BrokenPipeError:                 # it did not want to hear it; its exit code says why
            pass
        return pid
    finally:
        calls.close(here)


def _try_to_say(client: send.Sender, text: bytes) -> None:
    try:
        client.write_all(text, 1)
    except OSError:
        return
