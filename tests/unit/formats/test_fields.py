"""Where a header ends and what is in it, however the message is cut into pieces."""

import pytest
from hypothesis import given, settings, strategies as st

from vqmail.formats import fields

PIECES = [b"To: a", b"\n", b"\r\n", b" b", b"\t", b":", b"x", b"From me\n", b">From\n", b"\r", b"Cc:\n", b"\xff", b"\0", b"\n\n"]
messages = st.lists(st.sampled_from(PIECES), max_size=25).map(b"".join)


def read(message: bytes, size: int) -> "tuple[list[bytes], bytes, bytes, bool]":
    """Fields, the whole rest, the stray line, CR LF?"""
    reader = fields.Reader()
    at = 0
    while not reader.complete:
        reader.feed(message[at:at + size])
        at += size
    return reader.fields(), reader.rest + message[at:], reader.stray, reader.has_crlf


@settings(max_examples=1000, deadline=None)
@given(messages | st.binary(max_size=60), st.integers(1, 9))
def test_however_it_is_cut(message: bytes, size: int) -> None:
    assert read(message, size) == read(message, 1 << 20)


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.sampled_from([each for each in PIECES if b"\r" not in each and b"From" not in each]), max_size=25).map(b"".join))
def test_no_byte_is_lost(message: bytes) -> None:
    found, rest, stray, _ = read(message, 1 << 20)
    between = b"" if stray or (not rest and b"".join(found).rstrip(b"\n") == message.rstrip(b"\n")) else b"\n"
    whole = b"".join(found) + between + rest

    assert whole.rstrip(b"\n") == message.rstrip(b"\n")


@settings(max_examples=500, deadline=None)
@given(messages)
def test_each_field_has_a_name(message: bytes) -> None:
    for each in read(message, 1 << 20)[0]:
        assert fields.name(each)
        assert each.endswith(b"\n")


@pytest.mark.parametrize(("line", "name"), [
    (b"To: joe", b"to"), (b"TO:joe", b"to"), (b"to \t: joe", b"to"), (b"a b: c", b""), (b": c", b""), (b"x", b""),
    (b"", b""), (b"\xc3\xa4: c", b""), (b"a\x7f: c", b""), (b"a\0: c", b""), (b"\ta: c", b""), (b" : c", b"")])
def test_names(line: bytes, name: bytes) -> None:
    assert fields.name(line) == name


def test_a_header_that_is_too_large() -> None:
    reader = fields.Reader(1000)
    with pytest.raises(fields.TooLarge):
        reader.feed(b"X: y\n" * 201)


def test_one_field_that_is_too_large() -> None:
    reader = fields.Reader(2000)
    reader.feed(b"X: " + b"y" * 1500)
    with pytest.raises(fields.TooLarge):
        reader.feed(b"y" * 1500)


def test_a_header_of_just_the_limit() -> None:
    reader = fields.Reader(1000)
    reader.feed(b"X: y\n" * 200 + b"\nbody")

    assert (len(reader.fields()), reader.rest) == (200, b"body")


def test_a_body_without_lines_ends_the_header_before_it_is_all_there() -> None:
    reader = fields.Reader()
    reader.feed(b"To: joe\n" + b"\x89PNG" * 1000)

    assert reader.complete
    assert reader.rest == b"\x89PNG" * 1000


def test_a_megabyte_of_lines_in_small_pieces() -> None:
    message = b"X: y\n z\n" * 100_000 + b"\n"
    found, _, _, _ = read(message, 100)

    assert found == [b"X: y\n z\n"] * 100_000


def test_one_long_line_in_single_bytes() -> None:
    found, _, _, _ = read(b"X: " + b"y" * 300_000, 1)

    assert found == [b"X: " + b"y" * 300_000 + b"\n"]
