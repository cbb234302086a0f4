"""predate: run a program with a message that has a Date in local time.

SYNOPSIS    predate program [ arg ... ]

READS       0   a message

Puts a Date field in front of the message, unless it has one, and becomes the program.  vq-inject alone would write the
date in UTC.  The program starts when the message has come to its end.

ENVIRONMENT TZ  the time zone, if it is not the system's

EXIT        that of the program
            100 wrong usage
            111 the message could not be read
            127 there is no such program; 126 it would not start
RUNS AS     anybody

STANDARDS   predate(1) of qmail, RFC 5322 3.3
"""

import time

from vqmail import codes
from vqmail.formats import date822, header
from vqmail.unix import chain, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> "int | chain.Next":
    if len(argv) < 2:
        raise codes.GiveUp("usage: predate program [ arg ... ]")
    try:
        fd.spool(_message())
    except OSError as error:
        raise codes.TryLater("fatal: unable to read the message and keep it: %s" % error.strerror) from None
    return chain.Next(argv[1:], env)


def _message() -> "Iterator[bytes]":
    pieces = fd.rest(0)
    begun = []
    head = header.Header()
    for piece in pieces:
        begun.append(piece)
        head.feed(piece)
        if head.complete:
            break
    if not header.values(head.text, b"date"):   # RFC 5322 3.6: one at most
        yield b"Date: %s\n" % date822.zoned(time.localtime())
    yield from begun
    yield from pieces
