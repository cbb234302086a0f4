"""What stands between DATA and the lone dot."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqmail.proto import data

MESSAGE = b"Subject: x\r\n\r\n..stuffed\r\n.x\r\nend\r\n.\r\nQUIT\r\n"
TEXT = b"Subject: x\n\n.stuffed\nx\nend\n"


def read(pieces: "list[bytes]") -> "tuple[bytes, bytes | None] | str":
    """(message, what follows it), or "bare"."""
    content = data.Content()
    text = b""
    for at, piece in enumerate(pieces):
        try:
            text += content.feed(piece)
        except data.BareNewline:
            return "bare"
        if content.rest is not None:
            return text, content.rest + b"".join(pieces[at + 1:])
    return text, None


def reference(wire: bytes) -> "tuple[bytes, bytes | None] | str":
    """The rule, line by line: the page that one would write without a thought of speed."""
    text = b""
    while wire:
        line, newline, after = wire.partition(b"\r\n")
        if b"\n" in line or b"\r" in line.removesuffix(b"\r" if not newline else b""):
            return "bare"
        if not newline:
            return text, None               # not a whole line yet
        if line == b".":
            return text, after
        text += line.removeprefix(b".") + b"\n"
        wire = after
    return text, None


@pytest.mark.parametrize("cut", range(len(MESSAGE) + 1))
def test_cut_anywhere(cut: int) -> None:
    assert (TEXT, b"QUIT\r\n") == read([MESSAGE[:cut], MESSAGE[cut:]])


def test_byte_by_byte() -> None:
    assert (TEXT, b"QUIT\r\n") == read([MESSAGE[at:at + 1] for at in range(len(MESSAGE))])


def test_empty_message() -> None:
    assert (b"", b"") == read([b".\r\n"])


def test_message_without_end_has_none() -> None:
    assert (b"one", None) == read([b"one\r\n.\r"])


@pytest.mark.parametrize("wire", [
    b"one\n.\r\nMAIL", b"one\r\n.\nMAIL", b"one\n.\nMAIL", b"one\r.\r\nMAIL", b"one\r.\rMAIL", b"one\r\n.\rMAIL",
    b"one\r\r\n.\r\nMAIL", b"\n.\r\n", b".\n", b".\r.\r\n", b"one\r\n\n.\r\nMAIL", b"one\r\n.\r\r\nMAIL",
])
def test_smuggled_end_is_refused_however_cut(wire: bytes) -> None:
    for cut in range(len(wire) + 1):
        assert read([wire[:cut], wire[cut:]]) == "bare"


@pytest.mark.parametrize("length", range(6))
def test_every_combination_of_cr_lf_and_dot_means_what_the_rule_says(length: int) -> None:
    for word in itertools.product(b"\r\n.", repeat=length):
        wire = b"one\r\ntwo" + bytes(word) + b"three\r\n.\r\nfour"
        expected = reference(wire)

        assert expected == read([wire]), wire
        for cut in range(8, 9 + length):
            assert expected == read([wire[:cut], wire[cut:]]), wire


@pytest.mark.parametrize("length", range(6))
def test_every_combination_at_the_start_means_what_the_rule_says(length: int) -> None:
    for word in itertools.product(b"\r\n.", repeat=length):
        wire = bytes(word) + b"x\r\n.\r\nfour"

        assert reference(wire) == read([wire]), wire


@given(st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"..", b"a", b"\0", b"\xff\r\n", b"\r\n.\r\n"])),
       st.integers(1, 9))
def test_any_bytes_mean_what_the_rule_says(words: "list[bytes]", size: int) -> None:
    wire = b"".join(words)
    expected = reference(wire)
    got = read([wire[at:at + size] for at in range(0, len(wire), size)])
    if isinstance(expected, tuple) and expected[1] is None and isinstance(got, tuple):
        # the rule knows whole lines only: the last one may be half out, and its end is held back
        assert got[1] is None
        assert got[0].startswith(expected[0].removesuffix(b"\n"))
    else:
        assert expected == got


@given(st.binary(max_size=300))
def test_dot_stuffing_and_back_changes_nothing(body: bytes) -> None:
    text = body.replace(b"\r", b"") + b"\n"
    wire = (b"\n" + text).replace(b"\n.", b"\n..")[1:].replace(b"\n", b"\r\n") + b".\r\n"

    assert (text, b"") == read([wire])


def test_little_is_held_back() -> None:
    content = data.Content()
    held = max(len(content._held) for _ in (content.feed(b"x" * 1000 + b"\r\n.\r"),))

    assert held == 4
