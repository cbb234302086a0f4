"""Which messages get an automatic answer, and what it looks like (RFC 3834)."""

import email
import email.header
import email.policy

import pytest

from vqmail.formats import autoreply

BOB = b"bob@d.test"
TO_BOB = b"To: Bob <bob@d.test>\n"


def answer(head: bytes = TO_BOB, text: bytes = b"away\n", sender: bytes = b"ann@x.test"):
    """The answer, parsed by Python, and its text."""
    letter = autoreply.letter(head, sender, BOB, text, b"Tue, 1 Jan 2030 00:00:00 +0000", b"1.2@d.test")
    return email.message_from_bytes(letter, policy=email.policy.default), letter


@pytest.mark.parametrize("head", [
    TO_BOB, b"Cc: x@x.test,\n (yes) BOB@D.Test\n", b"To: friends: a@b.test, bob@d.test;\n", b"Resent-To: bob@d.test\n",
    b"To: (\nCc: bob@d.test\n", TO_BOB + b"Auto-Submitted: no (I wrote it)\n", TO_BOB + b"Precedence: first-class\n",
    TO_BOB + b"X-Auto-Response-Suppress: None\n", TO_BOB + b"Content-Type: multipart/mixed; boundary=multipart/report\n",
    TO_BOB + b"Subject: a\n List-Id: <not a field>\n", b"To: bob@other.test\n"])
def test_what_a_person_wrote_to_us_is_answered(head: bytes) -> None:
    assert autoreply.objection(b"ann@x.test", head, [BOB, b"bob@other.test"]) == ""


@pytest.mark.parametrize("sender", [
    b"", b"#@[]", b"ann", b"@x.test", b"MAILER-DAEMON@x.test", b"mailer-daemon@[]", b"owner-list@x.test", b"list-request@x.test",
    b"list-owner@x.test", b"bounces+ann=x@list.test", b"list-bounces@x.test", b"list-return-17-bob=d.test@x.test",
    b"No-Reply@x.test", b"noreply@x.test", b"listserv@x.test", b"SRS0=x=y=z@x.test", b"BOB@d.test", b"bob@D.TEST",
    b"a b@x.test", b"a\nb@x.test", b"a\xe9@x.test"])
def test_senders_that_get_no_answer(sender: bytes) -> None:
    assert autoreply.objection(sender, TO_BOB, [BOB]) != ""


@pytest.mark.parametrize("line", [
    b"Auto-Submitted: auto-generated\n", b"auto-submitted:AUTO-REPLIED; x=y\n", b"Auto-Submitted:\n", b"Precedence: Bulk\n",
    b"Precedence: list\n", b"Precedence: junk\n", b"List-Id: <x.x.test>\n", b"LIST-UNSUBSCRIBE: <mailto:x@x.test>\n",
    b"List-Post : NO\n", b"Mailing-List: x\n", b"X-Auto-Response-Suppress: DR, OOF\n", b"X-Spam-Flag: YES\n",
    b"Content-Type: multipart/report; report-type=delivery-status\n", b"Feedback-ID: x\n"])
def test_headers_that_get_no_answer(line: bytes) -> None:
    assert autoreply.objection(b"ann@x.test", line + TO_BOB, [BOB]) != ""
    assert autoreply.objection(b"ann@x.test", TO_BOB + line, [BOB]) != ""


@pytest.mark.parametrize("head", [b"", b"To: bobby@d.test\n", b"To: bob@d.test.x\n", b"X-To: bob@d.test\n",
                                  b"Subject: bob@d.test\n", b"To: undisclosed-recipients:;\n", b'To: "bob@d.test" <x@x.test>\n'])
def test_mail_that_does_not_name_us_is_not_answered(head: bytes) -> None:
    assert autoreply.objection(b"ann@x.test", head, [BOB]) == "neither To nor Cc names this address"


def test_the_answer_to_the_byte() -> None:
    _, letter = answer(TO_BOB + b"Subject: lunch?\nMessage-ID: <2@x.test>\nReferences: <0@x.test>\n <1@x.test>\n")

    assert letter == (b"Date: Tue, 1 Jan 2030 00:00:00 +0000\nMessage-ID: <1.2@d.test>\nFrom: <bob@d.test>\n"
                      b"To: <ann@x.test>\nSubject: Re: lunch?\nAuto-Submitted: auto-replied\nIn-Reply-To: <2@x.test>\n"
                      b"References: <0@x.test>\n <1@x.test>\n <2@x.test>\nMIME-Version: 1.0\n"
                      b"Content-Type: text/plain; charset=us-ascii\nContent-Transfer-Encoding: 7bit\n\naway\n")


@pytest.mark.parametrize(("subject", "expected"), [
    (b"", b"Re: your message"), (b"re: x", b"re: x"), (b"a\n\tb", b"Re: a b"), (b"a\r\x07b", b"Re: a b"),
    (b"word " * 80, b"Re: " + (b"word " * 40).strip()), (b"x" * 300, b"Re: your message"),
    (b"caf\xc3\xa9", b"Re: =?utf-8?Q?caf=C3=A9?="), (b"caf\xe9", b"Re: =?utf-8?Q?caf=C3=A9?=")])
def test_subjects(subject: bytes, expected: bytes) -> None:
    _, letter = answer(TO_BOB + b"Subject: " + subject + b"\n")

    assert next(each for each in letter.split(b"\n") if each.startswith(b"Subject")) == b"Subject: " + expected


@pytest.mark.parametrize("line", [b"Message-ID: x\n", b"Message-ID: <a b>\n", b"Message-ID: <" + b"x" * 600 + b">\n",
                                  b"Message-ID: <a@b>\nMessage-ID: <c@d>\n", b"Message-ID: <a>b<c>\n", b"Message-ID: <>\n"])
def test_a_message_id_that_is_none_is_not_repeated(line: bytes) -> None:
    found, _ = answer(TO_BOB + line)

    assert (found["In-Reply-To"], found["References"]) == (None, None)


def test_a_message_file_may_have_a_header() -> None:
    found, letter = answer(text="From: Bjørn Å <bob@d.test>\r\nSubject: Grüße\nContent-Type: text/plain; charset=utf-8\n\n"
                                "Bin im Urlaub.\r\nGrüße\n".encode())

    assert (found["From"], found["Subject"]) == ("Bjørn Å <bob@d.test>", "Grüße")
    assert [letter.count(each) for each in (b"\nFrom:", b"Subject:", b"Content-Type:", b"\r")] == [1, 1, 1, 0]
    assert letter.endswith("\n\nBin im Urlaub.\nGrüße\n".encode())
    assert letter.partition(b"\n\n")[0].isascii()


def test_a_message_file_sends_to_nobody_else() -> None:
    found, _ = answer(text=b"To: x@x.test\nCc: x@x.test\nBcc: x@x.test\nAuto-Submitted: no\nX-Mine: yes\n\naway\n")

    assert (found.get_all("To"), found["Cc"], found["Bcc"]) == (["ann@x.test"], None, None)
    assert (found.get_all("Auto-Submitted"), found["X-Mine"]) == (["auto-replied"], "yes")


@pytest.mark.parametrize(("text", "body"), [
    (b"Hello: I am away.\n", b"Hello: I am away.\n"), (b"Hello: away\nand so on\n\nBob\n", b"Hello: away\nand so on\n\nBob\n"),
    (b"away", b"away\n"), (b"\nSubject: no header\n\nx\n", b"Subject: no header\n\nx\n"), (b"", b""), (b"a\0b\n", b"ab\n")])
def test_a_text_without_a_header_is_all_body(text: bytes, body: bytes) -> None:
    _, letter = answer(text=text)

    assert letter.partition(b"\n\n")[2] == body


@pytest.mark.parametrize(("text", "charset", "encoding"), [
    ("é\n".encode(), "utf-8", "8bit"), ("é\n".encode("latin-1"), "iso-8859-1", "8bit"), (b"e\n", "us-ascii", "7bit")])
def test_the_charset_is_what_the_text_is_in(text: bytes, charset: str, encoding: str) -> None:
    found, _ = answer(text=text)

    assert (found.get_content_charset(), found["Content-Transfer-Encoding"]) == (charset, encoding)


def test_a_sender_with_odd_characters_is_quoted() -> None:
    found, _ = answer(sender=b'"x"@x.test')

    assert found["To"] == '"\\"x\\""@x.test'
