"""make demo and make run: what happens, what it says, and what is left of it."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import pytest
import supervised
from system import wait_until
from test_setup import let_everybody_in

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def clone(tmp_path: pathlib.Path) -> pathlib.Path:
    """A source tree of its own, in a place with a blank in its name."""
    place = let_everybody_in(tmp_path) / "a clone"
    shutil.copytree(ROOT / "vqmail", place / "vqmail", ignore=shutil.ignore_patterns("__pycache__"))
    return place


def demo(place: pathlib.Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-m", "vqmail.setup.demo", *options], cwd=place, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)


def left(session: int) -> "list[list[str]]":
    """The command lines of what still runs."""
    return [words for _, words in supervised.members(session)]


def test_the_demonstration_shows_what_it_promises(clone: pathlib.Path) -> None:
    process = demo(clone)
    said, errors = process.communicate(timeout=200)

    assert (process.returncode, errors) == (0, "")
    for words in (r"^sent       a message to bob@domain1\.test and bob@domain2\.test by SMTP on port \d+$",
                  r"^read       bob@domain1\.test .*'Subject: Hello, bob of domain1\.test' and nothing else$",
                  r"^read       bob@domain2\.test .*'Subject: Hello, bob of domain2\.test' and nothing else$",
                  r"^refused    nobody@domain1\.test at RCPT: 550 5\.1\.1 ", r"^took       [0-9.]+ ms from ",
                  r"^    new msg \d+$", r"^    delivery 2: success: "):
        assert re.search(words, said, re.MULTILINE), said
    files = re.findall(r"^delivered  (.*)$", said, re.MULTILINE)
    assert len(files) == 2
    for path, domain in zip(files, ("domain1.test", "domain2.test"), strict=True):
        assert path.startswith(f"{clone}/instance/virtual/{domain}/home/bob/Maildir/")
        assert f"This is for {domain} only." in pathlib.Path(path).read_text()
    wait_until(lambda: not left(process.pid), "the end of all it started")


def test_a_second_demonstration_begins_afresh(clone: pathlib.Path) -> None:
    for _ in range(2):
        process = demo(clone)
        said, _ = process.communicate(timeout=200)

        assert process.returncode == 0
        assert len(re.findall("^delivered", said, re.MULTILINE)) == 2


@pytest.mark.parametrize("module", ["prog/local", "prog/checkpassword", "prog/newu"])
def test_a_program_that_does_not_work_is_a_failure(clone: pathlib.Path, module: str) -> None:
    source = clone / f"vqmail/{module}.py"
    source.write_text(source.read_text().replace("def main(argv: \"list[bytes]\", env: \"Env\") -> ",
                                                 "def main(argv: \"list[bytes]\", env: \"Env\") -> int:\n"
                                                 "    return 111\n\n\ndef broken(argv: \"list[bytes]\", env: \"Env\") -> "))
    demonstration = clone / "vqmail/setup/demo.py"
    demonstration.write_text(demonstration.read_text().replace("PATIENCE = 20", "PATIENCE = 5"))
    process = demo(clone)
    _, errors = process.communicate(timeout=200)

    assert process.returncode == 1
    assert "FAILED" in errors
    wait_until(lambda: not left(process.pid), "the end of all it started")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_run_stays_up_until_it_is_stopped(clone: pathlib.Path, end: int) -> None:
    process = demo(clone, "--stay")
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("stop"):
            break
    text = "".join(said)

    assert re.search(r"^SMTP +127\.0\.0\.1 port \d+ +POP3 +127\.0\.0\.1 port \d+$", text, re.MULTILINE)
    assert re.search(r"^user +bob@domain1\.test +password \S+$", text, re.MULTILINE)
    assert process.poll() is None
    os.kill(process.pid, end)
    _, errors = process.communicate(timeout=200)

    assert (process.returncode, errors) == (0, "")
    wait_until(lambda: not left(process.pid), "the end of all it started")
