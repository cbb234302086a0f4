"""vq-popup: ask a POP3 client who it is.

SYNOPSIS    vq-popup hostname subprogram [arg ...]

READS       0   the client
WRITES      1   the client
            2   the log: who could not log in, and from where
            3   of subprogram: name NUL password NUL challenge NUL

Greets, takes USER and PASS, APOP, or AUTH, then starts subprogram, a checkpassword program, with the
password on its descriptor 3, and waits.  subprogram does not come back: if the password is right it
becomes the POP3 server, on the same connection.  Below vq-tcpserver, where vq-checkpassword is loaded
already, it is called, and the session goes on in a process of the user's.

A wrong password is answered a second after it came, whoever was asked for and however his is stored; the
next one in the same connection two seconds, the third three, and that is the last.

With STLS the TLS service takes the client's connection, and we, and subprogram, go on in plain text
with the service.  What the client said before does not count any more; what it sent behind STLS
without waiting is not for us: TLS refuses it.  STLS is offered where control/servercert.pem is.
A password goes through the clear where control/clearauth allows that: for POP3 it does by default.

AUTH knows PLAIN, LOGIN and CRAM-MD5.  It has no SCRAM, whose exchange asks for more than the yes or no
of a checkpassword program; over TLS, PLAIN tells a listener as little.

Never reads beyond the line with the password, so a client may send its next commands behind it.

ENVIRONMENT PROTO TCPLOCALIP TCPLOCALPORT TCPREMOTEIP TCPREMOTEPORT, as tcpserver sets them; without them,
            as under inetd or systemd, the connection itself is asked, and they are set for subprogram
            SSL_PROTOCOL    the connection is secured already; after STLS it and the other SSL_* are set
            DISABLETLS      no STLS
            VQ_PID          is set for the session where our process does not become it: our number

CONTROL FILES
            apop authmechanisms clearauth logindelay popexpire

EXIT        0   the session is over, after a login or QUIT
            1   no login: refused three times, lost connection, timeout
            100 wrong usage
            111 no pipe, no process

RUNS AS     root, when subprogram must be able to become any user; it touches nothing but the client

STANDARDS   RFC 1939, 2449 (CAPA), 2595 (STLS), 3206 (AUTH-RESP-CODE), 5034 (AUTH), 6856 (UTF8, which changes
            nothing: messages go as they are); qmail-popup(8)
"""

import time

from vqmail import codes
from vqmail.formats import checkpassword, header
from vqmail.logins import offer
from vqmail.proto import pop3, pop3login
from vqmail.store import control, secure
from vqmail.unix import calls, chain, child, fd, inetd, limits, line, log, send, timed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

SECONDS = 1200                  # for all of the login
NO_SOONER = 1                   # seconds from the first password to its refusal; the n-th waits n times as long
ATTEMPTS = 3                    # wrong passwords in a connection
NO_LOGIN = 1
REFUSED = (codes.PASSWORD_WRONG, 3)             # 3 is vchkpw's; every other code is trouble
SERVICE = b"pop3"


def main(argv: "list[bytes]", env: "Env") -> "int | chain.Next":
    """Talk to the client until it has said who it is; have that checked."""
    if len(argv) < 3:
        raise codes.GiveUp("usage: vq-popup hostname subprogram [arg ...]")
    limits.no_core()                            # there will be a password in it
    door = Door(argv, inetd.environment(0, env))
    try:
        return door.serve()
    except (line.Unfinished, TimeoutError):     # at a timeout in silence: RFC 1939 3
        pass
    except line.TooLong:
        door.try_to_say(pop3.TOO_LONG)
    except OSError:                             # the client is gone
        pass
    except codes.Failure:
        door.try_to_say(pop3.TRY_LATER)
        raise
    finally:
        door.close()
    return NO_LOGIN


class Door:
    """One connection until its end; `env` is what subprogram is started with."""

    def __init__(self, argv: "list[bytes]", env: "Env") -> None:
        self._argv = argv
        self._env = env
        self._deadline = time.monotonic() + SECONDS
        self._client = send.Sender(1)

    def serve(self) -> "int | chain.Next":
        """Greet, listen, check; the exit code, or the session that follows.

        line.Unfinished, line.TooLong, OSError, codes.Failure.
        """
        challenge = self._challenge()
        session = self._session()
        self._say(pop3.greeting(challenge if control.number(b"apop") else self._argv[1]))
        failed = 0
        while True:
            event = session.command(line.read(0, session.line_limit, self._left()))
            if isinstance(event, pop3.Quit):
                self._say(pop3.BYE)
                return codes.OK if not failed else NO_LOGIN
            if isinstance(event, pop3.Reply):
                self._say(event.text)
            elif isinstance(event, pop3login.StartTls):
                if self._secure():
                    session = self._session()                           # RFC 2595 4: what was said before is forgotten
            else:
                begun = time.monotonic()
                outcome = _check(event, challenge, self._argv[2:], self._env)
                if outcome == codes.OK or isinstance(outcome, chain.Next):
                    return outcome
                text, why = _complaint(outcome)
                failed += 1
                self._log(b"%s for <%s>" % (why, event.user))
                time.sleep(max(begun + NO_SOONER * failed - time.monotonic(), 0))
                if text == pop3.FAILED and failed == ATTEMPTS:
                    self._log(b"closed after %d wrong passwords" % failed)
                    text = pop3.TOO_OFTEN
                self._say(text)
                if text != pop3.FAILED:
                    return NO_LOGIN

    def try_to_say(self, text: bytes) -> None:
        """Say it, if the client takes it at once."""
        try:
            self._client.write_all(text, 1)
        except OSError:
            return

    def close(self) -> None:
        """Let go of the descriptors."""
        self._client.close()

    def _session(self) -> pop3login.Authorization:
        """The machine for the connection as it is now."""
        return pop3login.Authorization(pop3login.Offer(
            self._client.is_socket and secure.offered(self._env),       # recordio is between, or a test
            offer.allowed(self._env, SERVICE), offer.mechanisms(pop3login.MECHANISMS),
            pop3.keeps(control.line(b"popexpire"), control.number(b"logindelay"))), self._challenge)

    def _secure(self) -> bool:
        """Answer STLS; whether the connection is secured.  False: there is no TLS now, and it goes on as it was."""
        try:
            upgrade = secure.Upgrade(0)
        except (OSError, codes.TryLater) as error:
            self._log(b"no TLS: %s" % str(error).encode())
            self._say(pop3.NO_TLS_NOW)
            return False
        try:
            self._say(pop3.STLS_READY)          # the service waits for the client, who waits for this
            timed.wait_for_input(upgrade.fileno(), self._left())
            plain, names = upgrade.answer()
        except secure.Failed as error:
            self._log(b"no TLS: %s" % str(error).encode())
            raise line.Unfinished from None     # nobody is there whom we could tell
        finally:
            upgrade.close()
        self._client.close()
        for each in (0, 1):
            calls.dup2(plain, each, inheritable=True)
        calls.close(plain)
        self._client = send.Sender(1)
        self._env = self._env | names
        return True

    def _challenge(self) -> bytes:
        return b"<%d.%d.%s@%s>" % (calls.getpid(), time.time(), calls.urandom(8).hex().encode(), self._argv[1])

    def _left(self) -> float:
        return max(self._deadline - time.monotonic(), 0)

    def _say(self, text: bytes) -> None:
        self._client.write_all(text, SECONDS)

    def _log(self, text: bytes) -> None:
        log.line(log.name_of(self._argv), b"pid %d from %s %s" % (
            calls.getpid(), header.safe(self._env.get(b"TCPREMOTEIP", b"unknown")), text))


def _check(login: pop3login.Login, challenge: bytes, argv: "list[bytes]", env: "Env") -> "int | chain.Next":
    """Have the password checked: the checker's exit code, which is that of the session if there was one; or, where the
    checker is loaded in this process, the session that follows."""
    try:
        secret = checkpassword.encode(
            login.user, login.secret, challenge if login.challenge is None else login.challenge)
    except ValueError:                          # a NUL, or more than there may be: nobody's password
        return codes.PASSWORD_WRONG
    finally:
        checkpassword.wipe(login.secret)
    loaded = chain.resident(argv[0], env.get(b"PATH", b""))
    try:
        if loaded is not None:
            return _call(loaded, argv, env, secret)
        pid = _start(argv, env, secret)
    except OSError as error:
        raise codes.TryLater("cannot start %s: %s" % (argv[0].decode("utf-8", "replace"), error.strerror)) from None
    finally:
        checkpassword.wipe(secret)
    return child.wait(pid)


def _complaint(code: int) -> "tuple[bytes, bytes]":
    """What to tell the client, and the log, when the checker ended with `code`."""
    if code in REFUSED:
        return pop3.FAILED, b"login failed"
    if code < 0:
        return pop3.CRASHED, b"checker was killed by signal %d" % -code
    return pop3.TRY_LATER, b"checker ended with %d" % code


def _call(loaded: "chain.Main", argv: "list[bytes]", env: "Env", secret: bytearray) -> "int | chain.Next":
    """Let the checker run here, with `secret` on its descriptor 3."""
    there, here = calls.pipe2(calls.O_CLOEXEC)
    fd.write_all(here, secret)                  # 512 bytes at most: a pipe takes them at once
    calls.close(here)
    fd.move(there, 3)
    outcome = chain.run(loaded, argv, env)      # which closes it
    if isinstance(outcome, chain.Next):
        outcome.env[b"VQ_PID"] = b"%d" % calls.getpid()                 # wherever that runs, the log knows this number
    return outcome


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

