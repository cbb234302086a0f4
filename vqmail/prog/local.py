"""vq-local: deliver one message as the user's dot-qmail file says.

SYNOPSIS    vq-local [-nN] [--] user homedir local dash ext domain sender aliasempty

READS       0   the message, a file that can be rewound
            homedir/.qmail...   the file for dash and ext, see dot-qmail(5); aliasempty where it is empty, or where
                                dash is empty and there is none
WRITES      1   what happened: `did 1+0+0` (files, forwards, programs) and `qp 123` of what was forwarded, or why
                not; vq-lspawn puts it into its report
            maildirs, mboxes, the queue, and whatever the programs write

Runs in homedir.  Lines are done in order; the first that fails ends it, and what was to be forwarded is not.  All
forwards go together at the end, with a Delivered-To line in front.  A program that exits 99 ends the list in good
order.  The message is refused when it has our Delivered-To line already.

-n  say what would be done, do nothing
-N  do it (as without options)

ENVIRONMENT all of it is handed to the programs, and USER, HOME, LOCAL, RECIPIENT, EXT to EXT4, HOST to HOST4, SENDER,
            NEWSENDER, DEFAULT, DTLINE, RPLINE, UFLINE as qmail-command(8) has them; newlines in them are `_`
            QMAILQUEUE  queues what is forwarded instead of vq-queue

CONTROL FILES
            locals virtualdomains, only where there is a -owner file: NEWSENDER is LOCAL-owner@HOST then, without the
            prefix of a virtual domain

EXIT        0   delivered
            100 no such mailbox, a loop, wrong usage, or a program said so (100, 64, 65, 70, 76, 77, 78, 112)
            111 later, for any other reason
RUNS AS     the recipient

SECURITY    A homedir or a dot-qmail file that anybody may write to is not obeyed.  A program gets descriptors 0, 1
            and 2, a session of its own, 24 hours, and no word of the command from the message or its addresses.
"""

import time

from vqmail import codes
from vqmail.formats import date822, deliveryenv, header
from vqmail.record import Record
from vqmail.store import follow, home
from vqmail.unix import calls, chain, fd, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

USAGE = "usage: vq-local [-nN] [--] user homedir local dash ext domain sender aliasempty"


class Delivery(Record):
    """What is known of one delivery: its arguments, and the environment of its programs."""

    __slots__ = ("user", "home", "local", "dash", "ext", "domain", "sender", "aliasempty", "env", "newsender")
    user: bytes
    home: bytes
    local: bytes
    dash: bytes
    ext: bytes
    domain: bytes
    sender: bytes
    aliasempty: bytes
    env: "Env"
    newsender: bytes


def main(argv: "list[bytes]", env: "Env") -> "int | chain.Next":
    really, arguments = _options(argv[1:])
    if len(arguments) != 8 or arguments[1][:1] != b"/":
        raise codes.GiveUp(USAGE)
    delivery = Delivery(*arguments, env, arguments[6])
    try:
        before = calls.open(b".", calls.O_PATH | calls.O_DIRECTORY | calls.O_CLOEXEC)
    except OSError:                             # not a place to come back to
        before = -1
    umask = calls.umask(0o077)
    try:
        return _deliver(delivery, really)
    except codes.Failure as failure:            # the report is for 1, where the sender may see it, not for the log
        follow.say(str(failure).encode("utf-8", "surrogateescape") + b"\n")
        return failure.code
    finally:
        calls.umask(umask)
        if before >= 0:
            calls.fchdir(before)
            calls.close(before)


def _options(arguments: "list[bytes]") -> "tuple[bool, list[bytes]]":
    """Whether to do it, and the arguments after the options."""
    really = True
    while arguments and arguments[0][:1] == b"-" and len(arguments) > 8:
        option, *arguments = arguments
        if option == b"--":
            break
        if len(option) == 1 or option[1:].strip(b"nN"):
            raise codes.GiveUp(USAGE)
        really = not option.endswith(b"n")
    return really, arguments


def _deliver(delivery: Delivery, really: bool) -> int:
    _enter(delivery.home)
    try:
        home.check(b".")
    except home.Editing as editing:
        if really:
            raise
        log.line(b"vq-local", "warning: %s" % editing)
    if really and _is_looping(delivery.local + b"@" + delivery.domain):
        raise codes.GiveUp("This message is looping: it already has my Delivered-To line. (#5.4.6)")

    found = home.find(delivery.home, delivery.dash, delivery.ext)
    if found is None and delivery.dash:
        raise codes.GiveUp("Sorry, no mailbox here by that name. (#5.1.1)")
    _prepare(delivery, found.default if found else None)
    if found is None or not found.content:
        order = follow.Order(delivery.aliasempty, False, "the default delivery instruction", delivery.env,
                             delivery.newsender)
    else:
        order = follow.Order(found.content, found.forward_only, found.path.decode("utf-8", "replace"), delivery.env,
                             delivery.newsender)
    return follow.follow(order, lambda each: follow.into_file(delivery.env, each), really=really)


def _is_looping(recipient: bytes) -> bool:
    try:
        return header.is_looping(fd.pieces(0), recipient)
    except OSError as error:
        raise codes.TryLater("Unable to read the message: %s; descriptor 0 must be a file. (#4.3.0)" % (
            error.strerror)) from None


def _enter(directory: bytes) -> None:
    try:
        calls.chdir(directory)
    except OSError as error:
        raise codes.TryLater("Unable to switch to %s: %s. (#4.3.0)" % (
            directory.decode("utf-8", "replace"), error.strerror)) from None


def _prepare(delivery: Delivery, default: "bytes | None") -> None:
    """Complete `delivery` with the sender of what it forwards, and the environment."""
    dash, ext, local, domain, sender = (
        delivery.dash, delivery.ext, delivery.local, delivery.domain, delivery.sender)
    delivery.newsender = follow.new_sender(delivery.home, dash, ext, local + b"@" + domain, sender)
    env = dict(delivery.env)
    env.pop(b"DEFAULT", None)
    env.update(deliveryenv.variables(delivery.user, delivery.home, local, ext, domain, sender))
    env.update(deliveryenv.lines(local, domain, sender, date822.from_line(time.time())))
    env[b"NEWSENDER"] = deliveryenv.harmless(delivery.newsender)
    if default is not None:
        env[b"DEFAULT"] = deliveryenv.harmless(default)
    delivery.env = env
