"""Transcripts of SMTP sessions in tests/transcripts/smtp, and what plays them to the machine; those in submission/ are
played in test_smtp_login.

    # ...       a comment
    C: text     the client sends the text and CR LF; \\0 \\n \\x80 ... are escapes
    C- text     the client sends just that
    S: line     the server says so; TIME and QP stand for numbers
    S.          the server closes the connection

The machine and the program are asked the same things: the server receives mail for example.test, where everybody
has a mailbox but nobody; bad@sender.test is in badmailfrom; messages may have 1000 bytes.
"""

import pathlib
import re
import typing

from vqmail.proto import reply, smtp, smtpevents

FOLDER = pathlib.Path(__file__).parent / "transcripts" / "smtp"
SIZE_LIMIT = 1000


class Transcript:
    """`parts` are (what the client sends, what the server then says); the first client's part is empty."""

    def __init__(self, name: str) -> None:
        self.parts: list[tuple[bytes, bytes]] = []
        self.closed = False
        sent, said = b"", b""
        for line in (FOLDER / name).read_text().splitlines():
            mark, text = line[:3], line[3:].encode("latin-1").decode("unicode_escape").encode("latin-1")
            if mark in ("C: ", "C- "):
                if said:
                    self.parts.append((sent, said))
                    sent, said = b"", b""
                sent += text + (b"\r\n" if mark == "C: " else b"")
            elif mark == "S: ":
                said += text + b"\r\n"
            elif mark == "S.":
                self.closed = True
            elif line and not line.startswith("#"):
                raise ValueError(f"{name}: {line}")
        self.parts.append((sent, said))
        self.client = b"".join(sent for sent, _ in self.parts)
        self.server = b"".join(said for _, said in self.parts)


def names() -> "list[str]":
    """All transcripts."""
    return sorted(each.name for each in FOLDER.glob("*.txt"))


def pieces(transcript: Transcript) -> "typing.Iterator[list[bytes]]":
    """What the client sends: part by part, byte by byte, and with one part cut in two, at every point."""
    sent = [each for each, _ in transcript.parts if each]
    yield sent
    yield [bytes([each]) for each in transcript.client]
    for place, whole in enumerate(sent):
        for cut in range(1, len(whole)):
            yield [*sent[:place], whole[:cut], whole[cut:], *sent[place + 1:]]


def without_numbers(text: bytes) -> bytes:
    """`text` with the numbers of an accepted message replaced as in a transcript."""
    return re.sub(rb"ok \d+ qp \d+", b"ok TIME qp QP", text)


class Driver:
    """A session with the policy of the transcripts' world.  `events` are those that are no Text; `messages` are
    (sender, recipients, text)."""

    def __init__(self, size_limit: int = SIZE_LIMIT) -> None:
        self.session = smtp.Session(b"mx.example.test", size_limit)
        self.size_limit = size_limit
        self.said = b""
        self.events: list[object] = []
        self.messages: list[tuple[bytes, list[bytes], bytes]] = []
        self._text = b""
        self._run()

    def send(self, data: bytes) -> bytes:
        """What the session says to `data`."""
        self.session.receive(data)
        return self._run()

    @property
    def closed(self) -> "smtpevents.Closed | None":
        """The event that ended it."""
        last = self.session.next_event() if self.session._closed else None
        return last if isinstance(last, smtpevents.Closed) else None

    def _run(self) -> bytes:
        while True:
            event = self.session.next_event()
            if event is smtpevents.NEED_DATA or isinstance(event, smtpevents.Closed):
                break
            if isinstance(event, smtpevents.Text):
                self._text += event.text
                continue
            self.events.append(event)
            self._answer(event)
        said = self.session.output()
        self.said += said
        return said

    def _answer(self, event: object) -> None:
        session = self.session
        if isinstance(event, smtpevents.Rcpt):
            refusal = self._refusal(event.recipient.lower())
            if refusal:
                session.refuse(refusal)
            else:
                session.accept()
        elif isinstance(event, smtpevents.End):
            if self.size_limit and len(self._text) > self.size_limit:
                session.finish(reply.TOO_BIG)
            else:
                self.messages.append((session.sender or b"", session.recipients, self._text))
                session.finish(reply.QUEUED % (1, 2))
            self._text = b""
        else:
            session.accept()

    def _refusal(self, recipient: bytes) -> bytes:
        if self.session.sender == b"bad@sender.test":
            return reply.BAD_MAIL_FROM
        if b"@" in recipient and not recipient.endswith(b"@example.test"):
            return reply.NO_GATEWAY
        return reply.NO_MAILBOX if recipient.startswith(b"nobody@") else b""
