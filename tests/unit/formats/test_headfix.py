"""What is added to a message that is handed in, and that nothing else is."""

import pytest
from hypothesis import given, strategies as st

from vqmail.formats import headfix

D, M = b"Date: now\n", b"Message-ID: <1@a.test>\n"
MISSING = {b"date": D, b"message-id": M}


def passed(*pieces: bytes) -> bytes:
    each = headfix.Filter(MISSING)
    return b"".join([each.feed(piece) for piece in pieces]) + each.end()


CASES = [
    # nothing is missing: to the byte, whatever it is
    (b"Date: x\nMessage-ID: y\n\nbody\n", b"Date: x\nMessage-ID: y\n\nbody\n"),
    (b"DATE : x\nmessage-id\t:y\nBcc: ann\n\nbody", b"DATE : x\nmessage-id\t:y\nBcc: ann\n\nbody"),
    (b"Date:\nMessage-ID:\n\n", b"Date:\nMessage-ID:\n\n"),
    (b"Date: x\nMessage-ID: y\nno field\n", b"Date: x\nMessage-ID: y\nno field\n"),
    (b"Date: x\nMessage-ID: y", b"Date: x\nMessage-ID: y"),
    # one or both are
    (b"From: a\nSubject: b\n\nDate: body\n", b"From: a\nSubject: b\n" + D + M + b"\nDate: body\n"),
    (b"Date: x\n\n\n\n", b"Date: x\n" + M + b"\n\n\n"),
    (b"Message-ID: x\n\nbody", b"Message-ID: x\n" + D + b"\nbody"),
    (b"\nbody\n", D + M + b"\nbody\n"),
    (b"\n", D + M + b"\n"),
    (b"", D + M),
    # names that are only like them
    (b"Resent-Date: x\nDated: x\nX-Message-ID: y\n\n", b"Resent-Date: x\nDated: x\nX-Message-ID: y\n" + D + M + b"\n"),
    (b"Subject: x\n Date: folded\n\tMessage-ID: folded\n\n",
     b"Subject: x\n Date: folded\n\tMessage-ID: folded\n" + D + M + b"\n"),
    # the header ends with the message
    (b"Subject: x\n", b"Subject: x\n" + D + M),
    (b"Subject: x", b"Subject: x\n" + D + M),
    (b"Date: x", b"Date: x\n" + M),
    (b"Subject: x\n more", b"Subject: x\n more\n" + D + M),
    # a line that is none of a header
    (b"Hello,\n\nDate: body\n", D + M + b"\nHello,\n\nDate: body\n"),
    (b"Subject: x\nHello you: there\n", b"Subject: x\n" + D + M + b"\nHello you: there\n"),
    (b"Subject: x\nHello", b"Subject: x\n" + D + M + b"\nHello"),
    (b"Subject: x\n: empty\n", b"Subject: x\n" + D + M + b"\n: empty\n"),
    (b"Subject: x\nS\xfcbject: y\n", b"Subject: x\n" + D + M + b"\nS\xfcbject: y\n"),
    (b" folded first\n\n", D + M + b"\n folded first\n\n"),
    (b"x" * 255 + b": y\n\n", b"x" * 255 + b": y\n" + D + M + b"\n"),
    (b"x" * 256 + b": y\n\n", D + M + b"\n" + b"x" * 256 + b": y\n\n"),
    # an mbox's line on top
    (b"From a@b Sat Nov 21 05:18:57 2026\nSubject: x\n\n", b"From a@b Sat Nov 21 05:18:57 2026\nSubject: x\n" + D + M + b"\n"),
    (b">From a Sat\nDate: x\n\n", b">From a Sat\nDate: x\n" + M + b"\n"),
    (b"From: a\n\n", b"From: a\n" + D + M + b"\n"),
    (b"Subject: x\nFrom a Sat\n", b"Subject: x\n" + D + M + b"\nFrom a Sat\n"),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_cut_at_every_byte(text: bytes, expected: bytes) -> None:
    assert passed(text) == expected
    assert passed(*(text[at:at + 1] for at in range(len(text)))) == expected
    for cut in range(len(text)):
        assert passed(text[:cut], text[cut:]) == expected, cut


@given(st.binary(max_size=300), st.integers(1, 50))
def test_no_byte_is_lost_and_pieces_make_no_difference(text: bytes, size: int) -> None:
    whole = passed(text)

    assert passed(*(text[at:at + size] for at in range(0, len(text), size))) == whole
    assert whole.replace(D, b"").replace(M, b"").replace(b"\n", b"") == text.replace(b"\n", b"")


def test_little_is_held_back() -> None:
    each = headfix.Filter(MISSING)
    given = b"Subject: " + b"x" * 5_000_000
    assert len(each.feed(given)) == len(given)
    assert len(each.feed(b"\n" + b"y" * 255)) == 1          # who knows what that will be
    assert each.feed(b"y" * 1000) == D + M + b"\n" + b"y" * 1255
