"""The journal of a change is whole, or it is none."""

import pytest

from vqmail.formats import journal

STEPS = [(b"write", b"/a", b"644", b"-", b"-", b"text\nwith 5:hello, in it\0"), (b"remove", b"/b"), (b"compile", b""), (b"reload",)]
TEXT = (b"56:5:write,2:/a,3:644,1:-,1:-,25:text\nwith 5:hello, in it\0,,14:6:remove,2:/b,,13:7:compile,0:,,9:6:reload,,6:3:end,,")


def test_it_is_netstrings_in_netstrings() -> None:
    assert TEXT == journal.encode(STEPS)


def test_what_was_written_is_read() -> None:
    assert STEPS == journal.decode(TEXT)


@pytest.mark.parametrize("length", range(len(TEXT)))
def test_a_journal_that_is_cut_anywhere_is_none(length: int) -> None:
    with pytest.raises(ValueError, match="it "):
        journal.decode(TEXT[:length])


@pytest.mark.parametrize("text", [b"x", b"6:3:end,,6:3:end,,", b"10:6:rename,,6:3:end,,", b"99999999999999999999:", b"-1:x,",
                                  b"14:6:remove,2:/b,,", b"0:,6:3:end,,", b"9:6:remove,,6:3:end,,"])
def test_what_is_no_journal_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="it "):
        journal.decode(text)
