"""STARTTLS and AUTH in the SMTP machine: when they are offered, and that nothing of before survives."""

import base64
import pathlib
import typing

import pytest
import smtp_transcript

from vqmail.proto import reply, sasl, smtp, smtpevents
from vqmail.record import Record

FEATURES = b"250-mx.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 0\r\n%s250 ENHANCEDSTATUSCODES\r\n"
OK = b"235 2.7.0 ok, go ahead (#2.7.0)\r\n"
NO = b"535 5.7.8 sorry, that name and password do not go together (#5.7.8)\r\n"
READY = b"220 2.0.0 ready for tls\r\n"
BOB = base64.b64encode(b"\0bob\0open sesame")


def terms(**changes: typing.Any) -> smtpevents.Terms:
    """Those of a port where everything is possible in the clear."""
    values: dict[str, typing.Any] = {
        "starttls": True, "secured": False, "tls_first": False, "login_first": False, "mechanisms": sasl.MECHANISMS,
        "locked": False, "nonce": b"1.2.abc"}
    return smtpevents.Terms(**(values | changes))


LOCKED: dict[str, typing.Any] = {"mechanisms": (), "locked": True}
SECURED: dict[str, typing.Any] = {"starttls": False, "secured": True}


class Driver:
    """Lets bob in, whose password is `open sesame`; SCRAM is two rounds of words."""

    def __init__(self, the_terms: smtpevents.Terms, after: "smtpevents.Terms | None" = None) -> None:
        self.session = smtp.Session(b"mx.test", 0, the_terms)
        self.said = b""
        self._after = after or terms(**SECURED)         # TLS
        self.events: list[Record] = []
        self.secured: list[smtp.Session] = []
        self.greeting = self.session.output()

    def send(self, text: bytes) -> bytes:
        """What the server says to `text`."""
        self.session.receive(text)
        while True:
            event = self.session.next_event()
            if event is smtpevents.NEED_DATA or isinstance(event, smtpevents.Closed):
                break
            self.events.append(event)
            self._answer(event)
        said = self.session.output()
        if event is smtpevents.SECURING:
            self.secured.append(self.session)
            self.session = smtp.Session(b"mx.test", 0, self._after, greeted=True)
        self.said += said
        return said

    def _answer(self, event: Record) -> None:
        if isinstance(event, sasl.Check):
            if (event.name, event.secret) in ((b"bob", b"open sesame"), (b"bob", b"5" * 32)):
                self.session.logged_in(b"bob@domain1.test")
            else:
                self.session.refuse(reply.LOGIN_FAILED)
        elif isinstance(event, sasl.Relay):
            if event.message == b"first":
                self.session.challenge(b"second")
            elif event.message == b"third":
                self.session.logged_in(b"bob@domain1.test")
            else:
                self.session.refuse(reply.LOGIN_FAILED)
        elif event is smtpevents.END:
            self.session.finish(reply.QUEUED % (1, 2))
        elif not isinstance(event, smtpevents.Text):
            self.session.accept()


def coded(text: bytes) -> bytes:
    """`text` in base64."""
    return base64.b64encode(text)


@pytest.mark.parametrize(("changes", "lines"), [
    ({}, b"250-STARTTLS\r\n250-AUTH PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256\r\n"),
    ({"mechanisms": (b"PLAIN", b"LOGIN")}, b"250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n"),
    (LOCKED, b"250-STARTTLS\r\n"),
    (SECURED | {"mechanisms": (b"PLAIN",)}, b"250-AUTH PLAIN\r\n"),
    ({"starttls": False, "mechanisms": ()}, b""),
])
def test_ehlo_says_what_is_possible_now(changes: "dict[str, typing.Any]", lines: bytes) -> None:
    assert FEATURES % lines == Driver(terms(**changes)).send(b"EHLO x\r\n")


def test_who_is_logged_in_is_not_asked_again() -> None:
    driver = Driver(terms(**SECURED))
    driver.send(b"AUTH PLAIN " + BOB + b"\r\n")

    assert FEATURES % b"" == driver.send(b"EHLO x\r\n")
    assert b"bob@domain1.test" == driver.session.login


@pytest.mark.parametrize(("changes", "sent", "said"), [
    # AUTH
    ({}, b"AUTH PLAIN " + BOB, OK),
    ({}, b"auth plain " + BOB, OK),
    ({}, b"AUTH PLAIN\r\n" + BOB, b"334 \r\n" + OK),
    ({}, b"AUTH PLAIN =", reply.LOGIN_MALFORMED),
    ({}, b"AUTH PLAIN " + coded(b"\0bob\0wrong"), NO),
    ({}, b"AUTH LOGIN\r\nYm9i\r\n" + coded(b"open sesame"), b"334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n" + OK),
    ({}, b"AUTH LOGIN Ym9i\r\n" + coded(b"open sesame"), b"334 UGFzc3dvcmQ6\r\n" + OK),
    ({}, b"AUTH CRAM-MD5\r\n" + coded(b"bob " + b"5" * 32),
     b"334 " + coded(b"<1.2.abc.1@mx.test>") + b"\r\n" + OK),
    ({}, b"AUTH SCRAM-SHA-256 " + coded(b"first") + b"\r\n" + coded(b"third"), b"334 " + coded(b"second") + b"\r\n" + OK),
    ({}, b"AUTH SCRAM-SHA-256\r\n" + coded(b"nonsense"), b"334 \r\n" + NO),
    ({}, b"AUTH PLAIN " + BOB + b"\r\nAUTH PLAIN " + BOB, OK + reply.LOGIN_ALREADY),
    ({}, b"MAIL FROM:<>\r\nAUTH PLAIN " + BOB, reply.MAIL_OK + reply.LOGIN_LATE),
    ({}, b"AUTH", reply.SYNTAX),
    ({}, b"AUTH GSSAPI", reply.MECHANISM),
    ({"mechanisms": (b"PLAIN",)}, b"AUTH LOGIN", reply.MECHANISM),
    ({}, b"AUTH LOGIN\r\n*\r\nNOOP", b"334 VXNlcm5hbWU6\r\n" + reply.LOGIN_CANCELLED + reply.NOOP),
    ({}, b"AUTH LOGIN\r\nNOOP\r\nNOOP", b"334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n" + NO),
    ({}, b"AUTH LOGIN\r\n%%\r\nNOOP", b"334 VXNlcm5hbWU6\r\n" + reply.LOGIN_MALFORMED + reply.NOOP),
    ({}, b"AUTH LOGIN\r\n" + b"a" * 5000 + b"\r\nNOOP", b"334 VXNlcm5hbWU6\r\n" + reply.LINE_TOO_LONG + reply.NOOP),
    (LOCKED, b"AUTH PLAIN " + BOB, reply.TLS_FOR_LOGIN),
    ({"mechanisms": ()}, b"AUTH PLAIN " + BOB, reply.UNIMPLEMENTED),
    ({}, b"MAIL FROM:<> AUTH=<>", reply.MAIL_OK),
    ({}, b"MAIL FROM:<> AUTH=e+3Dmc2@example.com", reply.MAIL_OK),
    ({}, b"MAIL FROM:<> AUTH=", reply.PARAMETER_VALUE),
    ({"mechanisms": ()}, b"MAIL FROM:<> AUTH=<>", reply.PARAMETER),
    # what comes first
    ({"login_first": True}, b"MAIL FROM:<>\r\nRCPT TO:<a@b.test>", reply.LOGIN_FIRST + reply.MAIL_FIRST),
    ({"login_first": True}, b"AUTH PLAIN " + BOB + b"\r\nMAIL FROM:<>", OK + reply.MAIL_OK),
    (LOCKED | {"login_first": True}, b"MAIL FROM:<>", reply.TLS_FIRST),
    ({"tls_first": True}, b"MAIL FROM:<>\r\nAUTH PLAIN " + BOB + b"\r\nRSET\r\nNOOP",
     reply.TLS_FIRST * 3 + reply.NOOP),
    # STARTTLS
    ({}, b"STARTTLS", READY),
    ({}, b"STARTTLS now", reply.SYNTAX),
    ({"starttls": False}, b"STARTTLS", reply.UNIMPLEMENTED),
    (SECURED, b"STARTTLS", reply.TLS_ALREADY),
])
def test_dialogue_whole_and_byte_by_byte_and_cut_anywhere(
        changes: "dict[str, typing.Any]", sent: bytes, said: bytes) -> None:
    sent += b"\r\n"
    assert said == Driver(terms(**changes)).send(sent)
    driver = Driver(terms(**changes))
    for at in range(len(sent)):
        driver.send(sent[at:at + 1])
    assert said == driver.said
    for cut in range(1, min(len(sent), 200)):
        driver = Driver(terms(**changes))
        driver.send(sent[:cut])
        driver.send(sent[cut:])

        assert said == driver.said, cut


@pytest.mark.parametrize("path", sorted((smtp_transcript.FOLDER.parent / "submission").iterdir()),
                         ids=lambda each: each.stem)
def test_submission_whole_and_byte_by_byte_and_cut_anywhere(path: pathlib.Path) -> None:
    transcript = smtp_transcript.Transcript(str(path))
    for pieces in smtp_transcript.pieces(transcript):
        driver = Driver(terms(**LOCKED, login_first=True), terms(**SECURED, login_first=True))
        for each in pieces:
            driver.send(each)

        assert transcript.server == driver.greeting + smtp_transcript.without_numbers(driver.said), pieces
        assert driver.session.next_event() is smtpevents.QUIT


def test_what_stands_behind_starttls_is_never_heard() -> None:
    driver = Driver(terms())
    said = driver.send(b"EHLO x\r\nMAIL FROM:<a@b.test>\r\nSTARTTLS\r\nRCPT TO:<bob@example.test>\r\nNOOP\r\n")

    assert said.endswith(reply.MAIL_OK + READY)
    assert reply.MAIL_FIRST == driver.send(b"RCPT TO:<bob@example.test>\r\n")
    assert [smtpevents.Mail(b"a@b.test"), smtpevents.START_TLS] == driver.events


def test_half_a_command_behind_starttls_is_not_the_beginning_of_the_next() -> None:
    driver = Driver(terms())
    driver.send(b"STARTTLS\r\nRSET\r\nNO")

    assert reply.UNIMPLEMENTED == driver.send(b"OP\r\n")


def test_who_it_was_is_forgotten_by_starttls() -> None:
    driver = Driver(terms())
    driver.send(b"EHLO before\r\nAUTH PLAIN " + BOB + b"\r\nMAIL FROM:<a@b.test> SIZE=7\r\nSTARTTLS\r\n")
    after = driver.session

    assert (b"", False, b"", None, 0) == (after.helo, after.extended, after.login, after.sender, after.size)
    assert FEATURES % b"250-AUTH PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256\r\n" == driver.send(b"EHLO after\r\n")


def test_refused_starttls_leaves_the_session_as_it_was() -> None:
    session = smtp.Session(b"mx.test", 0, terms())
    session.receive(b"EHLO x\r\nSTARTTLS\r\nNOOP\r\n")
    session.next_event()
    session.output()
    session.refuse(reply.NO_TLS_NOW)
    session.next_event()

    assert reply.NO_TLS_NOW + reply.NOOP == session.output()
    assert b"x" == session.helo


def test_each_challenge_is_new() -> None:
    driver = Driver(terms())
    said = [driver.send(b"AUTH CRAM-MD5\r\n") for _ in range(2) if driver.send(b"*\r\n")]

    assert [b"334 " + coded(b"<1.2.abc.%d@mx.test>" % number) + b"\r\n" for number in (1, 2)] == said


def test_guessing_without_sense_ends_the_session() -> None:
    driver = Driver(terms())
    for _ in range(21):
        driver.send(b"AUTH LOGIN\r\n*\r\n")

    assert driver.said.endswith(reply.TOO_MANY_ERRORS)
