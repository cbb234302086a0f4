"""Replies of servers, the good ones and the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqmail.proto import replies


def parsed(received: bytes) -> "list[tuple[int, bytes]]":
    parser = replies.Replies()
    parser.feed(received)
    found = []
    while reply := parser.next():
        found.append((reply.code, reply.text))
    return found


@pytest.mark.parametrize(("received", "expected"), [
    (b"250 ok\r\n", [(250, b"250 ok\n")]),
    (b"250\r\n", [(250, b"250\n")]),
    (b"250 ok\n", [(250, b"250 ok\n")]),
    (b"250-a\r\n250-b\n250 c\r\n", [(250, b"250-a\n250-b\n250 c\n")]),
    (b"250-a\r\n550 b\r\n", [(550, b"250-a\n550 b\n")]),
    (b"250 a\rb\r\r\n", [(250, b"250 ab\n")]),
    (b"550 a\x00b\x1b[2Jc\x7f\td\xc3\xa4\r\n", [(550, b"550 a?b?[2Jc?\td\xc3\xa4\n")]),
    (b"250 a\r\n354 b\r\n421", [(250, b"250 a\n"), (354, b"354 b\n")]),
    (b"250-a\r\n250", []),
    (b"250 " + b"x" * 4092 + b"\n", [(250, b"250 " + b"x" * 4092 + b"\n")]),
    (b"250-x\r\n" * 99 + b"250 y\r\n", [(250, b"250-x\n" * 99 + b"250 y\n")]),
    (b"550-" + b"x" * 4000 + b"\n550 " + b"y" * 4000 + b"\n", [(550, b"550-" + b"x" * 4000 + b"\n550 " + b"y" * 990 + b"\n")]),
])
def test_replies(received: bytes, expected: "list[tuple[int, bytes]]") -> None:
    assert expected == parsed(received)


@pytest.mark.parametrize("received", [
    b"\r\n", b"hello\r\n", b"25 ok\r\n", b"2500 ok\r\n", b"250ok\r\n", b"250-a\r\nb\r\n", b" 250 ok\r\n", b"+OK\r\n",
    b"\xb2\xb2\xb2 ok\r\n", b"250_ok\r\n",
    b"x" * 4097,
    b"250 " + b"x" * 4093 + b"\n",
    b"250-x\r\n" * 101,
])
def test_what_is_no_reply_is_nonsense(received: bytes) -> None:
    with pytest.raises(replies.Nonsense):
        parsed(received)


@given(st.lists(st.sampled_from([b"2", b"5", b"0", b" ", b"-", b"\r", b"\n", b"\r\n", b"250 ", b"a", b"\x00", b"\xff"])).map(b"".join))
def test_whatever_comes_is_a_reply_or_nonsense(received: bytes) -> None:
    try:
        parsed(received)
    except replies.Nonsense:
        pass


def test_replies_cut_at_every_byte() -> None:
    received = b"220-mx\r\n220 ESMTP\r\n250 ok\n"
    for cut in range(len(received) + 1):
        parser = replies.Replies()
        found = []
        for piece in (received[:cut], received[cut:]):
            parser.feed(piece)
            while reply := parser.next():
                found.append(reply.code)

        assert found == [220, 250]
        assert not parser.pending()


def test_what_is_offered_is_read_in_any_case_and_also_as_it_was_written_once() -> None:
    text = b"250-far.test hello\n250-size 1000\n250-AUTH PLAIN\n250-AUTH=LOGIN\n250 8bitmime\n"

    assert replies.offers(text) == {b"SIZE": [b"1000"], b"AUTH": [b"PLAIN", b"LOGIN"], b"8BITMIME": []}


@pytest.mark.parametrize(("offered", "expected"), [
    ({b"SIZE": [b"1000"]}, 1000),
    ({b"SIZE": []}, 0),
    ({b"SIZE": [b"much"]}, 0),
    ({b"SIZE": [b"9" * 19]}, 0),
    ({}, 0),
])
def test_a_size_that_is_no_number_is_no_limit(offered: "dict[bytes, list[bytes]]", expected: int) -> None:
    assert replies.size_limit(offered) == expected
