"""mboxrd quoting."""

import pytest

from vqmail.formats import mboxrd


def quoted(*pieces: bytes) -> bytes:
    return b"".join(mboxrd.quoted(pieces))


@pytest.mark.parametrize(("message", "expected"), [
    (b"S: x\n\nbody\n", b"S: x\n\nbody\n\n"),
    (b"S: x\n\nno newline", b"S: x\n\nno newline\n\n"),
    (b"", b"\n"),
    (b"\n", b"\n\n"),
    (b"From here\n", b">From here\n\n"),
    (b"a\nFrom here\n>From there\n>>From x", b"a\n>From here\n>>From there\n>>>From x\n\n"),
    (b"a From b\n From c\nFromage\n> From d\nfrom e\n", b"a From b\n From c\nFromage\n> From d\nfrom e\n\n"),
    (b"a\0b\nFrom \xe9\0\n", b"a\0b\n>From \xe9\0\n\n"),
    (b"a\r\nFrom b\r\n", b"a\r\n>From b\r\n\n"),
    (b"From \n", b">From \n\n"),
    (b"From", b"From\n\n"),
])
def test_quoting(message: bytes, expected: bytes) -> None:
    assert expected == quoted(message)


MESSAGE = b"a\nFrom b\n>>From c\nx From y\nFrom"


@pytest.mark.parametrize("cut", range(len(MESSAGE) + 1))
def test_quoting_does_not_depend_on_how_it_comes(cut: int) -> None:
    assert quoted(MESSAGE[:cut], MESSAGE[cut:]) == b"a\n>From b\n>>>From c\nx From y\nFrom\n\n"


@pytest.mark.parametrize("length", [8191, 8192, 8193, 65535, 65536, 65537, 200_000])
def test_from_inside_a_long_line_is_not_quoted(length: int) -> None:
    message = b"x" * length + b"From y\nFrom z\n"
    pieces = [message[at:at + 4096] for at in range(0, len(message), 4096)]

    assert quoted(*pieces) == b"x" * length + b"From y\n>From z\n\n"
