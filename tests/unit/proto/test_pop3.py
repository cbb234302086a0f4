"""The POP3 machines against transcripts, cut anywhere, and whatever bytes come."""

import pathlib

import pop_transcript
import pytest
import smtp_transcript
from hypothesis import given
from hypothesis import strategies as st
from pop_transcript import Driver, Transcript

from vqmail.proto import pop3, pop3login


@pytest.mark.parametrize("name", pop_transcript.names())
def test_transcript(name: str) -> None:
    transcript = Transcript(name)
    driver = Driver()
    got = [(b"", driver.said)]
    got += [(sent, driver.send(sent)) for sent, _ in transcript.parts[1:]]

    assert transcript.parts == got
    assert transcript.closed == driver.closed


@pytest.mark.parametrize("name", pop_transcript.names())
def test_transcript_cut_anywhere(name: str) -> None:
    transcript = Transcript(name)
    for cut in range(1, len(transcript.client)):
        driver = Driver()
        driver.send(transcript.client[:cut])
        driver.send(transcript.client[cut:])

        assert transcript.server == driver.said


@pytest.mark.parametrize("name", pop_transcript.names())
def test_transcript_byte_by_byte(name: str) -> None:
    transcript = Transcript(name)
    driver = Driver()
    for at in range(len(transcript.client)):
        driver.send(transcript.client[at:at + 1])

    assert transcript.server == driver.said


@pytest.mark.parametrize("path", sorted((pop_transcript.FOLDER.parent / "pop3-stls").iterdir()), ids=lambda each: each.stem)
def test_stls_whole_and_byte_by_byte_and_cut_anywhere(path: pathlib.Path) -> None:
    transcript = Transcript(str(path))
    for pieces in smtp_transcript.pieces(transcript):
        driver = Driver(pop_transcript.IN_CLEAR)
        for each in pieces:
            driver.send(each)

        assert transcript.server == driver.said, pieces
        assert driver.closed


@pytest.mark.parametrize("name", pop_transcript.names())
def test_nothing_is_removed_before_the_last_quit(name: str) -> None:
    transcript = Transcript(name)
    driver = Driver()
    driver.send(transcript.client.partition(b"QUIT\r\n")[0])

    assert driver.removed == set()


def test_marked_messages_are_removed_in_quit() -> None:
    driver = Driver()
    driver.send(b"USER ann@example.test\r\nPASS one two \r\nDELE 3\r\nDELE 1\r\nQUIT\r\n")

    assert driver.removed == {0, 2}


@pytest.mark.parametrize(("line", "secret"), [
    (b"PASS secret\r\n", b"secret"),
    (b"PASS secret\n", b"secret"),
    (b"PASS secret", b"secret"),
    (b"PASS  two  spaces  \r\n", b" two  spaces  "),
    (b"PASS \r\n", None),
    (b"PASS  \r\n", b" "),
    (b"pass \xff\x00\r\n", b"\xff\x00"),
    (b"PASS x\r\r\n", b"x\r"),
])
def test_password_is_what_follows_one_space(line: bytes, secret: "bytes | None") -> None:
    session = pop3login.Authorization()
    session.command(b"USER bob\r\n")

    expected = pop3.Reply(pop3.SYNTAX) if secret is None else pop3login.Login(b"bob", bytearray(secret), None)
    assert expected == session.command(line)


def test_last_user_counts() -> None:
    session = pop3login.Authorization()
    session.command(b"USER bob\r\n")
    session.command(b"USER ann\r\n")

    assert pop3login.Login(b"ann", bytearray(b"x"), None) == session.command(b"PASS x\r\n")


def test_apop_needs_no_user_command() -> None:
    login = pop3login.Authorization().command(b"APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n")

    assert pop3login.Login(b"mrose", bytearray(b"c4c9334bac560ecc979e58001b3e22fb"), None) == login


def test_line_of_limit_passes_and_one_more_byte_does_not() -> None:
    lines = pop3.Lines()
    lines.receive(b"x" * 511 + b"\n" + b"x" * 512 + b"\n")

    assert lines.next() == b"x" * 511
    with pytest.raises(pop3.LineTooLong):
        lines.next()


def test_unfinished_line_is_not_kept_beyond_the_limit() -> None:
    lines = pop3.Lines()
    lines.receive(b"x" * 511)

    assert lines.next() is None

    lines.receive(b"x")

    with pytest.raises(pop3.LineTooLong):
        lines.next()


def test_lines_come_in_the_order_in_which_they_were_sent() -> None:
    lines = pop3.Lines()
    lines.receive(b"1\n2\n3")
    first = lines.next()
    lines.receive(b"3\n4\n")

    assert [first, lines.next(), lines.next(), lines.next(), lines.next()] == [b"1", b"2", b"33", b"4", None]


@given(st.binary(max_size=80))
def test_whatever_comes_is_understood_or_refused(line: bytes) -> None:
    for session, events in ((pop3login.Authorization(), (pop3login.Login, pop3.Quit)),
                            (pop3.Transaction(3), (pop3.Stat, pop3.List, pop3.Uidl, pop3.Retrieve, pop3.Quit))):
        event = session.command(line)

        assert isinstance(event, events) or event.text.startswith((b"+OK", b"-ERR "))


@given(st.sampled_from(sorted(pop3.ARGUMENTS)), st.lists(st.integers(-2, 12).map(str) | st.text("0123456789_+- ", max_size=12)))
def test_command_names_a_message_that_is_there_or_is_refused(verb: bytes, words: "list[str]") -> None:
    state = pop3.Transaction(3)
    event = state.command(b"%s %s\r\n" % (verb, " ".join(words).encode()))
    index = getattr(event, "index", None)

    assert index is None or 0 <= index < 3
    assert all(0 <= each < 3 for each in state.deleted)


LOGGING_IN = pop3login.Offer(False, True, [b"PLAIN", b"LOGIN", b"CRAM-MD5"], pop3.keeps(b"", 0))     # noqa: FBT003
TLS_FIRST = pop3login.Offer(True, False, [b"PLAIN"], pop3.keeps(b"30", 60))                          # noqa: FBT003


def said(session: pop3login.Authorization, *lines: bytes) -> "list[object]":
    """The answer to each line, an event as itself."""
    return [event.text if isinstance(event, pop3.Reply) else event for event in map(session.command, lines)]


def test_before_tls_there_is_tls_and_nothing_to_log_in_with() -> None:
    assert said(pop3login.Authorization(TLS_FIRST), b"CAPA\r\n", b"USER ann\r\n", b"PASS x\r\n", b"APOP ann 0123\r\n", b"AUTH\r\n",
                b"AUTH PLAIN AGEAYg==\r\n", b"STLS now\r\n", b"stls\r\n") == [
        b"+OK what I can do\r\nTOP\r\nUIDL\r\nSTLS\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUTF8\r\nEXPIRE 30\r\n"
        b"LOGIN-DELAY 60\r\nIMPLEMENTATION vqmail\r\n.\r\n",
        pop3.NOT_IN_CLEAR, pop3.NOT_IN_CLEAR, pop3.NOT_IN_CLEAR, pop3.NOT_IN_CLEAR, pop3.NOT_IN_CLEAR, pop3.SYNTAX, pop3login.START_TLS]


def test_no_stls_where_there_is_none() -> None:
    assert said(pop3login.Authorization(LOGGING_IN), b"STLS\r\n") == [pop3.NO_STLS]


def test_each_cram_md5_has_another_challenge() -> None:
    challenges = iter([b"<1@h>", b"<2@h>"])
    session = pop3login.Authorization(LOGGING_IN, lambda: next(challenges))
    # base64: <1@h>, <2@h>, `ann ` and 32 times 0
    answer = b"YW5uIDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw\r\n"
    first, one, second, two = said(session, b"AUTH CRAM-MD5\r\n", answer, b"auth cram-md5\r\n", answer)

    assert (first, second) == (b"+ PDFAaD4=\r\n", b"+ PDJAaD4=\r\n")
    assert one == pop3login.Login(b"ann", bytearray(b"0" * 32), b"<1@h>")
    assert two == pop3login.Login(b"ann", bytearray(b"0" * 32), b"<2@h>")


def test_line_of_an_exchange_may_be_longer_than_a_command() -> None:
    session = pop3login.Authorization(LOGGING_IN)
    before = session.line_limit
    session.command(b"AUTH PLAIN\r\n")

    assert (before, session.line_limit) == (512, 2050)

    session.command(b"*\r\n")

    assert session.line_limit == 512


def test_a_cancelled_exchange_leaves_nothing() -> None:
    session = pop3login.Authorization(LOGGING_IN)

    assert said(session, b"AUTH LOGIN\r\n", b"YW5u\r\n", b"*\r\n", b"PASS x\r\n", b"AUTH LOGIN\r\n", b"Ym9i\r\n", b"eA==\r\n") == [
        b"+ VXNlcm5hbWU6\r\n", b"+ UGFzc3dvcmQ6\r\n", b"-ERR cancelled\r\n", pop3.USER_FIRST,
        b"+ VXNlcm5hbWU6\r\n", b"+ UGFzc3dvcmQ6\r\n", pop3login.Login(b"bob", bytearray(b"x"), b"")]


def test_a_password_is_not_in_what_a_traceback_shows() -> None:
    assert "geheim" not in repr(pop3login.Login(b"ann", bytearray(b"geheim"), None))


@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"AUTH PLAIN\r\n", b"AUTH LOGIN\r\n", b"AUTH CRAM-MD5\r\n", b"*\r\n",
                                                          b"YW5u\r\n", b"AGEAYg==\r\n", b"STLS\r\n", b"USER x\r\n"])))
def test_whatever_comes_in_an_exchange_is_understood_or_refused(lines: "list[bytes]") -> None:
    for event in map(pop3login.Authorization(LOGGING_IN).command, lines):
        assert isinstance(event, (pop3login.Login, pop3.Quit)) or event.text.startswith((b"+", b"-ERR "))
