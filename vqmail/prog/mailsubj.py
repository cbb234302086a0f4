"""mailsubj: send what comes on descriptor 0, under a subject.

SYNOPSIS    mailsubj subject recipient ...

READS       0   the body

Becomes vq-inject with a Subject and a To in front of the body.  Nothing is sent before the body has come to its end.
A subject or recipient that has line ends has blanks instead: it makes no further header lines.

ENVIRONMENT as in vq-inject(8)

EXIT        0   queued
            100 wrong usage, or a recipient that cannot be understood
            111 not now
RUNS AS     anybody

STANDARDS   mailsubj(1) of qmail
"""

from vqmail import codes, vqhome
from vqmail.unix import chain, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vqmail.unix.chain import Env

BLANKS = bytes.maketrans(b"\r\n", b"  ")


def main(argv: "list[bytes]", env: "Env") -> "int | chain.Next":
    if len(argv) < 3 or not all(argv[2:]):
        raise codes.GiveUp("usage: mailsubj subject recipient ...")
    try:
        fd.spool(_message(head(argv[1], argv[2:])))
    except OSError as error:
        raise codes.TryLater("fatal: unable to read the message and keep it: %s" % error.strerror) from None
    return chain.Next([vqhome.path(b"bin/vq-inject")], env)


def head(subject: bytes, recipients: "list[bytes]") -> bytes:
    """The header, with its empty line."""
    return b"Subject: %s\nTo: %s\n\n" % (
        subject.translate(BLANKS), b",\n  ".join([each.translate(BLANKS) for each in recipients]))


def _message(start: bytes) -> "Iterator[bytes]":
    yield start
    yield from fd.rest(0)
