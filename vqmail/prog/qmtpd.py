"""vq-qmtpd: receive mail by QMTP.

SYNOPSIS    vq-qmtpd

READS       0   the client
WRITES      1   the client
            2   the log: one line for each message, each refused recipient, and the end of the connection

Receives messages, as many as the client wants to send in one connection, and hands them to the queue;
says K for a recipient only when the message is on the disk.  Who may send to whom is decided as
vq-smtpd decides it: recipients at domains in control/rcpthosts and control/morercpthosts.cdb, nobody
without the file rcpthosts, and everybody for clients with RELAYCLIENT.  The others are refused one by
one, and so is whom nobody here would get.  What was not sent to its end is not queued.

A message may have 200000000 bytes, an address 999.  Of more than 20000 recipients of one message the
client is asked to send the rest in another.  A session lasts an hour at most.

ENVIRONMENT TCPREMOTEIP TCPREMOTEHOST TCPREMOTEINFO TCPLOCALIP TCPLOCALHOST, as tcpserver sets them
            RELAYCLIENT     the client may send anywhere; its value is appended to each recipient
            DATABYTES       instead of control/databytes
            QMAILQUEUE      run this program to queue a message

CONTROL FILES
            badmailfrom databytes localiphost me morercpthosts.cdb rcpthosts timeoutsmtpd
            envnoathost locals percenthack virtualdomains virtualroot (does the recipient exist?)

EXIT        0   the client had no more to send
            1   it hung up within a message
            100 that was not QMTP
            111 it was silent for too long or sent too much, or a control file cannot be read

RUNS AS     qmaild

STANDARDS   qmail-qmtpd(8); https://cr.yp.to/proto/qmtp.txt
"""

from vqmail import codes
from vqmail.formats import netstring, qmtp
from vqmail.proto import reply
from vqmail.store import reception, transfer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

RECIPIENTS_LIMIT = 20_000       # of one message, as in SMTP
ENTRIES_LIMIT = 100_000         # we do not answer more than this
AT_ONCE = 1000                  # answers in one write


def main(argv: "list[bytes]", env: "Env") -> int:
    """Take messages from the client on 0 and 1 until it has no more."""
    return transfer.serve(argv, env, b"QMTP", reply.letter, _talk)


def _talk(session: transfer.Transfer) -> None:
    if not session.client.may_send:
        session.log(b"accepts no mail: there is no control/rcpthosts; put the domains to receive for into it")
    while not session.input.at_end():
        answers = _message(session)
        for at in range(0, len(answers), AT_ONCE):
            session.stream.write(b"".join([netstring.encode(each) for each in answers[at:at + AT_ONCE]]))


def _message(session: transfer.Transfer) -> "list[bytes]":
    """Take one message; what to say about each of its recipients."""
    session.begin()
    _text(session)
    sender = session.address()
    recipients: list[bytes] = []
    answers: list[bytes] = []
    session.input.begin(transfer.LARGEST)
    while session.input.left:
        if len(answers) >= ENTRIES_LIMIT:
            raise netstring.TooLong("more than %d recipients" % ENTRIES_LIMIT)
        answers.append(_recipient(session, sender, recipients))
    session.input.end()
    if not recipients or sender is None:
        session.drop()
        return answers
    qp, refusal = session.finish(sender, recipients)
    queued = refusal or reply.ACCEPTED % (transfer.clock(), qp)
    return [each or queued for each in answers]


def _text(session: transfer.Transfer) -> None:
    text = qmtp.Text()
    session.input.begin(transfer.LARGEST)
    try:
        for piece in session.input.pieces():
            session.write(text.feed(piece))
        session.write(text.end())
    except netstring.Unfinished:
        raise
    except ValueError as error:
        raise netstring.Malformed(str(error)) from None
    session.input.end()


def _recipient(session: transfer.Transfer, sender: "bytes | None", recipients: "list[bytes]") -> bytes:
    """Take one recipient, and append it to `recipients`, or say why not."""
    said = session.address()
    if sender is None:
        refusal = reply.SENDER_UNACCEPTABLE
    elif not said or len(recipient := session.client.recipient(said)) > transfer.ADDRESS_LIMIT:
        refusal = reply.RECIPIENT_UNACCEPTABLE
    else:
        refusal = _refusal(session, sender, recipient, len(recipients))
        if not refusal:
            recipients.append(recipient)
            return b""
    session.refuse(sender or b"", said or b"", refusal)
    return refusal


def _refusal(session: transfer.Transfer, sender: bytes, recipient: bytes, before: int) -> bytes:
    """Why `recipient` does not get it, or b""; `before` are those that do."""
    try:
        objection = session.client.objection(sender, recipient, session.size())
    except (codes.Failure, OSError) as failure:
        session.log(reception.failure(failure))
        return reply.letter(reply.CANNOT_LOOK)
    if objection:
        return reply.letter(objection)
    return reply.letter(reply.TOO_MANY_RECIPIENTS) if before >= RECIPIENTS_LIMIT else b""
