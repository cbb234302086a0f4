"""What a notification says to programs."""

import pytest

from vqmail.formats import dsn


def test_the_header() -> None:
    text = dsn.header(b"21 Nov 2026 05:18:57 -0000", b"MAILER-DAEMON@here.test", b"a b@far.test", b"failure notice",
                      b"1.2.bounce@here.test", b"=_b", plain=True)

    assert text == (b"Date: 21 Nov 2026 05:18:57 -0000\n"
                    b"From: MAILER-DAEMON@here.test\n"
                    b'To: "a b"@far.test\n'
                    b"Subject: failure notice\n"
                    b"Message-ID: <1.2.bounce@here.test>\n"
                    b"Auto-Submitted: auto-replied\n"
                    b"MIME-Version: 1.0\n"
                    b"Content-Type: multipart/report; report-type=delivery-status;\n"
                    b'\tboundary="=_b"\n'
                    b"\n")


def test_eight_bits_are_declared() -> None:
    text = dsn.header(b"d", b"m@h", b"a@b", b"s", b"i@h", b"=_b", plain=False)

    assert text.endswith(b'boundary="=_b"\nContent-Transfer-Encoding: 8bit\n\n')
    assert dsn.part(b"=_b", dsn.WHOLE, plain=False) == (
        b"\n--=_b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\n")
    assert dsn.text_type(plain=False) == b"text/plain; charset=utf-8"


def test_a_recipient_cannot_add_a_header_line() -> None:
    assert b'\nTo: "a_Bcc: c"@d\n' in dsn.header(b"d", b"m@h", b"a\nBcc: c@d", b"s", b"i@h", b"=_b", plain=True)


def test_parts_and_their_end() -> None:
    assert dsn.part(b"=_b", dsn.text_type(plain=True), plain=True) == (
        b"\n--=_b\nContent-Type: text/plain; charset=us-ascii\n\n")
    assert dsn.end(b"=_b") == b"\n--=_b--\n"


def test_the_message() -> None:
    assert dsn.about_message(b"here.test", b"21 Nov 2026 05:18:57 -0000", 77, b"s@x") == (
        b"Reporting-MTA: dns; here.test\n"
        b"Arrival-Date: 21 Nov 2026 05:18:57 -0000\n"
        b"X-Vqmail-Queue-ID: 77\n"
        b"X-Vqmail-Sender: rfc822; s@x\n")


def test_a_local_failure() -> None:
    assert dsn.failed(b"a b@here.test", b"Sorry, no mailbox here by that name. (#5.1.1)\n") == (
        b"\n"
        b'Final-Recipient: rfc822; "a b"@here.test\n'
        b"Action: failed\n"
        b"Status: 5.1.1\n")


def test_a_remote_failure() -> None:
    assert dsn.failed(b"a@far.test", b"192.0.2.1 does not like recipient.\n"
                      b"Remote host said: 550-5.7.1 we do not\n550 5.7.1 want \xe9 you\nGiving up on 192.0.2.1.\n") == (
        b"\n"
        b"Final-Recipient: rfc822; a@far.test\n"
        b"Action: failed\n"
        b"Status: 5.7.1\n"
        b"Remote-MTA: dns; [192.0.2.1]\n"
        b"Diagnostic-Code: smtp; 550-5.7.1 we do not\n"
        b"  550 5.7.1 want ? you\n")


@pytest.mark.parametrize(("report", "host"), [
    (b"2001:db8::1 does not like recipient.\nRemote host said: 550 no\nGiving up on 2001:db8::1.\n", b"[IPv6:2001:db8::1]"),
    (b"mx.far.test does not like recipient.\nRemote host said: 550 no\nGiving up on mx.far.test.\n", b"mx.far.test"),
    (b"Connected to 192.0.2.1 but sender was rejected.\nRemote host said: 550 no\n", b"[192.0.2.1]"),
    (b"192.0.2.1 failed on DATA command.\nRemote host said: 550 no", b"[192.0.2.1]"),
    (b"words\n192.0.2.1 failed after I sent the message.\nRemote host said: 550 no\n", b"[192.0.2.1]"),
])
def test_the_other_host(report: bytes, host: bytes) -> None:
    assert dsn.failed(b"a@far.test", report).endswith(
        b"\nStatus: 5.0.0\nRemote-MTA: dns; %s\nDiagnostic-Code: smtp; 550 no\n" % host)


@pytest.mark.parametrize("report", [
    b"Sorry.\nRemote host said: 550 no\n",
    b"Remote host said: 550 no\n",
    b"It is a.b: no\nRemote host said: 550 no\n",
    b"a.b;c does not like it\nRemote host said: 550 no\n",
])
def test_who_spoke_is_not_guessed(report: bytes) -> None:
    assert dsn.failed(b"a@far.test", report).endswith(b"\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 no\n")


def test_a_delay() -> None:
    assert dsn.delayed(b"a@far.test", b"Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n",
                       b"28 Nov 2026 05:18:57 -0000") == (
        b"\n"
        b"Final-Recipient: rfc822; a@far.test\n"
        b"Action: delayed\n"
        b"Status: 4.4.1\n"
        b"Will-Retry-Until: 28 Nov 2026 05:18:57 -0000\n")


@pytest.mark.parametrize(("report", "kind", "code"), [
    (b"no\n", b"5", b"5.0.0"),
    (b"no\n", b"4", b"4.0.0"),
    (b"no (#5.1.1)\n", b"5", b"5.1.1"),
    (b"later (#4.2.1) never (#5.2.1)\n", b"5", b"5.2.1"),
    (b"later (#4.2.1) never (#5.2.1)\n", b"4", b"4.2.1"),
    (b"(#5.7.) (#5.7.1000) (#5.7.x) (# (#5.123.456)", b"5", b"5.123.456"),
    (b"Remote host said: 550 5.1.1 no (#5.9.9)\n", b"5", b"5.1.1"),
    (b"Remote host said: 550-5.1.1 no\n", b"5", b"5.1.1"),
    (b"Remote host said: 550 no (#5.1.2)\n", b"5", b"5.1.2"),
    (b"Remote host said: 550 4.1.1 no\n", b"5", b"5.0.0"),
    (b"Remote host said: 450 4.2.0 greylisted\n", b"4", b"4.2.0"),
    (b"Remote host said: 550", b"5", b"5.0.0"),
    (b"Remote host said: 550 ", b"5", b"5.0.0"),
    (b"", b"5", b"5.0.0"),
])
def test_the_status_code_of_a_report(report: bytes, kind: bytes, code: bytes) -> None:
    assert dsn.status(report, kind) == code


def test_what_was_too_long_in_the_queue_has_a_code_of_its_own() -> None:
    report = (b"Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n"
              b"I'm not going to try again; this message has been in the queue too long.\n")

    assert dsn.failed(b"a@far.test", report) == (
        b"\nFinal-Recipient: rfc822; a@far.test\nAction: failed\nStatus: 5.4.7\n")


def test_what_vq_send_adds_is_not_what_the_other_host_said() -> None:
    report = (b"Connected to 192.0.2.1 but sender was rejected.\nRemote host said: 451 4.3.0 later\n"
              b"I'm not going to try again; this message has been in the queue too long.\n")

    assert dsn.failed(b"a@far.test", report) == (
        b"\nFinal-Recipient: rfc822; a@far.test\nAction: failed\nStatus: 5.4.7\n"
        b"Remote-MTA: dns; [192.0.2.1]\nDiagnostic-Code: smtp; 451 4.3.0 later\n")


@pytest.mark.parametrize(("address", "field"), [
    ("j\u00fcrgen@far.test".encode(), b"utf-8; j\\x{FC}rgen@far.test"),
    ("a b+\u20ac@x".encode(), b"utf-8; a\\x{20}b\\x{2B}\\x{20AC}@x"),
    (b"j\xfcrgen@far.test", b'rfc822; "j?rgen"@far.test'),
    (b"a\r\nAction: x@b", b'rfc822; "a__Action: x"@b'),
])
def test_an_address_that_is_no_plain_one_breaks_no_field(address: bytes, field: bytes) -> None:
    assert dsn.failed(address, b"no\n").split(b"\n")[1] == b"Final-Recipient: " + field


def test_a_delay_in_words_is_nothing_that_looks_like_a_bounce() -> None:
    assert dsn.delay_text(b"here.test", b"28 Nov 2026 05:18:57 -0000", [(b"a@far.test", b"one\r\n\ntwo\n"), (b"b@x", b"")]) == (
        b"Your message could not be delivered yet to the addresses below.\n"
        b"There is no need to send it again: the host here.test\n"
        b"will try until 28 Nov 2026 05:18:57 -0000, and tell you if it gives up.\n"
        b"\n"
        b"    a@far.test\n"
        b"        one\n"
        b"        two\n"
        b"\n"
        b"    b@x\n"
        b"\n")


@pytest.mark.parametrize(("header", "automatic"), [
    (b"Subject: x\n", False),
    (b"Auto-Submitted: no\n", False),
    (b"auto-submitted: No (really)\n", False),
    (b"Auto-Submitted: auto-generated\n", True),
    (b"Auto-Submitted:\n auto-replied; owner-email=x\n", True),
    (b"Precedence: bulk\n", True),
    (b"Precedence : List\n", True),
    (b"precedence:\tjunk\n", True),
    (b"Precedence: first-class\n", False),
    (b"Subject: x\nList-Id: <l.lists.test>\n", True),
    (b"X-List-Id: <l>\nSubject: Precedence: bulk\n", False),
])
def test_who_waits_for_no_message_is_not_told_of_its_delay(header: bytes, automatic: bool) -> None:
    assert dsn.is_automatic(header) is automatic


@pytest.mark.parametrize(("report", "short"), [
    (b"", b""), (b"no\n", b"no\n"), (b"x" * 900 + b"\n\ny", b"x" * 900 + b"\n\ny"),
    (b"x" * 901, b"x" * 900 + b"\nx"), (b"a\n" + b"x" * 1801 + b"\n\nb\n", b"a\n" + b"x" * 900 + b"\n" + b"x" * 900 + b"\nx\n\nb\n")])
def test_no_line_of_a_report_is_too_long_for_a_mail(report: bytes, short: bytes) -> None:
    assert dsn.with_short_lines(report) == short
