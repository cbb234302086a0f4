"""Dates in local time."""

import time

import pytest

from vqmail.formats import date822


@pytest.mark.parametrize(("offset", "expected"), [
    (0, b"1 Mar 2026 09:05:07 +0000"), (3600, b"1 Mar 2026 09:05:07 +0100"), (-5 * 3600, b"1 Mar 2026 09:05:07 -0500"),
    (19800, b"1 Mar 2026 09:05:07 +0530"), (-12600, b"1 Mar 2026 09:05:07 -0330"), (45900, b"1 Mar 2026 09:05:07 +1245"),
    (-29, b"1 Mar 2026 09:05:07 -0000"), (1172, b"1 Mar 2026 09:05:07 +0020")])
def test_local_time_has_its_offset(offset: int, expected: bytes) -> None:
    assert date822.zoned(time.struct_time((2026, 3, 1, 9, 5, 7, 6, 60, 0, "XYZ", offset))) == expected
