"""A writer's name in From, read back by Python's email; and the date of a message."""

import email.header
import email.utils

from hypothesis import given, settings, strategies as st

from vqmail.formats import date822, quoting


def plain(field: str) -> str:
    return str(email.header.make_header(email.header.decode_header(field)))


@settings(max_examples=500, deadline=None)
@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=60))
def test_a_name_comes_back(name: str) -> None:
    written = quoting.phrase(name.encode()).decode()
    read = plain(written) if not name.isascii() else email.utils.parseaddr(written + " <a@b.example>")[0]

    assert " ".join(read.split()) == " ".join(name.split())


@given(st.text(st.characters(min_codepoint=160, exclude_categories=["Cs"]), min_size=1, max_size=60))
def test_encoded_words_are_short_and_cut_between_letters(name: str) -> None:
    words = quoting.phrase(name.encode()).split(b" ")

    assert all(len(each) <= 75 for each in words)
    assert "".join(plain(each.decode()) for each in words) == name


def test_in_a_comment() -> None:
    assert quoting.comment(b"Joe (B) \\") == b"(Joe \\(B\\) \\\\)"
    assert quoting.comment("é)".encode()) == b"(=?utf-8?Q?=C3=A9=29?=)"
    assert quoting.comment(b"J\xf6") == b"(J\xf6)"


def test_the_date_of_a_message() -> None:
    assert date822.sent(1795238337) == b"Sat, 21 Nov 2026 05:18:57 +0000"
    assert date822.sent(0) == b"Thu, 01 Jan 1970 00:00:00 +0000"
    assert date822.compact(1795238337) == b"20261121051857"
