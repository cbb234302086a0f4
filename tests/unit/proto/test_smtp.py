"""The SMTP machine: order, limits, and the transcripts, cut anywhere."""

import pytest
import smtp_transcript
from hypothesis import given
from hypothesis import strategies as st
from smtp_transcript import Driver, Transcript

from vqmail.proto import reply, smtp, smtpevents

BEGIN = b"MAIL FROM:<a@b.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"


@pytest.mark.parametrize("name", smtp_transcript.names())
def test_transcript(name: str) -> None:
    transcript = Transcript(name)
    driver = Driver()
    got = [(b"", driver.said)]
    got += [(sent, driver.send(sent)) for sent, _ in transcript.parts[1:]]

    assert transcript.parts == [(sent, smtp_transcript.without_numbers(said)) for sent, said in got]
    assert transcript.closed == (driver.closed is not None)


@pytest.mark.parametrize("name", smtp_transcript.names())
def test_transcript_cut_anywhere(name: str) -> None:
    transcript = Transcript(name)
    for place, (whole, _) in enumerate(transcript.parts):
        for cut in range(1, len(whole)):
            driver = Driver()
            for sent, _ in transcript.parts[:place]:
                driver.send(sent)
            driver.send(whole[:cut])
            driver.send(whole[cut:])
            for sent, _ in transcript.parts[place + 1:]:
                driver.send(sent)

            assert transcript.server == smtp_transcript.without_numbers(driver.said)


@pytest.mark.parametrize("name", smtp_transcript.names())
def test_transcript_byte_by_byte(name: str) -> None:
    transcript = Transcript(name)
    driver = Driver()
    for at in range(len(transcript.client)):
        driver.send(transcript.client[at:at + 1])

    assert transcript.server == smtp_transcript.without_numbers(driver.said)


def test_message_comes_out_with_its_envelope() -> None:
    driver = Driver()
    driver.send(BEGIN + b"Subject: x\r\n\r\n..\r\n.\r\nMAIL FROM:<>\r\n")

    assert [(b"a@b.test", [b"bob@example.test"], b"Subject: x\n\n.\n")] == driver.messages
    assert driver.session.sender == b""


def test_accept_can_change_the_recipient() -> None:
    session = smtp.Session(b"h")
    session.receive(b"MAIL FROM:<>\r\nRCPT TO:<a@b.test>\r\n")
    session.next_event()
    session.accept()
    session.next_event()
    session.accept(b"a@b.test@relay")

    assert [b"a@b.test@relay"] == session.recipients


def test_question_is_asked_until_it_is_answered() -> None:
    session = smtp.Session(b"h")
    session.receive(b"MAIL FROM:<a@b.test>\r\nNOOP\r\n")

    assert [smtpevents.Mail(b"a@b.test")] * 2 == [session.next_event(), session.next_event()]


def test_what_follows_a_refused_mail_belongs_to_no_message() -> None:
    driver = Driver()
    said = driver.send(b"MAIL FROM:<a@b.test>\r\nMAIL FROM:<\x80>\r\nRCPT TO:<bob@example.test>\r\n")

    assert reply.MAIL_OK + reply.NOT_ASCII + reply.MAIL_FIRST == said


def test_long_line_is_refused_once_in_little_memory_and_the_session_goes_on() -> None:
    driver = Driver()
    said = b""
    largest = 0
    for _ in range(100):
        said += driver.send(b"x" * 1000)
        largest = max(largest, len(driver.session._buffer))
    said += driver.send(b"\r\nNOOP\r\n")

    assert reply.LINE_TOO_LONG + reply.NOOP == said
    assert largest <= smtp.LINE_LIMIT


def test_long_line_in_one_piece_is_refused_once() -> None:
    driver = Driver()

    assert reply.LINE_TOO_LONG + reply.NOOP == driver.send(b"x" * 100_000 + b"\r\nNOOP\r\n")


@pytest.mark.parametrize(("length", "answer"), [(4094, reply.NOOP), (4095, reply.LINE_TOO_LONG)])
def test_line_limit_is_4096_bytes_with_its_end_however_cut(length: int, answer: bytes) -> None:
    line = b"NOOP " + b"x" * (length - 5) + b"\r\n"
    for cut in (0, 1, length - 1, length, length + 1):
        driver = Driver()

        assert answer == driver.send(line[:cut]) + driver.send(line[cut:])


def test_ten_thousand_recipients_in_one_group() -> None:
    driver = Driver(0)
    recipients = [b"u%d@example.test" % number for number in range(10_000)]
    said = driver.send(b"MAIL FROM:<>\r\n" + b"".join(b"RCPT TO:<%s>\r\n" % each for each in recipients))

    assert reply.MAIL_OK + reply.RCPT_OK * 10_000 == said
    assert recipients == driver.session.recipients


def test_recipients_have_a_limit() -> None:
    driver = Driver()
    driver.send(b"MAIL FROM:<>\r\n")
    driver.session.recipients += [b"x"] * 20_000

    assert reply.TOO_MANY_RECIPIENTS == driver.send(b"RCPT TO:<bob@example.test>\r\n")


def test_size_without_limit() -> None:
    driver = Driver(0)

    assert b"250-SIZE 0\r\n" in driver.send(b"EHLO x\r\n")
    assert reply.MAIL_OK == driver.send(b"MAIL FROM:<> SIZE=99999999999999999999\r\n")


def test_message_behind_a_refused_data_is_not_taken_for_commands() -> None:
    driver = Driver()
    said = driver.send(b"MAIL FROM:<>\r\nRCPT TO:<nobody@example.test>\r\nDATA\r\nMAIL FROM:<forged@b.test>\r\n.\r\n")

    assert reply.MAIL_OK + reply.NO_MAILBOX + reply.RCPT_FIRST == said
    assert smtpevents.EARLY_DATA == driver.closed


def test_message_behind_a_granted_data_is_a_message() -> None:
    driver = Driver()
    said = driver.send(BEGIN + b"one\r\n.\r\nNOOP\r\n")

    assert reply.MAIL_OK + reply.RCPT_OK + reply.GO_AHEAD + reply.QUEUED % (1, 2) + reply.NOOP == said


def test_data_refused_by_the_driver_ends_the_transaction() -> None:
    session = smtp.Session(b"h")
    session.receive(BEGIN)
    session.next_event()
    session.accept()
    session.next_event()
    session.accept()
    session.next_event()
    session.refuse(reply.NO_QUEUE)

    assert smtpevents.NEED_DATA == session.next_event()
    assert session.sender is None


def test_errors_are_forgiven_after_a_message() -> None:
    driver = Driver()
    for _ in range(3):
        driver.send(b"WHAT\r\n" * 15 + BEGIN)
        driver.send(b"one\r\n.\r\n")

    assert driver.closed is None
    assert len(driver.messages) == 3


def test_nothing_is_read_after_quit() -> None:
    driver = Driver()
    driver.send(b"QUIT\r\n" + BEGIN)
    driver.send(BEGIN)

    assert smtpevents.QUIT == driver.closed
    assert driver.events == []


WORDS = [b"EHLO x\r\n", b"HELO\n", b"MAIL FROM:<a@b.test>\r\n", b"MAIL FROM:<", b"RCPT TO:<bob@example.test>\r\n",
         b"RCPT TO:<nobody@example.test>\r\n", b"DATA\r\n", b"RSET\r\n", b"\r\n.\r\n", b".\r\n", b"\r", b"\n", b".",
         b"\0", b"\xff", b"x" * 5000, b"QUIT\r\n", b'"', b"\\", b" ", b">", b":"]


@given(st.lists(st.sampled_from(WORDS) | st.binary(max_size=8), max_size=30))
def test_whatever_comes_there_are_events_and_whole_replies(pieces: "list[bytes]") -> None:
    driver = Driver()
    for piece in pieces:
        driver.send(piece)

    assert all(line[:3].isdigit() for line in driver.said.split(b"\r\n")[:-1])
    assert driver.said.endswith(b"\r\n")
    assert len(driver.session._buffer) <= smtp.LINE_LIMIT


def test_every_error_has_its_enhanced_code_in_front() -> None:
    answers = [each for each in vars(reply).values() if isinstance(each, bytes) and each.endswith(b"\r\n")]
    for answer in answers:
        code = answer[:3]
        if code in (b"220", b"354", b"334") or code + b"-" == answer[:4] or answer == reply.HELO:
            continue
        enhanced = answer.split(b" ")[1].split(b".")

        assert code.isdigit(), answer
        assert (code[:1], 3) == (enhanced[0], len(enhanced)), answer


@pytest.mark.parametrize(("answer", "line"), [
    (b"Zqueue is full (#4.3.1)", b"451 4.3.1 queue is full (#4.3.1)\r\n"),
    (b"Dno spam today", b"554 5.3.0 no spam today\r\n"),
    (b"Dmixed (#4.3.0)", b"554 5.3.0 mixed (#4.3.0)\r\n"),
    (b"Zinjected\r\n250 ok\0\xff", b"451 4.3.0 injected??250 ok??\r\n"),
])
def test_answer_of_the_queue(answer: bytes, line: bytes) -> None:
    assert line == reply.queue(answer)


def test_answer_of_the_queue_is_one_short_line() -> None:
    assert len(reply.queue(b"D" + b"x" * 5000)) <= 512
