"""Netstrings, however they are cut, and what only looks like them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqmail.formats import netstring, qmtp

WIRE = b"13:5:hello,2:,,,,3:yes,"


def decoder(*pieces: bytes) -> netstring.Decoder:
    """A decoder whose input comes in these pieces."""
    rest = iter([each for each in pieces if each])
    return netstring.Decoder(lambda: next(rest, b""))


def refusal(wire: bytes, limit: int = 1000) -> str:
    """What one netstring at the start of `wire` is taken for, as the name of the error."""
    try:
        decoder(wire).whole(limit, limit)
    except (netstring.Malformed, netstring.Unfinished, netstring.TooLong) as error:
        return type(error).__name__
    return "fine"


def nested(source: netstring.Decoder) -> "list[bytes | None]":
    """All that is in the first netstring, and the one behind it."""
    found: list[bytes | None] = []
    source.begin(100)
    while source.left:
        found.append(source.whole(100, 100))
    source.end()
    return [*found, source.whole(100, 100)]


def test_encode() -> None:
    assert netstring.encode(b"hello") == b"5:hello,"
    assert netstring.encode(b"") == b"0:,"


@pytest.mark.parametrize("cut", range(len(WIRE) + 1))
def test_cut_anywhere(cut: int) -> None:
    assert [b"hello", b",,", b"yes"] == nested(decoder(WIRE[:cut], WIRE[cut:]))


def test_byte_by_byte() -> None:
    assert [b"hello", b",,", b"yes"] == nested(decoder(*[WIRE[at:at + 1] for at in range(len(WIRE))]))


@pytest.mark.parametrize("cut", range(len(WIRE)))
def test_what_ends_too_soon_is_unfinished(cut: int) -> None:
    with pytest.raises(netstring.Unfinished):
        nested(decoder(WIRE[:cut]))


@pytest.mark.parametrize(("wire", "expected"), [
    (b"0:,", "fine"),
    (b"005:hello,", "fine"),                    # qmail's programs take it
    (b"0000000001:x,", "fine"),
    (b"00000000001:x,", "TooLong"),
    (b"1000:" + b"x" * 1000 + b",", "fine"),
    (b"1001:", "TooLong"),
    (b"2147483648:", "TooLong"),
    (b"9999999999:", "TooLong"),
    (b"99999999999999999999999:", "TooLong"),
    (b"99999999999", "TooLong"),
    (b":,", "Malformed"),
    (b"-1:x,", "Malformed"),
    (b"+1:x,", "Malformed"),
    (b" 1:x,", "Malformed"),
    (b"1 :x,", "Malformed"),
    (b"1_0:xxxxxxxxxx,", "Malformed"),
    (b"0x1:x,", "Malformed"),
    ("٣:xxx,".encode(), "Malformed"),
    (b"1:x", "Unfinished"),
    (b"1:x;", "Malformed"),
    (b"1:xx,", "Malformed"),
    (b"2:x,", "Unfinished"),
    (b"5", "Unfinished"),
    (b"", "Unfinished"),
    (b"EHLO x\r\n", "Malformed"),
    (b"GET / HTTP/1.0\r\n", "Malformed"),
])
def test_one(wire: bytes, expected: str) -> None:
    assert expected == refusal(wire)


@pytest.mark.parametrize("wire", [
    b"4:2:ab,,", b"4:1:ab,", b"3:2:a,,", b"1:2,:a", b"2:1:,", b"3:1:a,", b"5:9999:,"])
def test_one_that_is_longer_than_what_it_is_in(wire: bytes) -> None:
    source = decoder(wire + b"1:x," * 10)
    source.begin(100)
    with pytest.raises(netstring.Malformed):
        while source.left:
            source.whole(10000, 10000)


def test_more_than_there_should_be_is_malformed() -> None:
    source = decoder(b"8:1:a,1:b,,")
    source.begin(100)
    source.whole(10, 10)
    with pytest.raises(netstring.Malformed):
        source.end()


def test_one_over_the_limit_is_skipped_and_the_next_is_read() -> None:
    source = decoder(b"5:hello,1:x,")

    assert source.whole(4, 100) is None
    assert source.whole(4, 100) == b"x"
    assert source.at_end()


def test_large_ones_come_as_they_arrive() -> None:
    source = decoder(b"200000000:", b"a" * 10, b"b" * 20)
    source.begin(200_000_000)
    pieces = source.pieces()

    assert [next(pieces), next(pieces)] == [b"a" * 10, b"b" * 20]
    assert source.left == 199_999_970


def test_at_end() -> None:
    assert decoder().at_end()
    assert not decoder(b"0").at_end()


@given(st.lists(st.binary(max_size=50), max_size=10), st.data())
def test_what_was_encoded_is_decoded_however_it_is_cut(strings: "list[bytes]", draw: st.DataObject) -> None:
    wire = netstring.encode(b"".join(netstring.encode(each) for each in strings)) + netstring.encode(b"end")
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(wire)), max_size=5)))
    pieces = [wire[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(wire)], strict=True)]

    source = decoder(*pieces)
    source.begin(1000)
    found = []
    while source.left:
        found.append(source.whole(100, 100))
    source.end()
    assert found == strings
    assert source.whole(100, 100) == b"end"
    assert source.at_end()


@given(st.lists(st.binary(min_size=1, max_size=20) | st.from_regex(rb"[0-9]{1,3}:[a-z0-9:,]{0,9},", fullmatch=True)))
def test_whatever_comes_is_netstrings_or_one_of_three_errors(pieces: "list[bytes]") -> None:
    source = decoder(*pieces)
    total = 0
    try:
        while not source.at_end():
            source.begin(300)
            while source.left:
                total += len(source.whole(5, 100) or b"")
            source.end()
    except (netstring.Malformed, netstring.Unfinished, netstring.TooLong):
        pass
    assert total <= sum(len(each) for each in pieces)


# ---- the message in QMTP ----

def text(*pieces: bytes) -> bytes:
    """The text of a message that comes in these pieces."""
    made = qmtp.Text()
    return b"".join([made.feed(each) for each in pieces]) + made.end()


@pytest.mark.parametrize(("wire", "expected"), [
    (b"\n", b""),
    (b"\na\nb\n", b"a\nb\n"),
    (b"\na\r\nb\rc\n\r", b"a\r\nb\rc\n\r"),
    (b"\r", b""),
    (b"\r\n", b"\n"),
    (b"\ra\r\nb\r\n", b"a\nb\n"),
    (b"\ra\r\r\nb", b"a\r\nb"),
    (b"\ra\rb\r", b"a\rb\r"),
    (b"\r\r", b"\r"),
    (b"\r\r\r\n", b"\r\n"),
    (b"\ra\nb", b"a\nb"),
    (b"\r\x00\xff\r\n.\r\n", b"\x00\xff\n.\n"),
])
def test_lines_of_a_message(wire: bytes, expected: bytes) -> None:
    for cut in range(len(wire) + 1):
        assert expected == text(wire[:cut], wire[cut:])
    assert expected == text(*[wire[at:at + 1] for at in range(len(wire))])


@pytest.mark.parametrize("wire", [b"", b"x\n", b"Subject: x\n", b"\x00", b"0"])
def test_a_message_must_say_how_its_lines_end(wire: bytes) -> None:
    with pytest.raises(ValueError, match="first byte|begins with"):
        text(wire)
