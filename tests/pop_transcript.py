"""Transcripts of POP3 sessions in tests/transcripts/pop3 (marks as in smtp_transcript), and what plays them to the
machines.

The machines and the programs are asked the same things: ann@example.test has the password `one two `, with a space at
its end, and the messages MESSAGES.
"""

import pathlib

import smtp_transcript

from vqmail.proto import pop3, pop3login

FOLDER = pathlib.Path(__file__).parent / "transcripts" / "pop3"
GREETING = b"+OK pop.example.test\r\n"
PASSWORD = b"one two "
MESSAGES = {                    # name: (the file, as it goes over the line, octets)
    "1700000001.first": (b"A: b\n\n.dot\n", [b"A: b\r\n", b"\r\n", b"..dot\r\n"], 14),
    "1700000002.second": (b"C: d\r\n\none\nno end", [b"C: d\r\n", b"\r\n", b"one\r\n", b"no end\r\n"], 21),
    "1700000003.empty": (b"", [], 0),
}

OFFER = pop3login.Offer(False, True, [b"PLAIN", b"LOGIN"], pop3.keeps(b"NEVER", 0))      # noqa: FBT003
IN_CLEAR = pop3login.Offer(True, False, [b"PLAIN", b"LOGIN"], pop3.keeps(b"NEVER", 0))   # noqa: FBT003


class Transcript(smtp_transcript.Transcript):
    """`parts` are (what the client sends, what the server then says)."""

    def __init__(self, name: str) -> None:
        super().__init__(str(FOLDER / name))


def names() -> "list[str]":
    """All transcripts."""
    return sorted(each.name for each in FOLDER.glob("*.txt"))


class Driver:
    """Both machines one after the other, and a mailbox with MESSAGES.  After STLS the offer is OFFER."""

    def __init__(self, offer: pop3login.Offer = OFFER) -> None:
        self.said = GREETING
        self.closed = False
        self.removed: set[int] = set()
        self._lines = pop3.Lines()
        self._failed = 0
        self._state: pop3login.Authorization | pop3.Transaction = pop3login.Authorization(offer)

    def send(self, data: bytes) -> bytes:
        """What is said to `data`."""
        before = len(self.said)
        self._lines.receive(data)
        try:
            while not self.closed and (line := self._lines.next()) is not None:
                self._answer(self._state.command(line))
        except pop3.LineTooLong:
            if not self.closed:
                self.said += pop3.TOO_LONG
                self.closed = True
        return self.said[before:]

    def _answer(self, event: object) -> None:
        files = list(MESSAGES.items())
        if isinstance(event, pop3.Reply):
            self.said += event.text
        elif isinstance(event, pop3.Quit):
            self.said += b"+OK see you\r\n"
            self.closed = True
            if isinstance(self._state, pop3.Transaction):
                self.removed = self._state.deleted
        elif isinstance(event, pop3login.StartTls):
            self.said += b"+OK begin TLS\r\n"
            self._lines, self._state = pop3.Lines(), pop3login.Authorization(OFFER)
        elif isinstance(event, pop3login.Login):
            if (event.user.lower() in (b"ann@example.test", b"ann!example.test", b"ann%example.test")
                    and event.secret == PASSWORD):
                self._state = pop3.Transaction(len(files))
                self.said += b"+OK \r\n"
            else:
                self._failed += 1
                self.closed = self._failed == 3
                self.said += b"-ERR [AUTH] too many logins failed\r\n" if self.closed else (
                    b"-ERR [AUTH] authorization failed\r\n")
        else:
            here = list(self._state.here())
            if isinstance(event, pop3.Stat):
                self.said += b"+OK %d %d\r\n" % (len(here), sum(files[each][1][2] for each in here))
            elif isinstance(event, pop3.Retrieve):
                _, lines, octets = files[event.index][1]
                wanted = lines if event.lines is None else lines[:2 + event.lines]
                self.said += b"+OK %d octets\r\n%s.\r\n" % (octets, b"".join(wanted))
            else:
                rows = [(each, b"%d" % files[each][1][2] if isinstance(event, pop3.List) else files[each][0].encode())
                        for each in (here if event.index is None else [event.index])]
                table = b"".join(b"%d %s\r\n" % (each + 1, text) for each, text in rows)
                self.said += b"+OK \r\n" + table + b".\r\n" if event.index is None else b"+OK " + table
