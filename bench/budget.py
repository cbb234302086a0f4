"""The budgets of budget.txt, and how a result stands beside one."""

import pathlib


def limit(name: str) -> float:
    """The budget called `name`."""
    for line in pathlib.Path(__file__).with_name("budget.txt").read_text().splitlines():
        field = line.split(None, 2)
        if field and field[0] == name:
            return float(field[1])
    raise KeyError(name)


def at_most(name: str, value: float) -> str:
    """"ok" or "OVER"."""
    return "ok" if value <= limit(name) else "OVER"


def at_least(name: str, value: float) -> str:
    """"ok" or "UNDER"."""
    return "ok" if value >= limit(name) else "UNDER"
