"""Messages as they go over the line, however they are cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqmail.formats import wire
from vqmail.proto import data

# (the file, over the line without the last dot, octets without doubled dots)
FORMS = [
    (b"", b"", 0),
    (b"\n", b"\r\n", 2),
    (b"a\n", b"a\r\n", 3),
    (b"a", b"a\r\n", 3),
    (b"a\r\n", b"a\r\n", 3),
    (b"a\r\nb\nc", b"a\r\nb\r\nc\r\n", 9),
    (b".", b"..\r\n", 3),
    (b".\n", b"..\r\n", 3),
    (b"..\n.\n", b"...\r\n..\r\n", 7),
    (b"a.\n.b\n", b"a.\r\n..b\r\n", 8),
    (b"a\rb\n", b"a\rb\r\n", 5),
    (b"a\r\r\n", b"a\r\r\n", 4),
    (b"a\r", b"a\r\r\n", 4),
    (b"\r", b"\r\r\n", 3),
    (b"\r.\n", b"\r.\r\n", 4),
    (b"\n\r\n.\x00\xff", b"\r\n\r\n..\x00\xff\r\n", 9),
]
messages = st.lists(st.sampled_from([b"\r", b"\n", b".", b"a", b"\r\n", b"\n.\n", b"\x00"])).map(b"".join)
cuts = st.lists(st.integers(0, 40))


def pieces(text: bytes, places: "list[int]") -> "list[bytes]":
    ends = sorted(min(each, len(text)) for each in places)
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]


def over_the_line(parts: "list[bytes]") -> bytes:
    stuffer = wire.Stuffer()
    return b"".join([stuffer.feed(each) for each in parts]) + stuffer.end()


def octets(parts: "list[bytes]") -> int:
    count = wire.Octets()
    for each in parts:
        count.add(each)
    return count.octets


@pytest.mark.parametrize(("text", "form", "size"), FORMS)
def test_form_and_octets(text: bytes, form: bytes, size: int) -> None:
    assert form + b".\r\n" == over_the_line([text])
    assert size == octets([text])


@pytest.mark.parametrize(("text", "form", "size"), FORMS)
def test_form_and_octets_cut_anywhere(text: bytes, form: bytes, size: int) -> None:
    for cut in range(len(text) + 1):
        assert form + b".\r\n" == over_the_line([text[:cut], text[cut:]])
        assert size == octets([text[:cut], text[cut:]])


@given(messages, cuts)
def test_client_gets_the_lines_back(text: bytes, places: "list[int]") -> None:
    *lines, dot, nothing = over_the_line(pieces(text, places)).split(b"\r\n")

    assert (b".", b"") == (dot, nothing)
    assert b"." not in lines                    # nothing in a message can end it

    got = b"".join(each.removeprefix(b".") + b"\r\n" for each in lines)

    assert len(got) == octets(pieces(text, places))

    plain = text.replace(b"\r\n", b"\n")
    missing = b"" if plain.endswith(b"\n") or not plain else b"\n"

    assert plain + missing == got.replace(b"\r\n", b"\n")


MESSAGE = b"A: b\nC: d\n\n1\n2\n3"


@pytest.mark.parametrize(("text", "lines", "top"), [
    (MESSAGE, 0, b"A: b\nC: d\n\n"),
    (MESSAGE, 1, b"A: b\nC: d\n\n1\n"),
    (MESSAGE, 2, b"A: b\nC: d\n\n1\n2\n"),
    (MESSAGE, 3, MESSAGE),
    (MESSAGE, 999999999, MESSAGE),
    (b"A: b\r\n\r\n1\r\n2\r\n", 1, b"A: b\r\n\r\n1\r\n"),
    (b"A: b\n\r\n1\n\n2\n", 1, b"A: b\n\r\n1\n"),
    (b"\n1\n2\n", 1, b"\n1\n"),
    (b"\r\n1\n2\n", 0, b"\r\n"),
    (b"no body\n", 0, b"no body\n"),
    (b"no end", 7, b"no end"),
    (b"", 1, b""),
])
def test_top_is_header_and_lines_however_cut(text: bytes, lines: int, top: bytes) -> None:
    for first in range(len(text) + 1):
        for second in range(first, len(text) + 1):
            cutter = wire.Top(lines)
            got = b""
            for piece in (text[:first], text[first:second], text[second:]):
                if not cutter.complete:
                    got += cutter.feed(piece)

            assert top == got


# ---- to another host ----

def outgoing(parts: "list[bytes]") -> "tuple[bytes, int]":
    """What goes over the line, and how many octets that is called."""
    form = wire.Outgoing()
    made = b"".join([form.feed(each) for each in parts]) + form.end()
    return made, form.octets


@pytest.mark.parametrize(("text", "form", "size"), [
    (b"", b"", 0),
    (b"\n", b"\r\n", 2),
    (b"a", b"a\r\n", 3),
    (b"a\n", b"a\r\n", 3),
    (b"a\r\nb\nc", b"a\r\nb\r\nc\r\n", 9),
    (b".", b"..\r\n", 3),
    (b"..\n.\n", b"...\r\n..\r\n", 7),
    (b"a\r", b"a\r\n", 3),
    (b"a\rb\n", b"a\r\nb\r\n", 6),
    (b"a\r\r\n", b"a\r\n\r\n", 5),
    (b"a\n\r", b"a\r\n\r\n", 5),
    (b"foo\r.\r\n", b"foo\r\n..\r\n", 8),
    (b"\r.\r", b"\r\n..\r\n", 5),
])
def test_outgoing_form_and_octets(text: bytes, form: bytes, size: int) -> None:
    for cut in range(len(text) + 1):
        assert (form + b".\r\n", size) == outgoing([text[:cut], text[cut:]])


def test_no_message_ends_before_its_end() -> None:
    """Every message of up to five bytes that are CR, LF, a dot or an x, however it is cut in two."""
    for length in range(6):
        for letters in itertools.product((b"\r", b"\n", b".", b"x"), repeat=length):
            text = b"".join(letters)
            lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            if lines and not lines.endswith(b"\n"):
                lines += b"\n"
            whole, _ = outgoing([text])
            for cut in range(length + 1):
                assert whole == outgoing([text[:cut], text[cut:]])[0]
            for place in range(len(whole) + 1):                     # the reader may get it in pieces, too
                content = data.Content()
                read = content.feed(whole[:place])
                assert place == len(whole) or content.rest is None, whole
                if content.rest is None:
                    read += content.feed(whole[place:])

                assert (read, content.rest) == (lines, b"")
            for end in (b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r\n.\r"):     # what lax readers take for the end
                assert end not in whole[:-5] + whole[-5:].replace(b"\r\n.\r\n", b"")
