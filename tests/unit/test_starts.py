"""setup/starts.py: what a program loads at its start, in one file."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from vqmail.setup import install, starts

ROOT = pathlib.Path(__file__).parents[2]
LOADED = "print(*(each for each in sys.modules if each.startswith('vqmail')), sep='\\n')"


def loaded(begin: str) -> "list[str]":
    """The modules of ours that a Python has loaded after `begin`, in turn."""
    done = subprocess.run([install.interpreter(), "-IS", "-c", "import sys; " + begin + LOADED], capture_output=True, text=True,
                          check=True)
    return done.stdout.split()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    home = tmp_path_factory.mktemp("starts") / "home"
    install.install(home, install.Ids((os.getuid(), os.getgid())))
    return home / "lib"


def begin(library: pathlib.Path, name: str) -> str:
    """What the script of program `name` does before it imports anything."""
    head, found, _ = (library.parent / "bin" / name).read_text().partition("\nfrom vqmail.")
    assert found
    return head.partition("\n")[2] + "\n"


@pytest.mark.parametrize("name", ["vq-queue", "vq-smtpd", "vq-local", "newaliases"])
def test_a_start_holds_what_the_program_imports_and_no_more(library: pathlib.Path, name: str) -> None:
    module = "vqmail." + install.programs()[name]
    imports = f"sys.path.insert(0, {str(ROOT)!r}); import {module}, vqmail.unix.chain\n"

    assert loaded(begin(library, name)) == starts.order(module)
    assert sorted(loaded(begin(library, name))) == sorted(loaded(imports))


def test_every_module_comes_behind_those_that_it_imports() -> None:
    order = starts.order("vqmail.prog.preline")

    assert order.index("vqmail") == 0
    assert order.index("vqmail.unix") < order.index("vqmail.unix.calls") < order.index("vqmail.unix.fd")
    assert order[-1] == "vqmail.prog.preline"


def test_modules_are_loaded_as_by_import(library: pathlib.Path) -> None:
    shown = ("import vqmail.unix.fd, vqmail.vqhome as it; print(it.__name__, it.__file__, it.VQHOME, "
             "vqmail.unix.__path__, vqmail.unix.fd.calls is sys.modules['vqmail.unix.calls'])")
    done = subprocess.run([install.interpreter(), "-IS", "-c", begin(library, "vq-queue") + shown], capture_output=True,
                          text=True, check=True)

    assert done.stdout == (f"vqmail.vqhome {library}/vqmail/vqhome.py {os.fsencode(library.parent)!r} "
                           f"['{library}/vqmail/unix'] True\n")


def test_a_copy_of_an_installation_runs_its_own_library(library: pathlib.Path, tmp_path: pathlib.Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(library.parent, copy, ignore=shutil.ignore_patterns("trigger"))
    first = begin(library, "vq-queue").replace(str(library.parent), str(copy))
    done = subprocess.run([install.interpreter(), "-IS", "-c", first + "from vqmail.unix import fd; from vqmail import vqhome; "
                           "print(vqhome.VQHOME, fd.__file__)"], capture_output=True, text=True, check=True)

    assert done.stdout == f"{os.fsencode(copy)!r} {copy}/lib/vqmail/unix/fd.py\n"


def test_what_is_not_in_it_is_imported_as_ever(library: pathlib.Path) -> None:
    assert "vqmail.formats.netstring" in loaded(begin(library, "vq-queue") + "import vqmail.formats.netstring\n")


@pytest.mark.parametrize("change", ["edited", "touched", "gone"])
def test_a_source_that_changed_counts(tmp_path: pathlib.Path, change: str) -> None:
    install.install(tmp_path / "home", install.Ids((os.getuid(), os.getgid())))
    source = tmp_path / "home/lib/vqmail/codes.py"
    if change == "edited":
        source.write_text(source.read_text() + "EDITED = 1\n")
    elif change == "touched":
        os.utime(source, (1, 1))
    else:
        source.unlink()
    first = begin(tmp_path / "home/lib", "vq-queue")

    # nothing that imports it is put into place, and nothing behind that
    assert [each for each in loaded(first) if each.rpartition(".")[0] in ("vqmail.prog", "vqmail.store")] == []
    if change == "edited":
        done = subprocess.run([install.interpreter(), "-IS", "-c", first + "from vqmail.prog import queue; "
                               "print(queue.codes.EDITED)"], capture_output=True, text=True, check=False)
        assert done.stdout == "1\n", done.stderr


def test_programs_that_are_gone_leave_nothing(tmp_path: pathlib.Path) -> None:
    library = tmp_path / "home/lib"
    install.install(tmp_path / "home", install.Ids((os.getuid(), os.getgid())))
    for name in ("vq-gone.cpython-311", "vq-queue", "vq-queue.cpython-27"):
        (library / "start" / name).write_bytes(b"old")
    install.install(tmp_path / "home", install.Ids((os.getuid(), os.getgid())))

    assert {each.name for each in (library / "start").iterdir()} == {
        f"{name}.{sys.implementation.cache_tag}" for name, module in install.programs().items()
        if module.startswith("prog.")}


@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "text", "of another Python"])
def test_without_a_good_file_all_is_imported_as_ever(library: pathlib.Path, tmp_path: pathlib.Path, damage: str) -> None:
    home = tmp_path / "home"
    install.install(home, install.Ids((os.getuid(), os.getgid())))
    (file,) = (home / "lib/start").glob("vq-getpw.*")
    whole = file.read_bytes()
    if damage == "gone":
        file.unlink()
    elif damage == "of another Python":
        file.rename(file.with_suffix(".cpython-27"))
    else:
        file.write_bytes({"empty": b"", "cut": whole[:len(whole) // 2], "text": b"hello\n"}[damage])
    done = subprocess.run([home / "bin/vq-getpw", "nobody-here"], capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (0, b"")
