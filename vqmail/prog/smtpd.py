"""vq-smtpd: receive mail by SMTP.

SYNOPSIS    vq-smtpd [checkpassword program [arg ...]]

READS       0   the client
WRITES      1   the client
            2   the log: one line for each message, each login, right or wrong, each refused sender and
                recipient, and the end of the connection
            3   of checkpassword: name NUL password NUL challenge NUL

Receives messages over SMTP and hands them to the queue; says 250 only when a message is on the disk.
It accepts recipients at domains in control/rcpthosts and control/morercpthosts.cdb.  Without the
file rcpthosts it accepts nothing from strangers.  A recipient whom nobody here would get is refused
at once, and so is one whose mailbox is too full for what MAIL announced, or for the message as large
as it turns out to be, if that can be told in time.  A message in which a line does not end in CR LF
is refused and the connection closed: such a line is how one message is made to look like two.

STARTTLS is offered when control/servercert.pem is there.  It hands the connection to the service tls and
goes on in plain text with that; whatever was said before is forgotten.  AUTH is offered over TLS (and in
the clear if control/clearauth says so); the service auth knows whether name and password go together, or
checkpassword does, of which only the exit code counts.  A wrong password is answered after a second, the
third one ends the connection.  Who has logged in may send anywhere, as himself (control/senders), so
many messages an hour (control/submissionlimits); Date and Message-ID are added where they are missing.

ENVIRONMENT TCPREMOTEIP TCPREMOTEHOST TCPREMOTEINFO TCPLOCALIP TCPLOCALHOST, as tcpserver sets them; without
                            them, as under inetd or systemd, the connection is asked for its addresses
            RELAYCLIENT     the client may send anywhere; its value is appended to each recipient
            DATABYTES       instead of control/databytes
            QMAILQUEUE      run this program to queue a message; it finds a login in SMTPAUTHUSER and TCPREMOTEINFO
            SUBMISSION      nobody may send who has not logged in
            SMTPAUTH        0 or -: no logins; !: as SUBMISSION; cram, !cram: by CRAM-MD5 only; +cram, !+cram: also
            FORCETLS        nothing without TLS; 0: as if it was not set
            DISABLETLS      no STARTTLS
            SSL_PROTOCOL SSL_CIPHER SSL_TLS_SNI_SERVERNAME
                            the connection comes by TLS, that somebody else speaks, such as vq-tls
            FORCEAUTHMAILFROM REJECTNULLSENDERS
                            the sender must be the login itself; no empty sender from a login

CONTROL FILES
            badmailfrom databytes hostnames localiphost me morercpthosts.cdb rcpthosts smtpgreeting timeoutsmtpd
            authmechanisms clearauth hideclient senders servercert.pem submissionlimits
            envnoathost locals percenthack virtualdomains virtualroot (does the recipient exist?)

EXIT        0   the client said QUIT
            1   the connection ended otherwise, or a control file cannot be read
            111 trouble of our own; what was not answered is not accepted

RUNS AS     qmaild

STANDARDS   RFC 5321, 1870 (SIZE), 2034 (ENHANCEDSTATUSCODES), 2920 (PIPELINING), 3207 (STARTTLS), 3848,
            4954 (AUTH), 6152 (8BITMIME), 6409; qmail-smtpd(8)
"""

import time

from vqmail import codes
from vqmail.incoming import conversation, settings
from vqmail.proto import reply, smtpevents
from vqmail.unix import calls, inetd, limits, log, receive, send, timed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

PIECE = 65536                   # bytes of one read
LINGER = 5                      # seconds
PATIENCE = 600                  # seconds for an answer of a service
LONGEST = 86400                 # seconds of a session; vq-clean takes a queue file of 36 hours for abandoned


def main(argv: "list[bytes]", env: "Env") -> int:
    """Talk to the client on 0 and 1 until the end."""
    limits.no_core()                            # there may be a password in it
    name = log.name_of(argv)
    env = inetd.environment(0, env)
    try:
        controls = settings.Settings()
        talk = conversation.Conversation(controls, env, name, b"pid %d" % calls.getpid(), argv[1:])
    except codes.Failure as failure:
        log.line(name, str(failure))
        _say_goodbye(reply.NO_CONTROLS)
        return codes.SESSION_BROKEN
    client = Client()
    deadline = time.monotonic() + LONGEST
    try:
        while client.exchange(talk, max(min(controls.seconds, deadline - time.monotonic()), 0)):
            while talk.pending:
                client.wait(talk, controls.seconds)
    finally:
        talk.close()
        client.close()
    return codes.OK if talk.ended == smtpevents.QUIT.reason else codes.SESSION_BROKEN


class Client:
    """Who is at descriptors 0 and 1."""

    def __init__(self) -> None:
        self._receiver, self._sender = receive.Receiver(0), send.Sender(1)

    def exchange(self, talk: conversation.Conversation, seconds: float) -> bool:
        """Say what is to be said and hear the client; False when the session is over."""
        try:
            self._sender.write_all(talk.output(), seconds)
            if not talk.ended:
                talk.receive(self._receiver.read(PIECE, seconds))
                return True
            if talk.hung_up:
                _linger()
        except TimeoutError:
            talk.end(b"timeout")
            _say_goodbye(reply.TIMEOUT)
        except OSError:
            talk.end(b"lost")
        return False

    def wait(self, talk: conversation.Conversation, seconds: float) -> None:
        """Wait for what is pending.  However long the queue takes, it has answered when it has."""
        time.sleep(max(talk.not_before - time.monotonic(), 0))
        number = talk.start(0)
        if number == conversation.BUSY:
            return
        try:
            self._sender.write_all(talk.output(), seconds)
        except OSError:                         # a timeout is one of these, too; what is begun is finished anyway
            talk.end(b"lost")
        if number >= 0:
            try:
                timed.wait_for_input(number, PATIENCE)
            except TimeoutError:                # whoever should answer has a deadline, too
                pass
        talk.go_on()
        if talk.plain >= 0:
            self._replace(talk)

    def _replace(self, talk: conversation.Conversation) -> None:
        self.close()
        for each in (0, 1):
            calls.dup2(talk.plain, each, inheritable=True)
        calls.close(talk.plain)
        talk.plain = -1
        self._receiver, self._sender = receive.Receiver(0), send.Sender(1)

    def close(self) -> None:
        """Let go of the descriptors."""
        self._receiver.close()
        self._sender.close()


def _say_goodbye(text: bytes) -> None:
    sender = send.Sender(1)
    try:
        sender.write_all(text, 1)
    except OSError:                             # not interested; a timeout is one of these too
        return
    finally:
        sender.close()


def _linger() -> None:
    """Hear the client out for a little: closing now would make the kernel drop our last words (RST)."""
    deadline = time.monotonic() + LINGER
    try:
        while time.monotonic() < deadline and timed.read(0, PIECE, 1):
            pass
    except OSError:                             # silent or gone
        return
