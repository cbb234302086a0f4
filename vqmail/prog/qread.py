"""vq-qread: list the messages of the queue and who still waits for them.

SYNOPSIS    vq-qread [--json]
            vq-qread --help

WRITES      1   for each message a line
                    d Mon yyyy hh:mm:ss GMT  #NUMBER  BYTES  <SENDER>
                with ` bouncing` at its end if some recipients failed and the sender will be told, and ` todo` if it
                was not preprocessed; then for each recipient a tab, local or remote, a tab and the address as it will
                be delivered, with `  done` in front if nothing more is to be done for him
            2   what is wrong; a count and a total, if that is a terminal

Addresses show with underscores for what is not printable.  With --json each message is a line of JSON: number, arrived
(seconds since 1970), bytes, sender, bouncing, todo, and recipients with channel, address and done.

vq-send tries a message that arrives straight from queue/todo, and preprocesses it only if some recipient must wait.
So one that is marked todo is new, or is being delivered just now; which of its recipients are done only vq-send knows.
A message that cannot be read is a line that begins with `warning: trouble with #`; one that leaves the queue while we
look is not shown.

ENVIRONMENT NO_COLOR    no colours, not even on a terminal

CONTROL FILES
            envnoathost locals me percenthack virtualdomains    for the messages in todo

EXIT        0   all are listed, or there are none
            100 wrong usage
            111 the queue cannot be read

RUNS AS     root, or qmails

STANDARDS   qmail-qread(8)
"""

from vqmail import codes
from vqmail.formats import queuelist
from vqmail.store import listing, queue
from vqmail.unix import fd, terminal, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vqmail.unix.chain import Env

PIECE = 65536                   # bytes gathered before they are written


def main(argv: "list[bytes]", env: "Env") -> int:
    """Show the queue, or the page."""
    asked = usage.parse(__doc__, argv)
    if asked["--help"]:
        pieces = iter([(__doc__ or "").encode()])
    else:
        pieces = _messages(json=asked["--json"], colours=terminal.colours(env))
    try:
        gathered = b""
        for piece in pieces:
            gathered += piece
            if len(gathered) >= PIECE:
                fd.write_all(1, gathered)
                gathered = b""
        fd.write_all(1, gathered)
    except BrokenPipeError:                     # whoever reads us has seen enough
        return codes.TEMPORARY
    except OSError as error:
        raise codes.TryLater("cannot write the list: %s" % error.strerror) from None
    return codes.OK


def _messages(*, json: bool, colours: bool) -> "Iterator[bytes]":
    found = listing.Listing()
    try:
        numbers = found.numbers()
    except PermissionError:
        raise codes.TryLater("must be root, or the user of vq-send, to read %s" % queue.QUEUE.decode()) from None
    except OSError as error:
        raise codes.TryLater("cannot read %s: %s; make check-setup says what is missing" % (
            queue.QUEUE.decode(), error.strerror)) from None
    progress = terminal.Progress()
    messages = pending = size = 0
    for number in numbers:
        progress.step(len(numbers))
        try:
            each = found.message(number)
        except (OSError, ValueError) as error:
            line = queuelist.trouble(number, getattr(error, "strerror", None) or str(error))
            if json:
                fd.write_all(2, line)
            else:
                yield line
            continue
        if each is not None:
            messages += 1
            pending += each.pending()
            size += each.size
            yield queuelist.json(each) if json else queuelist.text(each, colours=colours)
    progress.end(queuelist.total(messages, pending, size))
