"""sendmail: send a message, as programs everywhere expect it of a command of this name.

SYNOPSIS    sendmail [ -t ] [ -f sender ] [ -F name ] [ option ... ] [ -- ] [ recipient ... ]
            sendmail -bs
            sendmail -bp

READS       0   the message; with -bs the SMTP client
WRITES      1   with -bs the answers, with -bp the queue
            2   what is wrong

Hands the message to vq-inject, which completes its header and queues it.  A link to this program may stand at
/usr/sbin/sendmail and /usr/lib/sendmail; called as mailq or newaliases it is that.

    -t          recipients are those in To, Cc and Bcc, and the arguments
    -f sender   the sender of the envelope, and of the header if that has no From; <> for nobody.  -r is the same
    -F name     the full name that goes with it
    -bm         deliver what comes on 0 (default)
    -bs         speak SMTP, become vq-smtpd; who runs this here may send anywhere.  On a connection from the network,
                as inetd makes it, he may not: control/rcpthosts decides
    -bp         list the queue, become vq-qread
    -bi         rebuild the aliases: refused, there is nothing to rebuild
    -q          run the queue: does nothing, vq-send runs it all the time

A message ends with its input, not with a line that has only a dot: -i and -oi are the rule.  Accepted and without any
effect are -A -B -C -c -D -d -E -e -G -h -i -J -L -M -m -N -n -O -o -p -R -s -T -U -V -v -X -x, with the values they
have elsewhere: nothing is read from or written to files that are named there.  Other options are refused.

ENVIRONMENT as vq-inject has it.  -f removes QMAILHOST MAILHOST QMAILNAME MAILNAME NAME; sets QMAILUSER, QMAILHOST
            if the sender has one; -F sets QMAILNAME
            PROTO   set: -bs takes what tcpserver says of the client; not set: it says that itself

EXIT        0   the message is queued
            100 wrong usage, no recipients, or the message is refused for ever; sendmail(8) has 64 to 78 for that
            111 trouble that may pass

RUNS AS     anybody

STANDARDS   sendmail(8)
"""

from vqmail import codes, vqhome
from vqmail.formats import sendmailoptions
from vqmail.unix import chain, log, sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

INJECT = vqhome.path(b"bin/vq-inject")
SMTPD = vqhome.path(b"bin/vq-smtpd")
MAILQ = vqhome.path(b"bin/mailq")
NEWALIASES = vqhome.path(b"bin/newaliases")
# who the sender is, when -f did not say so
NAMES = (b"QMAILNAME", b"MAILNAME", b"NAME", b"QMAILHOST", b"MAILHOST")


def main(argv: "list[bytes]", env: "Env") -> "int | chain.Next":
    """Find out what is asked for, and become the program that does it."""
    name = log.name_of(argv)
    if name in (b"mailq", b"newaliases"):
        return chain.Next([MAILQ if name == b"mailq" else NEWALIASES, *argv[1:]], env)
    try:
        options = sendmailoptions.parse(argv[1:])
    except ValueError as error:
        raise codes.GiveUp(str(error)) from None
    if options.mode == sendmailoptions.QUEUE:
        return chain.Next([MAILQ], env)
    if options.mode == sendmailoptions.ALIASES:
        return chain.Next([NEWALIASES], env)
    if options.mode == sendmailoptions.RUN:
        return codes.OK
    if options.mode == sendmailoptions.SMTP:
        return chain.Next([SMTPD], _client(env))
    if not options.from_header and not options.recipients:
        raise codes.GiveUp("no recipients: give their addresses, or -t to take them from the message")
    sender = [] if options.sender is None else [b"-f", options.sender]
    return chain.Next([INJECT, b"-H" if options.from_header else b"-a", *sender, b"--", *options.recipients],
                      _author(env, options))


def _author(env: "Env", options: sendmailoptions.Options) -> "Env":
    """The environment from which vq-inject takes who writes."""
    env = dict(env)
    if options.sender is not None:
        for each in NAMES:
            env.pop(each, None)
    if options.sender:                          # the null sender writes no message
        user, at, host = options.sender.rpartition(b"@")
        env[b"QMAILUSER"] = user if at else host
        if at:
            env[b"QMAILHOST"] = host
    if options.name is not None:
        env[b"QMAILNAME"] = options.name
    return env


def _client(env: "Env") -> "Env":
    """The environment that tcpserver would give vq-smtpd."""
    if b"PROTO" in env:
        return env
    address = sockets.address_of_peer(0)
    if address is not None:                     # from inetd: a stranger, whoever the environment says he is
        return {name: value for name, value in env.items() if name not in (b"RELAYCLIENT", b"DATABYTES")} | {
            b"PROTO": b"TCP", b"TCPREMOTEIP": address}
    return env | {b"PROTO": b"TCP", b"RELAYCLIENT": b"", b"DATABYTES": b"0", b"TCPLOCALIP": b"127.0.0.1",
                  b"TCPLOCALHOST": b"localhost", b"TCPREMOTEIP": b"127.0.0.1", b"TCPREMOTEHOST": b"localhost",
                  b"TCPREMOTEINFO": b"sendmail-bs"}
