"""vq-send's log lines, to the byte: other programs parse them (QMAIL interface 10)."""

# a newline becomes /, anything else outside 33..126, and the percent sign, becomes _
TABLE = bytes(ord("/") if each == 10 else each if 33 <= each <= 126 and each != ord("%") else ord("_")
              for each in range(256))
CHANNEL = (b"local", b"remote")
OUTCOME = {b"K": b"success", b"D": b"failure", b"Z": b"deferral"}


def safe(text: bytes) -> bytes:
    """`text` as it stands in the log."""
    return text.translate(TABLE)


def new(number: int) -> bytes:
    """A message was found in todo/."""
    return b"new msg %d\n" % number


def info(number: int, size: int, sender: bytes, qp: int, uid: int) -> bytes:
    """What that message is."""
    return b"info msg %d: bytes %d from <%s> qp %d uid %d\n" % (number, size, safe(sender), qp, uid)


def starting(delivery: int, number: int, channel: int, recipient: bytes) -> bytes:
    """A delivery begins."""
    return b"starting delivery %d: msg %d to %s %s\n" % (delivery, number, CHANNEL[channel], safe(recipient))


def ended(delivery: int, letter: bytes, text: bytes) -> bytes:
    """A delivery's report; a letter that is none of K Z D is said to be mangled."""
    if letter not in OUTCOME:
        return b"delivery %d: report mangled, will defer\n" % delivery
    return b"delivery %d: %s: %s\n" % (delivery, OUTCOME[letter], safe(text))


def status(running: "list[int]", limits: "list[int]", *, exiting: bool) -> bytes:
    """How many deliveries run."""
    return b"status: local %d/%d remote %d/%d%s\n" % (
        running[0], limits[0], running[1], limits[1], b" exitasap" if exiting else b"")


def bounced(number: int, qp: int) -> bytes:
    """The bounce of a message is queued."""
    return b"bounce msg %d qp %d\n" % (number, qp)


def delayed(number: int, qp: int) -> bytes:
    """The sender is told that the message waits."""
    return b"delay msg %d qp %d\n" % (number, qp)


def double(number: int) -> bytes:
    """The bounce of a bounce is thrown away: control/doublebounceto is empty."""
    return b"double bounce: discarding bounce/%d\n" % number


def triple(number: int) -> bytes:
    """The bounce of a bounce of a bounce is thrown away."""
    return b"triple bounce: discarding bounce/%d\n" % number


def end(number: int) -> bytes:
    """The message leaves the queue."""
    return b"end msg %d\n" % number


def warning(what: str, path: bytes, why: str) -> bytes:
    """Trouble with a file of the queue."""
    return b"warning: %s %s: %s; will try again later\n" % (what.encode(), safe(path), why.encode())


def alert(what: str) -> bytes:
    """Trouble that the postmaster must look at now."""
    return b"alert: %s\n" % what.encode()
