"""Fixtures for all tests."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import support


@pytest.fixture
def home(tmp_path: pathlib.Path) -> support.Home:
    """A fresh installation under a single user."""
    return support.make_home(tmp_path / "home")


@pytest.fixture
def system(tmp_path: pathlib.Path):
    """An installation with real users; its services are started by the test and stopped here."""
    import system as module

    each = module.System(tmp_path)
    yield each
    each.stop()
