"""The part of a bounce that QSBMF knows."""

import pytest

from vqmail.formats import bounce


@pytest.mark.parametrize(("recipient", "report", "text"), [
    (b"a@b", b"no\n", b"<a@b>:\nno\n\n"),
    (b"a@b", b"no", b"<a@b>:\nno\n\n"),
    (b"a@b", b"", b"<a@b>:\n\n"),
    (b"a\nb@c", b"no\n", b"<a_b@c>:\nno\n\n"),
    (b"a@b", b"one\n\ntwo\n\n\nthree\n", b"<a@b>:\none\n/two\n/\nthree\n\n"),
    (b"a@b", b"dos\r\n\r\nend\r\n", b"<a@b>:\ndos\n/end\n\n"),
    (b"a@b", b"550 no\n<ann@b>:\n \t<joe@b>: no\n--- end\n - a < b\n", (
        b"<a@b>:\n550 no\n/<ann@b>:\n/ \t<joe@b>: no\n/--- end\n/ - a < b\n\n")),
    (b"a@b", b"<ann@b>:\n", b"<a@b>:\n/<ann@b>:\n\n"),
    (b"a@b", b"550 " + b"x" * 896 + b"<joe@b>:" + b"y" * 893 + b"\nend\n", (
        b"<a@b>:\n550 " + b"x" * 896 + b"\n/<joe@b>:" + b"y" * 892 + b"\ny\nend\n\n")),
    (b"a@b", b"nul \0 cr \r bell \a tab \t\n", b"<a@b>:\nnul ? cr ? bell ? tab \t\n\n"),
    (b"a@b", b"caf\xe9\n", b"<a@b>:\ncaf\xe9\n\n"),
])
def test_a_paragraph_has_no_empty_line_but_its_last(recipient: bytes, report: bytes, text: bytes) -> None:
    assert bounce.paragraph(recipient, report) == text


TWO = b"<a@b>:\nno\n\n<c d@e>:\nnot\n/ever\n\n"


@pytest.mark.parametrize("cut", range(len(TWO) + 1))
def test_paragraphs_are_read_however_cut(cut: int) -> None:
    assert list(bounce.paragraphs([TWO[:cut], TWO[cut:]])) == [(b"a@b", b"no\n"), (b"c d@e", b"not\n/ever\n")]


@pytest.mark.parametrize(("sender", "envelope"), [
    (b"s@x", (b"", b"s@x")),
    (b"", (b"#@[]", b"postmaster@here")),
    (b"#@[]", None),
    (b"list-@lists.test-@[]", (b"", b"list-@lists.test")),
    (b"-@[]", (b"#@[]", b"postmaster@here")),
])
def test_who_gets_a_bounce(sender: bytes, envelope: "tuple[bytes, bytes] | None") -> None:
    assert bounce.envelope(sender, b"postmaster@here") == envelope


@pytest.mark.parametrize("sender", [b"", b"#@[]"])
def test_bounces_of_bounces_may_be_for_nobody(sender: bytes) -> None:
    assert bounce.envelope(sender, b"") is None


def test_the_words_to_people_begin_and_end_as_qsbmf_wants() -> None:
    assert bounce.preamble(b"here.test") == b"Hi. This is the qmail-send program at here.test."
    assert bounce.introduction(b"here.test", double=False) == (
        b"Hi. This is the qmail-send program at here.test.\n"
        b"Your message could not be delivered to the addresses below, and I have given up.\n"
        b"What each of them answered follows its name.\n\n")
    assert bounce.introduction(b"here.test", double=True) == (
        b"Hi. This is the qmail-send program at here.test.\n"
        b"A bounce that I sent could not be delivered.\n\n")
    assert bounce.break_line(b"message/rfc822", double=False) == b"--- Below this line is a copy of the message.\n"
    assert bounce.break_line(b"text/rfc822-headers", double=False) == (
        b"--- Below this line is a copy of the mail header.\n")
    assert bounce.break_line(b"message/rfc822", double=True) == b"--- Below this line is the original bounce.\n"
