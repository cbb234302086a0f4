"""What vq-lspawn makes of the end of a delivery: only what is known to be for ever is for ever."""

import pytest

from vqmail.formats import delivery


def test_only_0_is_success_and_only_100_and_126_are_for_ever() -> None:
    letters = {code: delivery.local_report(code, b"text\n")[:1] for code in range(-64, 256)}

    assert [code for code, letter in letters.items() if letter == b"K"] == [0]
    assert [code for code, letter in letters.items() if letter == b"D"] == [100, 126]
    assert {letter for code, letter in letters.items() if code not in (0, 100, 126)} == {b"Z"}


@pytest.mark.parametrize(("code", "report"), [
    (0, b"Ktext\n"), (100, b"Dtext\n"), (111, b"Ztext\n"), (71, b"Ztext\n"), (74, b"Ztext\n"), (75, b"Ztext\n"),
    (1, b"Ztext\nvq-local ended with 1. (#4.3.0)\n"), (127, b"Ztext\nvq-local ended with 127. (#4.3.0)\n"),
    (137, b"Ztext\nvq-local ended with 137. (#4.3.0)\n"), (-9, b"Zvq-local crashed. (#4.3.0)\n"),
    (-11, b"Zvq-local crashed. (#4.3.0)\n")])
def test_reports(code: int, report: bytes) -> None:
    assert delivery.local_report(code, b"text\n") == report


def test_a_long_report_is_cut() -> None:
    assert delivery.local_report(0, b"x" * 5000) == b"K" + b"x" * 3000 + b"\nError report too long, sorry.\n"
