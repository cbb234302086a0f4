"""What the exit code of a queue program means: only 11 to 40 and 115 are for ever, only 0 is yes."""

import pytest

from vqmail.formats import answers


def test_every_code_and_signal() -> None:
    found = {code: answers.queue(code)[:1] for code in range(-64, 256)}

    assert [code for code, letter in found.items() if letter == b""] == [0]
    assert [code for code, letter in found.items() if letter == b"D"] == [*range(11, 41), 115]
    assert {letter for code, letter in found.items() if code != 0 and code != 115 and not 11 <= code <= 40} == {b"Z"}


@pytest.mark.parametrize(("custom", "answer"), [
    (b"Dno (#5.7.1)", b"Dno (#5.7.1)"), (b"Zlater (#4.7.1)", b"Zlater (#4.7.1)"), (b"", b"Z"), (b"D", b"Z"), (b"Kyes", b"Z"),
    (b"no", b"Z"), (b"D" + b"x" * 300, b"D" + b"x" * 254)])
def test_82_speaks_for_itself_but_never_says_yes(custom: bytes, answer: bytes) -> None:
    found = answers.queue(82, custom)

    assert found == answer or (answer == b"Z" and found.startswith(b"Zqueue had a problem"))
    assert answers.queue(53, custom).startswith(b"Zqueue cannot write")
