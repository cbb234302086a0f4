"""Every program has its page, its bin script, and starts without loading what it does not need."""

import ast
import pathlib
import re
import subprocess

import pytest

from vqmail.setup import install, man, starts
from vqmail.store import control

ROOT = pathlib.Path(__file__).parents[2]
PROGRAMS = install.programs()
# what a cold program may load besides ours and what is built into the interpreter, and why
MAY_LOAD = {"fcntl": "locks", "select": "deadlines", "_socket": "local services", "heapq": "the scheduler's",
            "_heapq": "heapq's", "stat": "is it a plain file?", "resource": "no core of who saw a password"}

# how many modules of ours a cold program may load, packages among them, if that is more than MOST: each costs some 0.06 ms,
# and 0.13 in a source tree; the budget (bench/budget.txt) is 3.6 ms in all
MOST = 42
MODULES = {"vq-auth": 65, "vq-checkpassword": 62, "vq-explain": 70, "vq-maildirsmtp": 70, "vq-newu": 45, "vq-qmqpd": 57,
           "vq-qmtpd": 57, "vq-remote": 45, "vq-send": 60, "vq-showctl": 55, "vq-smtpd": 70, "virtmaildelivery": 48,
           "virtmailfilter": 45}


@pytest.mark.parametrize("name", PROGRAMS)
def test_bin_is_a_few_lines_that_differ_in_one_word(name: str) -> None:
    path = ROOT / "bin" / name
    expected = install.tree_script(PROGRAMS[name])

    assert path.read_text() == expected
    assert path.stat().st_mode & 0o111


def test_nothing_else_is_in_bin() -> None:
    assert {each.name for each in (ROOT / "bin").iterdir()} == set(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_page_is_complete(name: str) -> None:
    page = man.page_of(PROGRAMS[name])
    headings = [heading for heading, _ in man.sections(page)]

    assert page.startswith(f"{name}: ")
    for wanted in ("SYNOPSIS", "EXIT", "RUNS AS"):
        assert wanted in headings, f"{name} has no section {wanted}"


@pytest.mark.parametrize("name", PROGRAMS)
def test_control_files_that_are_read_are_on_the_page(name: str) -> None:
    source = (ROOT / "vqmail" / (PROGRAMS[name].replace(".", "/") + ".py")).read_text()
    page = man.page_of(PROGRAMS[name])
    for read in re.findall(r'control\.(?:read|line|number|entries|mapping)\(b"(\w+)"', source):
        assert re.search(rf"\b{read}\b", page), f"{name} reads control/{read} and does not say so"


@pytest.mark.parametrize("name", sorted(each.decode() for each in control.TABLE))
def test_readers_in_the_table_name_programs(name: str) -> None:
    for reader in control.TABLE[name.encode()].readers.split():
        assert reader == "all" or f"vq-{reader}" in PROGRAMS or reader in PROGRAMS, f"{name}: who is {reader}?"


@pytest.mark.parametrize("name", [each for each in PROGRAMS if starts.has_one(PROGRAMS[each])])
def test_cold_start_loads_nothing_foreign_and_not_too_much(name: str) -> None:
    code = (f"import sys; sys.path.insert(0, {str(ROOT)!r}); before = set(sys.modules)\n"
            f"import vqmail.{PROGRAMS[name]}, {starts.FIRST}\n"
            "print(*sorted(set(sys.modules) - before - set(sys.builtin_module_names)))")
    done = subprocess.run([install.interpreter(), "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    ours = [each for each in loaded if each.startswith("vqmail")]

    assert [each for each in loaded if each not in ours and each not in MAY_LOAD] == []
    assert ours == sorted(starts.order("vqmail." + PROGRAMS[name]))     # and so the file that setup makes has them all
    assert len(ours) <= MODULES.get(name, MOST), f"{name} loads {len(ours)} modules: does every run need them?"


def test_only_programs_that_load_much_have_a_row() -> None:
    assert {name for name in MODULES if MODULES[name] <= MOST or name not in PROGRAMS} == set()


def test_references_are_to_rfcs_we_list() -> None:
    known = {line.split()[0] for line in (ROOT / "doc/rfc.txt").read_text().splitlines() if line[:1].isdigit()}
    for path in (ROOT / "vqmail").rglob("*.py"):
        for number in re.findall(r"RFC (\d{3,5})", path.read_text()):
            assert number in known, f"{path} speaks of RFC {number}, doc/rfc.txt does not"


def test_public_functions_say_what_they_do() -> None:
    for path in (ROOT / "vqmail").rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                assert ast.get_docstring(node) or node.name == "main", f"{path}:{node.lineno} {node.name}"
