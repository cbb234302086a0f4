"""Every reply a server of ours can give, in one place.

The words are qmail's where qmail has them, so that whoever looks for them in a log still finds them.  The enhanced
code (RFC 3463) stands in front as well, where RFC 2034 wants it: never in the greeting, nor in the answers to HELO,
EHLO and the 354.  QMTP and QMQP say the same words after a letter: K, D for ever, Z for now.
"""

from vqmail.formats import objection

# ---- SMTP ----
GREETING = b"220 %s ESMTP\r\n"
HELO = b"250 %s\r\n"
EHLO = b"250-%s\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE %d\r\n%s250 ENHANCEDSTATUSCODES\r\n"
MAY_START_TLS = b"250-STARTTLS\r\n"
MAY_LOG_IN = b"250-AUTH %s\r\n"
MAIL_OK = b"250 2.1.0 ok\r\n"
RCPT_OK = b"250 2.1.5 ok\r\n"
GO_AHEAD = b"354 go ahead\r\n"
QUEUED = b"250 2.0.0 ok %d qp %d\r\n"
FLUSHED = b"250 2.0.0 flushed\r\n"
NOOP = b"250 2.0.0 ok\r\n"
HELP = b"214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT\r\n"
VRFY = b"252 2.0.0 send some mail, i'll try my best\r\n"
BYE = b"221 2.0.0 %s\r\n"
ALWAYS = {b"VRFY": VRFY, b"HELP": HELP, b"NOOP": NOOP}          # RFC 5321 4.1.1.6, 4.1.1.8, 4.1.1.9

# the client's commands
LINE_TOO_LONG = b"500 5.5.2 command line too long (#5.5.2)\r\n"
UNIMPLEMENTED = b"502 5.5.1 unimplemented (#5.5.1)\r\n"
MAIL_FIRST = b"503 5.5.1 MAIL first (#5.5.1)\r\n"
RCPT_FIRST = b"503 5.5.1 RCPT first (#5.5.1)\r\n"
SYNTAX = b"501 5.5.4 syntax error (#5.5.4)\r\n"
TOO_LONG = b"555 5.5.4 syntax error, address too long (#5.5.4)\r\n"
PARAMETER = b"555 5.5.4 parameter not supported (#5.5.4)\r\n"
PARAMETER_VALUE = b"501 5.5.4 parameter value not understood (#5.5.4)\r\n"
BAD_SENDER = b"501 5.1.7 that sender address is malformed (#5.1.7)\r\n"
BAD_RECIPIENT = b"501 5.1.3 that recipient address is malformed (#5.1.3)\r\n"
NOT_ASCII = b"553 5.6.7 sorry, addresses must be ASCII here (#5.6.7)\r\n"
TOO_MANY_RECIPIENTS = b"452 4.5.3 too many recipients, send the others in another message (#4.5.3)\r\n"
TOO_MANY_ERRORS = b"421 4.7.0 too many bad commands, goodbye (#4.7.0)\r\n"

# TLS and logins
READY_FOR_TLS = b"220 2.0.0 ready for tls\r\n"
CHALLENGE = b"334 %s\r\n"
LOGGED_IN = b"235 2.7.0 ok, go ahead (#2.7.0)\r\n"
LOGIN_FAILED = b"535 5.7.8 sorry, that name and password do not go together (#5.7.8)\r\n"
LOGIN_TROUBLE = b"454 4.7.0 sorry, i cannot check that now, try again later (#4.7.0)\r\n"
NO_TLS_NOW = b"454 4.7.0 TLS not available due to temporary reason (#4.7.0)\r\n"
TOO_MANY_LOGINS = b"421 4.7.0 too many failed logins, goodbye (#4.7.0)\r\n"
TLS_FIRST = b"530 5.7.0 must issue a STARTTLS command first (#5.7.0)\r\n"
LOGIN_FIRST = b"530 5.7.0 authentication required (#5.7.0)\r\n"
TLS_FOR_LOGIN = b"538 5.7.11 encryption required for requested authentication mechanism (#5.7.11)\r\n"
TLS_ALREADY = b"503 5.5.1 TLS is active already (#5.5.1)\r\n"
LOGIN_ALREADY = b"503 5.5.1 you are logged in already (#5.5.1)\r\n"
LOGIN_LATE = b"503 5.5.1 no AUTH during a mail transaction (#5.5.1)\r\n"
MECHANISM = b"504 5.5.4 that authentication mechanism is not offered (#5.5.4)\r\n"
LOGIN_CANCELLED = b"501 5.7.0 authentication cancelled (#5.7.0)\r\n"
LOGIN_MALFORMED = b"501 5.5.2 cannot decode that (#5.5.2)\r\n"

# what we do not want
BAD_MAIL_FROM = b"553 5.7.1 sorry, your envelope sender is in my badmailfrom list (#5.7.1)\r\n"
NO_GATEWAY = b"553 5.7.1 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)\r\n"
NO_MAILBOX = b"550 5.1.1 sorry, no mailbox here by that name (#5.1.1)\r\n"
MOVED = b"551 5.1.6 sorry, this user has moved; please try <%s> (#5.1.6)\r\n"       # RFC 5321 3.4
SUSPENDED = b"550 5.2.1 sorry, this mailbox receives no mail for now (#5.2.1)\r\n"
OVER_QUOTA = b"552 5.2.2 sorry, that mailbox is full (#5.2.2)\r\n"
FULL_FOR_NOW = b"452 4.2.2 sorry, that mailbox is full, try again later (#4.2.2)\r\n"
TOO_BIG = b"552 5.3.4 sorry, that message size exceeds my databytes limit (#5.3.4)\r\n"
TOO_MANY_HOPS = b"554 5.4.6 too many hops, this message is looping (#5.4.6)\r\n"
BARE_NEWLINE = b"451 4.6.0 lines must end in CR LF. See https://cr.yp.to/docs/smtplf.html.\r\n"

# what somebody who has logged in may not do                                                     RFC 6409 6.1
NOT_YOURS = (b"553 5.7.1 sorry, that sender is not an address of %s; send as one of your own, or have the postmaster "
             b"list it in control/senders (#5.7.1)\r\n")
FORCED_SENDER = b"503 5.7.1 sorry, here you must send as %s, as whom you logged in (#5.7.1)\r\n"
NULL_SENDER = b"550 5.7.1 sorry, no message without a sender here; send as %s (#5.7.1)\r\n"
SENDING_SUSPENDED = b"550 5.7.1 sorry, %s may not send for now; ask your postmaster (#5.7.1)\r\n"
TOO_MANY = b"452 4.7.1 sorry, too many: %s is the limit of an hour; try again later (#4.7.1)\r\n"

# trouble
NO_CONTROLS = b"421 4.3.0 unable to read controls (#4.3.0)\r\n"
NO_QUEUE = b"451 4.3.0 qqt failure (#4.3.0)\r\n"
CANNOT_LOOK = b"451 4.3.0 sorry, i cannot look for that mailbox now (#4.3.0)\r\n"
TIMEOUT = b"451 4.4.2 timeout (#4.4.2)\r\n"

# ---- QMTP and QMQP ----
ACCEPTED = b"Kok %d qp %d"
SENDER_UNACCEPTABLE = b"Dunacceptable sender (#5.1.7)"
RECIPIENT_UNACCEPTABLE = b"Dsorry, I can't handle that recipient (#5.1.3)"
ADDRESS_UNACCEPTABLE = b"Dsorry, I can't accept addresses like that (#5.1.3)"
NO_RELAY = b"Dsorry, your host is not one that may send through me (#5.7.1)"

OBJECTIONS = {
    objection.BAD_MAIL_FROM: BAD_MAIL_FROM,
    objection.NO_GATEWAY: NO_GATEWAY,
    objection.NO_MAILBOX: NO_MAILBOX,
    objection.SUSPENDED: SUSPENDED,
    objection.OVER_QUOTA: OVER_QUOTA,
    objection.FULL_FOR_NOW: FULL_FOR_NOW,
    objection.TOO_LONG: TOO_LONG,
    objection.TOO_BIG: TOO_BIG,
    objection.LOOPING: TOO_MANY_HOPS,
    objection.NO_QUEUE: NO_QUEUE,
}
ABOUT = {                       # objections that say what they are about
    objection.MOVED: MOVED,
    objection.NOT_YOURS: NOT_YOURS,
    objection.FORCED_SENDER: FORCED_SENDER,
    objection.NULL_SENDER: NULL_SENDER,
    objection.SENDING_SUSPENDED: SENDING_SUSPENDED,
    objection.TOO_MANY: TOO_MANY,
}


def objection_to(word: bytes) -> bytes:
    """The reply to an SMTP client for an objection."""
    kind, blank, what = word.partition(b" ")
    if blank:
        return ABOUT[kind + blank] % what[:ABOUT_LIMIT].translate(PRINTABLE)
    return OBJECTIONS[word]


PRINTABLE = bytes(each if 32 <= each < 127 else ord("?") for each in range(256))
ABOUT_LIMIT = 320               # of what an objection is about: an address
TEXT_LIMIT = 400                # of words that come from a queue program; RFC 5321 4.5.3.1.5 allows a line of 512


def queue(answer: bytes) -> bytes:
    """The reply for what a queue said: D or Z, then words, which end in (#x.y.z) if they care."""
    kind, code = (b"5", b"554") if answer[:1] == b"D" else (b"4", b"451")
    words = answer[1:TEXT_LIMIT].translate(PRINTABLE)       # a line end in it would begin a reply of its own
    enhanced = words.rpartition(b"(#")[2].partition(b")")[0]
    if enhanced[:1] != kind or len(enhanced.split(b".")) != 3 or not enhanced.replace(b".", b"").isdigit():
        enhanced = kind + b".3.0"
    return b"%s %s %s\r\n" % (code, enhanced, words)


def letter(answer: bytes) -> bytes:
    """An objection, a reply to an SMTP client, or what a queue said, as QMTP and QMQP say it."""
    if answer in OBJECTIONS or answer.startswith(tuple(ABOUT)):
        answer = objection_to(answer)
    if answer[:1].isdigit():
        kind, words = b"D" if answer.startswith(b"5") else b"Z", answer.rstrip().split(b" ", 2)[2]
    else:
        kind, words = b"D" if answer.startswith(b"D") else b"Z", answer[1:]
    return kind + words[:TEXT_LIMIT].translate(PRINTABLE)
