"""What stands between DATA and the lone dot (RFC 5321 4.1.1.4, 4.5.2).

    wire                    message
    CR LF                   LF
    CR LF .                 LF, at the start of a line the first dot goes
    CR LF . CR LF           the end
    CR or LF alone          BareNewline: what one server takes for the end of a line and another does not
                            is how one message is made to look like two
"""

END = b"\r\n.\r\n"


class BareNewline(ValueError):
    """There is a CR without LF, or a LF without CR, in the message."""


class Content:
    """The content of one message, fed in pieces.

    `rest` is None until the end was seen; then it is what came after it: the next commands.
    """

    def __init__(self) -> None:
        self.rest: bytes | None = None
        self._held = b"\r\n"            # the line of DATA ended so, or a dot in the first line would not count
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        """The next piece of the message, perhaps empty.  BareNewline if there is one; feed no more then."""
        wire = self._held + data
        end = wire.find(END)
        if end >= 0:
            self.rest = wire[end + len(END):]
            wire, self._held = wire[:end + 2], b""
        else:
            end = len(wire) - _undecided(wire)
            wire, self._held = wire[:end], wire[end:]
        unstuffed = wire.replace(b"\r\n.", b"\r\n")
        text = unstuffed.replace(b"\r\n", b"\n")
        if b"\r" in text or text.count(b"\n") != len(unstuffed) - len(text):
            raise BareNewline
        if not self._begun and text:
            self._begun = True
            return text[1:]             # the line end that we put there ourselves
        return text


def _undecided(wire: bytes) -> int:
    """How many bytes at the end of `wire` may be the beginning of END."""
    for length in (4, 3, 2, 1):
        if wire.endswith(END[:length]):
            return length
    return 0
