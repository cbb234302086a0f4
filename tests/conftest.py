"""Fixtures for all tests."""

import gc
import pathlib
import sys

import hypothesis
import pytest

# the same examples in every run, however slow the machine is: what fails, fails again
hypothesis.settings.register_profile("same", derandomize=True, deadline=None, database=None,
                                     suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("same")

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import support


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What an earlier test left to the garbage collector is closed before a test counts descriptors, not while it does."""
    fixtures = getattr(item, "_fixtureinfo", None)
    functions = [getattr(item, "function", None), *(each[-1].func for each in fixtures.name2fixturedefs.values())] if fixtures else []
    if any("/proc/self/fd" in each.__code__.co_consts for each in functions if hasattr(each, "__code__")):
        gc.collect()


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
