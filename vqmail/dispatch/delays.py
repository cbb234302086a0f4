"""Telling a sender, once, that a message still waits (control/queuewarn)."""

from vqmail.store import queue, queued

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.dispatch.bouncer import Bouncer
    from vqmail.dispatch.journal import Journal
    from vqmail.dispatch.message import Message, Pass
    from vqmail.store.rewrite import Rules


def tell(one: "Message", passes: "list[Pass]", until: int, rules: "Rules", bouncer: "Bouncer", log: "Journal") -> None:
    """Tell the sender of a message of S5 who has not got it, if one of `passes`, which have just ended, is late.

    That he was told is noted after it: a crash between the two tells him again.  Trouble: the next late pass tells him.
    """
    if one.told or not any(each.late and not each.done() for each in passes):
        return
    number = one.number
    try:
        if not queued.told_of_delay(number):
            reports = {recipient.address: recipient.report for each in passes for recipient in each.recipients}
            waiting = [(rules.strip_prefix(address), reports.get(address, b"")) for address in _open(number)]
            lines = bouncer.delay(number, one.sender or b"", one.birth, until, waiting)
            log.say(*lines)
            one.told = True
            if lines:
                queued.note_told_of_delay(number)
        one.told = True
    except (OSError, ValueError) as error:
        log.trouble("trouble telling of the delay", queue.split(b"info", number), error)


def _open(number: int) -> "list[bytes]":
    """The recipients of both channels that are still to do."""
    addresses = []
    for channel in (0, 1):
        try:
            addresses += [address for _, address in queued.read_recipients(number, channel)]
        except FileNotFoundError:               # that channel is done
            continue
    return addresses
