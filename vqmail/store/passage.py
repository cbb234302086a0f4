"""A message on descriptor 0 on its way to somebody: not empty, and not for the second time."""

from vqmail import codes
from vqmail.formats import deliveryenv, header
from vqmail.unix import fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vqmail.unix.chain import Env

DELIVERED_TO = b"Delivered-To: "
EMPTY = "the message is empty; did a program in front of us fail?"       # what a queue delivers has a Received line
LOOPING = "This message is looping: it already has my Delivered-To line. (#5.4.6)"


def loops(env: "Env") -> "list[bytes]":
    """The addresses of whose Delivered-To lines one makes a loop: the one that is written, and the one people know."""
    line = deliveryenv.one_line(env.get(b"DTLINE", b""))[:-1]
    both = (line.removeprefix(DELIVERED_TO) if line.startswith(DELIVERED_TO) else b"", env.get(b"RECIPIENT", b""))
    return list(dict.fromkeys(each for each in both if each))


def check(again: "list[bytes]") -> None:
    """Return if the message in the file on 0 may be delivered; GiveUp if one of `again` has had it already, TryLater
    if it is empty."""
    watch = header.Looping(*again)
    pieces = fd.pieces(0)
    piece = next(pieces, b"")
    if not piece:
        raise codes.TryLater(EMPTY)
    while piece and not watch.over:
        if watch.feed(piece):
            raise codes.GiveUp(LOOPING)
        piece = next(pieces, b"")
    if watch.end():
        raise codes.GiveUp(LOOPING)


def checked(head: bytes, again: "list[bytes]") -> "Iterator[bytes]":
    """What can still be read of 0, which may be a pipe, with `head` in front.  TryLater if that is nothing.

    GiveUp, in the middle of it, if one of `again` has had it already: whoever writes it down throws that away.
    """
    watch = header.Looping(*again)
    pieces = fd.rest(0)
    start = next(pieces, b"")
    if not start:
        raise codes.TryLater(EMPTY)
    if watch.feed(start):
        raise codes.GiveUp(LOOPING)
    yield head + start
    for piece in pieces:
        if watch.feed(piece):
            raise codes.GiveUp(LOOPING)
        yield piece
    if watch.end():
        raise codes.GiveUp(LOOPING)
