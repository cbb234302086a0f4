"""Our own Delivered-To line in a header ends a loop."""

import pytest

from vqmail.formats import header


@pytest.mark.parametrize(("message", "expected"), [
    (b"Delivered-To: joe@example.com\nS: x\n\n", True),
    (b"S: x\nDelivered-To: joe@example.com\n\nbody", True),
    (b"S: x\nDelivered-To: joe@EXAMPLE.Com\n\n", True),
    (b"Delivered-To: joe@example.com", True),
    (b"Delivered-To: joe@Example.com", True),
    (b"Delivered-To: Joe@example.com\n\n", False),
    (b"Delivered-To: xjoe@example.com\n\n", False),
    (b"Delivered-To: joe@example.com.au\n\n", False),
    (b"Delivered-To: joe@example.com \n\n", False),
    (b"delivered-to: joe@example.com\n\n", False),
    (b"X-Delivered-To: joe@example.com\n\n", False),
    (b" Delivered-To: joe@example.com\n\n", False),
    (b"S: x\n\nDelivered-To: joe@example.com\n", False),
    (b"\nDelivered-To: joe@example.com\n", False),
    (b"Delivered-To: JOE@example.com\nDelivered-To: joe@example.com\n\n", True),
    (b"", False),
])
def test_loop(message: bytes, expected: bool) -> None:
    assert expected == header.is_looping([message], b"joe@example.com")
    assert expected == header.is_looping([message[at:at + 1] for at in range(len(message))], b"joe@example.com")


def test_a_loop_is_found_below_a_megabyte_of_header() -> None:
    pieces = [b"X-Long: y\n" * 6000] * 40 + [b"Delivered-To: joe@example.com\n\n"]

    assert header.is_looping(pieces, b"joe@example.com")


def test_newline_in_an_address_cannot_hide_a_loop() -> None:
    assert header.is_looping([b"Delivered-To: a_b@example.com\n\n"], b"a\nb@example.com")
