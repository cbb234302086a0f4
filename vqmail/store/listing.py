"""What is in the queue, for people to look at.  Nothing is locked: messages come and go while we look."""

from vqmail.formats import queuelist, todo
from vqmail.store import queue, queued, rewrite
from vqmail.unix import calls, fd


class Listing:
    """Reads one message after the other."""

    def __init__(self) -> None:
        self._rules: rewrite.Rules | None = None

    def numbers(self) -> "list[int]":
        """Every message in S4 or S5.  OSError if we may not look."""
        # todo/ first: what moves on to info/ in between is seen twice, not missed
        waiting = {int(name) for name in queue.waiting() if name.isdigit()}
        return sorted(waiting.union(queue.numbers(b"info")))

    def message(self, number: int) -> "queuelist.Listed | None":
        """The message `number`, None if it has left the queue meanwhile.  OSError or ValueError if it is in trouble,
        TryLater if a control file that tells local from remote recipients is."""
        try:
            return self._in_todo(number)
        except FileNotFoundError:
            pass                                # preprocessed, or gone
        try:
            return self._in_info(number)
        except FileNotFoundError:
            if fd.is_there(queue.split(b"info", number)) or fd.is_there(queue.TODO + b"/%d" % number):
                raise                           # its text is gone, which is the last to go
            return None

    def _in_todo(self, number: int) -> queuelist.Listed:
        message = queued.read_todo(number)
        if self._rules is None:
            self._rules = rewrite.Rules()
        recipients = [(*self._rules.rewrite(address), False) for address in message.recipients]
        recipients.sort(key=_channel)           # the local ones first, as they are listed once they are preprocessed
        return queuelist.Listed(number, message.birth, message.size, message.sender, _is_bouncing(number), True,  # noqa: FBT003
                                recipients)

    def _in_info(self, number: int) -> queuelist.Listed:
        birth, sender = queued.read_info(number)
        size = calls.stat(queue.split(b"mess", number)).st_size
        recipients = []
        for channel, kind in enumerate(queue.CHANNEL):
            try:
                text = fd.read_file(queue.split(kind, number), todo.LIMIT)
            except FileNotFoundError:           # all of this channel are done
                continue
            recipients += [(channel, address, done) for address, done in todo.recipients(text)]
        return queuelist.Listed(number, birth, size, sender, _is_bouncing(number), False, recipients)  # noqa: FBT003


def _channel(recipient: "tuple[int, bytes, bool]") -> int:
    return recipient[0]


def _is_bouncing(number: int) -> bool:
    return fd.is_there(queue.BOUNCE + b"/%d" % number)
