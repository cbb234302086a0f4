"""When a clock is not believed."""

import os
import pathlib

from vqmail.dispatch import clock


def test_time_that_passes_is_no_jump(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "mutex"
    file.touch()
    os.utime(file, (1000, 1000))
    it = clock.Clock(bytes(file), 5.0)

    assert it.moved(1100.0, 105.0) is None
    assert it.moved(101_100.0, 100_105.0) is None
    assert it.moved(101_100.0 + 3599, 100_105.0) is None


def test_a_jump_either_way_is_seen_once(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "mutex"
    file.touch()
    os.utime(file, (1000, 1000))
    it = clock.Clock(bytes(file), 0.0)

    assert it.moved(9000.0, 10.0) == (1010, 9000)
    assert it.moved(9010.0, 20.0) is None
    assert it.moved(5000.0, 30.0) == (9020, 5000)
    assert it.moved(5010.0, 40.0) is None


def test_the_time_of_the_last_life_counts(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "mutex"
    file.touch()
    os.utime(file, (1000, 1000))
    it = clock.Clock(bytes(file), 0.0)
    it.moved(1500.0, 500.0)
    it.note()

    assert clock.Clock(bytes(file), 7.0).moved(1510.0, 8.0) is None
    assert clock.Clock(bytes(file), 7.0).moved(90_000.0, 8.0) == (1501, 90_000)
