"""The pure parts of the small commands."""

import pytest
import support

from vqmail.prog import maildir2mbox, mailsubj, qbiff


@pytest.mark.parametrize(("start", "expected"), [
    (b"Return-Path: <ann@far.test>\nSubject: x\n", b"ann@far.test"),
    (b"Return-Path: <>\n\n", b""),
    (b'Return-Path: <"a b"@far.test>\n', b'"a b"@far.test'),
    (b"Subject: x\nReturn-Path: <ann@far.test>\n", support.NO_SENDER),
    (b"Return-Path: <ann@far.test>", support.NO_SENDER),
    (b"Return-Path: ann@far.test\n", support.NO_SENDER),
    (b"", support.NO_SENDER)])
def test_the_sender_of_a_message_in_a_maildir(start: bytes, expected: bytes) -> None:
    assert maildir2mbox.sender_of(start) == expected


def test_a_subject_makes_no_header_lines() -> None:
    assert mailsubj.head(b"hi\nBcc: all@x\r\n\nbody", [b"a@x", b"b@x\nBcc: c@x"]) == (
        b"Subject: hi Bcc: all@x   body\nTo: a@x,\n  b@x Bcc: c@x\n\n")


def test_a_notice_is_two_lines_and_a_bell() -> None:
    assert qbiff.notice(b"joe", b"ann@far.test", b"From: x\nSubject: hi\n there\n\nfirst\nsecond\n") == (
        b"\r\n\a*** TO <joe> FROM <ann@far.test>\r\n    hi there/first/second/\r\n")


def test_no_escape_sequence_reaches_a_terminal() -> None:
    every = bytes(range(256))
    text = qbiff.notice(every, b"\x1b[2J\x9b\x07", b"Subject: \x1b]0;evil\x07\n\n\x1bc\x90\xff" + every)

    assert text.startswith(b"\r\n\a*** TO <")
    assert all(32 <= each < 127 for each in text.replace(b"\r\n", b"").removeprefix(b"\a"))
    assert text.count(b"\r\n") == 3


def test_a_notice_is_cut() -> None:
    first, second, third, _ = qbiff.notice(b"j" * 1000, b"s", b"Subject: " + b"x" * 1000 + b"\n\n").split(b"\r\n")

    assert (first, len(second), len(third)) == (b"", 301, 78)
