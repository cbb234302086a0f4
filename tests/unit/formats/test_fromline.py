"""Messages of an mbox."""

from vqmail.formats import fromline


def parts(text: bytes) -> "list[bytes]":
    return [b"".join(each) for each in fromline.messages(text.splitlines(keepends=True))]


def test_messages_are_parted_and_unquoted() -> None:
    text = b"From a Sat\nSubject: 1\n\n>From here\n>>From there\n> From x\n\nFrom b Sun\nSubject: 2\n\nno\nFrom us\n\n"

    assert parts(text) == [b"Subject: 1\n\nFrom here\n>From there\n> From x\n", b"Subject: 2\n\nno\nFrom us\n"]


def test_an_empty_mbox_has_none_and_rubbish_is_none() -> None:
    assert (parts(b""), parts(b"rubbish\n\n")) == ([], [])


def test_a_last_line_without_an_end_stays_so() -> None:
    assert parts(b"From a\n\nx") == [b"\nx"]
