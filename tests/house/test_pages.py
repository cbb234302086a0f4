"""The manual is made of the programs' own words, and man(1) has nothing to complain of in it."""

import pathlib
import shutil
import subprocess

import pytest

from vqmail.setup import install, man
from vqmail.store import control

PAGES = {**dict.fromkeys(install.programs(), "8"), "vq-control": "5"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    """What make man writes."""
    place = tmp_path_factory.mktemp("man")

    assert man.main([str(place)]) == 0
    return place


def test_each_program_has_a_page_and_so_have_the_control_files(folder: pathlib.Path) -> None:
    assert {each.stem: each.suffix[1:] for each in folder.glob("man?/*")} == PAGES


@pytest.mark.parametrize("name", sorted(PAGES))
def test_man_shows_the_page_without_a_warning(folder: pathlib.Path, name: str) -> None:
    assert shutil.which("groff"), "groff comes with man-db, which make check installs"
    path = folder / f"man{PAGES[name]}" / f"{name}.{PAGES[name]}"
    done = subprocess.run(["groff", "-man", "-ww", "-Tascii", "-P-cbou", str(path)], capture_output=True, text=True,
                          check=False)

    assert (done.returncode, done.stderr) == (0, "")
    for heading in ("NAME", "SYNOPSIS", "EXIT") if PAGES[name] == "8" else ("NAME",):
        assert f"\n{heading}\n" in done.stdout


def test_what_man_shows_is_what_the_program_says(folder: pathlib.Path) -> None:
    text = "vq-x: does it.\n\nSYNOPSIS    vq-x [-a] 'it'\n\n.dots and \\n and -- stay.\n\nEXIT        0   done\n"
    path = folder / "x.8"
    path.write_text(man.troff("vq-x", 8, text))
    done = subprocess.run(["groff", "-man", "-Tascii", "-P-cbou", str(path)], capture_output=True, text=True, check=True)

    for words in ("vq-x - does it", "vq-x [-a] 'it'", ".dots and \\n and -- stay.", "0   done"):
        assert words in done.stdout


def test_every_control_file_is_on_the_page_of_control_files(folder: pathlib.Path) -> None:
    text = (folder / "man5/vq-control.5").read_text().replace("\\-", "-")

    for name in control.TABLE:
        assert f"\n{name.decode()} (" in text
