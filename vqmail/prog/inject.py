"""vq-inject: send a message: complete its header, find its recipients, and queue it.

SYNOPSIS    vq-inject [ -nNaAhHFIMRS ] [ -f sender ] [ recipient ... ]

READS       0   the message: a header, an empty line, a body
WRITES      2   why it was not queued
            1   with -n the message

Exit 0 means that the message is in the queue for everyone it is for.  A recipient who cannot be understood, or a
message for nobody, is refused as a whole.

    -a          recipients are the arguments
    -h          those in To, Cc, Bcc and Apparently-To, or in Resent-To, Resent-Cc and Resent-Bcc if the message has a
                Resent- field
    -H          both
    -A          the arguments if there are any, or else those in the header (default)
    -n -N       print the message, with the sender as Return-Path in front; queue it (default)
    -f sender   the sender of the envelope; empty or <> for nobody
    -F -I -M -R -S  as the letters f i m r s of QMAILINJECT

An argument is one address as in an envelope, without quotes; `Name <address>` is understood, too.

HEADER      Bcc, Resent-Bcc, Content-Length and Return-Path are taken away; a Return-Path is the sender if there is no
            -f.  Addresses in To, Cc, Apparently-To, Reply-To, From, Sender, Errors-To, Return-Receipt-To and their
            Resent- forms are completed: without a host they get @DEFAULTHOST, hosts that end in + get PLUSDOMAIN in its
            place, hosts without a dot .DEFAULTDOMAIN; source routes go.  Fields that were complete stay as they are;
            others get lines of at most 78 bytes, broken after commas.  Several To, Cc or Reply-To are made one.  Date,
            Message-ID, From, and a Cc if there is neither To nor Cc, are put on top if they are missing.

            The header may end in a line that is no field, without an empty line.  If recipients come from the header
            and such a line hides some of them the message is refused.  Lines may end in CR LF; if those of the header
            do, those of the body become LF.

ENVIRONMENT QMAILUSER MAILUSER USER LOGNAME     the user who writes; the first that is set counts, and in the same way:
            QMAILHOST MAILHOST                  his host
            QMAILNAME MAILNAME NAME             his name
            QMAILSUSER QMAILSHOST               the same for the sender in the envelope only
            QMAILDEFAULTHOST QMAILDEFAULTDOMAIN QMAILPLUSDOMAIN QMAILIDHOST    instead of the control files
            QMAILMFTFILE    a file of addresses of mailing lists: a message to one of them gets a Mail-Followup-To
            QMAILQUEUE      run this program to queue the message
            QMAILINJECT     letters: c  From is address (name)
                            s  a Return-Path is ignored         f i  a From, a Message-ID is replaced
                            r  each recipient gets a sender of his own (VERP), user-@host-@[]
                            m  each message gets one, user-TIME.PID@host; neither affects -f

CONTROL FILES
            defaultdomain defaulthost idhost plusdomain, and me for those that are missing

EXIT        0   the message is queued, or printed
            100 wrong usage, recipients that cannot be understood, none at all, or the message is refused for ever
            111 trouble that may pass

RUNS AS     anybody

STANDARDS   RFC 5322; qmail-inject(8), new-inject(1)
"""

import time

from vqmail import codes
from vqmail.formats import completion, composition, controlfile, date822, fields, header, quoting
from vqmail.store import control, submit
from vqmail.unix import calls, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vqmail.unix.chain import Env

USAGE = "usage: vq-inject [ -nNaAhHFIMRS ] [ -f sender ] [ recipient ... ]"
PRINT, QUEUE = b"n", b"N"
WHERE = b"aAhH"
LETTERS = b"FIMRS"
USERS = (b"QMAILUSER", b"MAILUSER", b"USER", b"LOGNAME")
HOSTS = (b"QMAILHOST", b"MAILHOST")
NAMES = (b"QMAILNAME", b"MAILNAME", b"NAME")
MFT_LIMIT = 1 << 20             # bytes of QMAILMFTFILE
NO_CONTROLS = bytes(each if each >= 32 and each != 127 else 32 for each in range(256))


def main(argv: "list[bytes]", env: "Env") -> int:
    """Read the header, then copy the body."""
    order, printing = _order(argv[1:], env)
    composer = composition.Composer(order, _hosts(env), _writer(env), _stamp(env), _lists(env))
    try:
        reader = _read(order)
        composer.compose(reader.fields())
    except fields.TooLarge as why:
        raise codes.GiveUp("fatal: the header of the message is too large: %s" % why) from None
    except composition.Unsendable as why:
        raise codes.GiveUp("fatal: %s" % why) from None
    except OSError as error:
        raise codes.TryLater("fatal: unable to read message: %s" % error.strerror) from None
    body = _body(reader)
    if printing:
        _print(composer, body)
        return codes.OK
    if not composer.recipients:
        raise codes.GiveUp("fatal: no recipients: neither arguments nor To, Cc or Bcc name anybody")
    submit.send(env, _message(composer, body), composer.sender, composer.recipients, "fatal: ")
    return codes.OK


def _order(words: "list[bytes]", env: "Env") -> "tuple[composition.Order, bool]":
    """What the options say, and whether to print."""
    letters = set(_bytes(env.get(b"QMAILINJECT", b"")))
    sender = None
    where, what = b"A", QUEUE
    while words and words[0][:1] == b"-" and len(words[0]) > 1:
        word, *words = words
        if word == b"--":
            break
        options = word[1:]
        while options:
            option, options = options[:1], options[1:]
            if option == b"f":
                if not options and not words:
                    raise codes.GiveUp(USAGE)
                sender, options = (options, b"") if options else (words.pop(0), b"")
            elif option in WHERE:
                where = option
            elif option in LETTERS:
                letters.add(option.lower())
            elif option in (PRINT, QUEUE):
                what = option
            else:
                raise codes.GiveUp(USAGE)
    from_header = where in b"hH" or (where == b"A" and not words)
    recipients = words if where != b"h" else []
    return composition.Order(frozenset(letters), sender, from_header, recipients), what == PRINT


def _bytes(text: bytes) -> "list[bytes]":
    return [text[at:at + 1] for at in range(len(text))]


def _hosts(env: "Env") -> completion.Hosts:
    return completion.Hosts(*[_host(env, name) for name in (b"defaulthost", b"defaultdomain", b"plusdomain")])


def _host(env: "Env", name: bytes) -> bytes:
    value = env.get(b"QMAIL" + name.upper()) or control.line(name)
    if not value:
        raise codes.TryLater("fatal: no %s; put the name of this host into control/me" % name.decode())
    return value.translate(NO_CONTROLS)


def _first(env: "Env", names: "tuple[bytes, ...]", default: bytes = b"") -> bytes:
    return next((env[name] for name in names if env.get(name)), default)


def _writer(env: "Env") -> composition.Writer:
    user, host = _first(env, USERS, b"anonymous"), _first(env, HOSTS)
    return composition.Writer(user, host, _first(env, NAMES).translate(NO_CONTROLS).strip(),
                              env.get(b"QMAILSUSER") or user, env.get(b"QMAILSHOST") or host)


def _stamp(env: "Env") -> composition.Stamp:
    nanoseconds = time.time_ns()
    now = nanoseconds // 1000000000
    # one process may send many messages in a second
    message_id = b"%s.%d.%d.vqmail@%s" % (
        date822.compact(now), nanoseconds % 1000000000, calls.getpid(), header.safe(_host(env, b"idhost")))
    return composition.Stamp(date822.sent(now), message_id, b"%d.%d" % (now, calls.getpid()))


def _lists(env: "Env") -> "list[bytes]":
    path = env.get(b"QMAILMFTFILE")
    if not path:
        return []
    try:
        return [each.lower() for each in controlfile.entries(fd.read_file(path, MFT_LIMIT))]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise codes.TryLater("fatal: cannot read QMAILMFTFILE %s: %s" % (
            path.decode("utf-8", "replace"), getattr(error, "strerror", None) or error)) from None


def _read(order: composition.Order) -> fields.Reader:
    """Read the header; nothing it says is lost."""
    reader = fields.Reader()
    while not reader.complete:
        reader.feed(calls.read(0, 65536))
    if reader.stray and order.from_header:
        while len(reader.rest) < fields.LOOK and (piece := calls.read(0, 65536)):
            reader.rest += piece
        hidden = reader.hidden()
        if hidden:
            raise composition.Unsendable("the header ends before `%s`, which is no field, and `%s` comes too late" % (
                _shown(reader.stray), _shown(hidden)))
    return reader


def _shown(line: bytes) -> str:
    return line[:60].decode("utf-8", "surrogateescape")


def _body(reader: fields.Reader) -> "Iterator[bytes]":
    """The body, piece by piece; with LF if the header had CR LF."""
    held = b""
    for piece in _pieces(reader.rest):
        text = held + piece
        held = b"\r" if reader.has_crlf and text.endswith(b"\r") else b""
        yield text[:len(text) - len(held)].replace(b"\r\n", b"\n") if reader.has_crlf else text
    yield held


def _pieces(first: bytes) -> "Iterator[bytes]":
    yield first
    yield from fd.rest(0)


def _message(composer: composition.Composer, body: "Iterator[bytes]") -> "Iterator[bytes]":
    yield composer.header
    yield from body


def _print(composer: composition.Composer, body: "Iterator[bytes]") -> None:
    try:
        fd.write_all(1, header.return_path(quoting.quote(composer.sender)))
        for piece in _message(composer, body):
            fd.write_all(1, piece)
    except OSError as error:
        raise codes.TryLater("fatal: unable to read the message or to print it: %s" % error.strerror) from None
