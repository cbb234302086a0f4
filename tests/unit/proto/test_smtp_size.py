"""What MAIL announces is known while its recipients are asked for, and no longer."""

from vqmail.proto import smtp, smtpevents


def test_the_announced_size_lasts_as_long_as_its_message() -> None:
    session = smtp.Session(b"host.test")
    sizes = []
    for line in (b"EHLO x", b"MAIL FROM:<a@b.test> SIZE=1234", b"RCPT TO:<b@b.test>", b"RSET", b"MAIL FROM:<a@b.test>",
                 b"MAIL FROM:<a@b.test> SIZE=99 BODY=9BIT", b"MAIL FROM:<a@b.test> BODY=8BITMIME"):
        session.receive(line + b"\r\n")
        if not isinstance(session.next_event(), smtpevents.NeedData):
            session.accept()
            session.next_event()
        sizes.append(session.size if session.sender is not None else 0)

    assert sizes == [0, 1234, 1234, 0, 0, 0, 0]
