"""preline: run a program with a message that has its delivery lines, in a dot-qmail file.

SYNOPSIS    | preline [ -frdFRD ] program [ arg ... ]

READS       0   the message, from its beginning if it is a file

The program reads UFLINE (From_), RPLINE (Return-Path) and DTLINE (Delivered-To), then the message.  For programs that
want their message like that, such as procmail: `|preline procmail`.  It may end without reading all of it.

-f -r -d    without the From_ line, the Return-Path, the Delivered-To
-F -R -D    with it; of two letters the last counts

ENVIRONMENT UFLINE RPLINE DTLINE    the lines

EXIT        that of the program
            100 wrong usage, or one of the variables is not set
            111 the program was killed or took more than 24 hours, or the message could not be read
            127 there is no such program; 126 it would not start
RUNS AS     the recipient

STANDARDS   preline(1) of qmail
"""

from vqmail import codes
from vqmail.formats import deliveryenv
from vqmail.unix import child, fd, feed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vqmail.unix.chain import Env

USAGE = "usage: preline [ -frdFRD ] program [ arg ... ]"
LINES = {b"f": b"UFLINE", b"r": b"RPLINE", b"d": b"DTLINE"}     # in the order in which they are written


def main(argv: "list[bytes]", env: "Env") -> int:
    wanted, command = _options(argv[1:])
    for name in LINES.values():
        if name not in env:
            raise codes.GiveUp("fatal: %s not set" % name.decode())
    head = b"".join([deliveryenv.one_line(env[name]) for letter, name in LINES.items() if letter in wanted])
    try:
        code = feed.run(command, env, _message(head), child.DAY)
    except OSError as error:
        raise codes.TryLater("fatal: unable to run it, or to read the message: %s" % error.strerror) from None
    if code < 0:
        raise codes.TryLater("fatal: child crashed: signal %d" % -code)
    return code


def _options(arguments: "list[bytes]") -> "tuple[set[bytes], list[bytes]]":
    """The letters of the lines that are wanted, and the program with its arguments."""
    wanted = set(LINES)
    while arguments and arguments[0][:1] == b"-" and len(arguments[0]) > 1:
        option, *arguments = arguments
        if option == b"--":
            break
        for letter in (option[at:at + 1] for at in range(1, len(option))):
            if letter.lower() not in LINES:
                raise codes.GiveUp(USAGE)
            if letter.islower():
                wanted.discard(letter)
            else:
                wanted.add(letter.lower())
    if not arguments:
        raise codes.GiveUp(USAGE)
    return wanted, arguments


def _message(head: bytes) -> "Iterator[bytes]":
    yield head
    yield from fd.whole(0)
