"""doc/REQUIREMENTS-STATUS.md has a row for everything that was asked for, and names only tests that are there."""

import ast
import functools
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
LAST = {"0-": 26, "D": 28, "1-": 38, "2-": 22, "3-": 30, "4-": 38}
IDS = [f"{document}{number}" for document, last in LAST.items() for number in range(1, last + 1)]
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def rows() -> "list[tuple[str, str, str]]":
    """(id, what, status) of each row."""
    text = (ROOT / "doc/REQUIREMENTS-STATUS.md").read_text()
    return [(match[1], match[2], match[3]) for match in re.finditer(
        r"^\| ([0-9D][-\d]*) \| ((?:[^|\\]|\\.)+) \| ((?:[^|\\]|\\.)+) \|$", text, re.MULTILINE)]


@functools.cache
def names_of_tests(path: pathlib.Path) -> "frozenset[str]":
    """The names of the tests of a file."""
    return frozenset(each.name for each in ast.parse(path.read_text()).body if isinstance(each, ast.FunctionDef))


def test_each_requirement_has_one_row_and_they_are_in_order() -> None:
    assert [each for each, _, _ in rows()] == IDS


@pytest.mark.parametrize(("row", "status"), [(row, status) for row, _, status in rows()])
def test_a_status_is_a_test_that_is_there_or_says_why_not(row: str, status: str) -> None:
    named = TEST.findall(status)
    for path, name in named:
        assert (ROOT / path).is_file(), f"{row}: there is no {path}"
        assert name in names_of_tests(ROOT / path), f"{row}: there is no {name} in {path}"
    if status.startswith("**not yet**"):
        assert re.fullmatch(r"\*\*not yet\*\*( \([^()]+\); so far `.*`)?", status)
    elif status.startswith("**"):
        assert re.fullmatch(r"\*\*deliberately not\*\*, because [^`]+", status)
    else:
        assert named
        assert re.fullmatch(r"`[^` ]+`(, `[^` ]+`)*", status)
