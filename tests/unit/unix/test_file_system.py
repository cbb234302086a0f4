"""A whole file system is synced at once only as long as that does not wait for others."""

import os
import pathlib
import time

import pytest

from vqmail.unix import durable


@pytest.fixture
def whole(tmp_path: pathlib.Path) -> durable.FileSystem:
    return durable.FileSystem(os.fsencode(tmp_path))


def test_a_sync_that_takes_long_makes_it_busy_for_a_while(whole: durable.FileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 100.2, 100.3, 110.1, 110.3])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    whole.sync()

    assert [whole.busy, whole.busy, whole.busy] == [True, True, False]


def test_a_quick_one_does_not(whole: durable.FileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 100.05, 100.06])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    whole.sync()

    assert not whole.busy


def test_an_error_is_an_error(whole: durable.FileSystem) -> None:
    os.close(whole.directory)

    with pytest.raises(OSError, match="syncfs"):
        whole.sync()
