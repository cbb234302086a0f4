"""vq-qmqpd: receive mail from machines of our own by QMQP.

SYNOPSIS    vq-qmqpd

READS       0   the client
WRITES      1   the client
            2   the log: one line for the message, and one for the end of the connection

Receives one message and hands it to the queue; says K only when it is on the disk.  A client may send
to anybody in the name of anybody, so it must be one of our own: only clients for which RELAYCLIENT is
set are served.  tcpserver sets it by a line of its rules, such as

            10.0.0.:allow,RELAYCLIENT=""

The others are refused for ever, and the log says what to do.  One answer holds for all recipients, so
none is refused because nobody here would get it; that is left to delivery and its bounces.

The whole may have 200000000 bytes, an address 999.  A session lasts an hour at most.

ENVIRONMENT TCPREMOTEIP TCPREMOTEHOST TCPREMOTEINFO TCPLOCALIP TCPLOCALHOST, as tcpserver sets them
            RELAYCLIENT     the client may send; its value is appended to each recipient
            DATABYTES       instead of control/databytes
            QMAILQUEUE      run this program to queue a message

CONTROL FILES
            databytes localiphost me timeoutsmtpd

EXIT        0   the client has its answer
            1   it hung up before
            100 that was not QMQP
            111 it was silent for too long or sent too much, or a control file cannot be read

RUNS AS     qmaild

STANDARDS   qmail-qmqpd(8); https://cr.yp.to/proto/qmqp.html
"""

from vqmail.formats import netstring
from vqmail.proto import reply
from vqmail.store import transfer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

RECIPIENTS_LIMIT = 250_000


def main(argv: "list[bytes]", env: "Env") -> int:
    """Take a message from the client on 0 and 1, and answer."""
    return transfer.serve(argv, env, b"QMQP", reply.letter, _message if b"RELAYCLIENT" in env else _refuse)


def _refuse(session: transfer.Transfer) -> None:
    """Hear a stranger out, for who is interrupted does not hear our answer, and keep nothing of it."""
    session.log(b"may not send: no RELAYCLIENT; if it is a machine of ours give it one by a line such as "
                b'10.0.0.:allow,RELAYCLIENT="" in the rules of tcpserver, and run tcprules')
    session.input.begin(transfer.LARGEST)
    for _ in session.input.pieces():
        pass
    session.input.end()
    session.refused += 1
    session.stream.write(netstring.encode(reply.NO_RELAY))


def _message(session: transfer.Transfer) -> None:
    session.input.begin(transfer.LARGEST)
    session.begin()
    session.input.begin(transfer.LARGEST)
    for piece in session.input.pieces():
        session.write(piece)
    session.input.end()
    sender = session.address()
    recipients = _recipients(session)
    session.input.end()
    if sender is None or recipients is None:
        session.drop()
        session.refused += 1
        session.log(b"refused message with an address that is too long or has a control character in it")
        answer = reply.ADDRESS_UNACCEPTABLE
    else:
        qp, refusal = session.finish(sender, recipients)
        answer = refusal or reply.ACCEPTED % (transfer.clock(), qp)
    session.stream.write(netstring.encode(answer))


def _recipients(session: transfer.Transfer) -> "list[bytes] | None":
    """The recipients; None if there is one that cannot be handled."""
    recipients: list[bytes] = []
    fit = True
    while session.input.left:
        said = session.address()
        recipient = session.client.recipient(said) if said else b""
        fit = fit and 0 < len(recipient) <= transfer.ADDRESS_LIMIT
        if len(recipients) >= RECIPIENTS_LIMIT:
            raise netstring.TooLong("more than %d recipients" % RECIPIENTS_LIMIT)
        recipients.append(recipient)
    return recipients if fit else None
