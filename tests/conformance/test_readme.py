"""What the README tells a postmaster to do, done."""

import pathlib
import re
import subprocess

import pytest
from supervised import Supervised
from system import wait_until
from test_setup import let_everybody_in

ROOT = pathlib.Path(__file__).parents[2]
pytestmark = [pytest.mark.root, pytest.mark.peers]


def commands() -> "list[str]":
    """The indented lines of the chapter about the first domain."""
    chapter = (ROOT / "README.md").read_text().partition("## Your first domain")[2].partition("\n## ")[0]
    return [line.strip() for line in chapter.split("\n") if line.startswith("    ")]


def test_the_first_domain_works_as_the_readme_says(tmp_path: pathlib.Path) -> None:
    home, virtual = let_everybody_in(tmp_path) / "vqmail", tmp_path / "virtual"
    lines = commands()
    setup, rest = lines[0], lines[1:]
    start = next(number for number, line in enumerate(rest) if line.startswith("svscan service &"))

    assert setup.split("#")[0].split() == ["make", "setup", "check-setup"]
    subprocess.run(["make", "setup", "check-setup", f"VQHOME={home}"], cwd=ROOT, check=True, capture_output=True)
    running = Supervised(home)                  # chooses ports that are free here

    def run(commands: "list[str]") -> str:
        """Run lines of the README, with the places, ports and passwords of this test."""
        script = "\n".join(commands).replace("/var/vqmail", str(home)).replace("/virtual/", f"{virtual}/")
        script = script.replace("--server 127.0.0.1 ", f"--server 127.0.0.1:{running.smtp} ")
        script = script.replace("pop3://127.0.0.1/", f"pop3://127.0.0.1:{running.pop3}/")
        script = script.replace("-u bob@domain1.com ", "-su bob@domain1.com:secret ")
        script = script.replace("openssl passwd -6", "openssl passwd -6 secret").replace("tail -f", "tail -n 100")
        done = subprocess.run(["sh", "-e"], input=script, cwd=home, text=True, capture_output=True, check=False, timeout=60)

        assert done.returncode == 0, script + done.stdout + done.stderr
        return done.stdout

    (home / "control/virtualroot").write_text(f"{virtual}\n")
    run(rest[:start])
    running.start()
    try:
        assert run([rest[start + 1]]).count(": up (pid ") == 5          # svstat
        swaks, curl, tail = (next(line for line in rest if line.startswith(word)) for word in ("swaks", "curl", "tail"))
        run([swaks + " --from ann@far.test"])
        bob = virtual / "domain1.com/home/bob"
        wait_until(lambda: list(bob.glob("Maildir/new/*")), "the message")
        read = run([curl])

        assert re.search(r"^Subject: test ", read, re.MULTILINE)
        assert "Delivered-To: bob@domain1.com" in read
        assert "new msg " in run([tail])

        alias, = re.findall(r"`(echo '&.*?)`", (ROOT / "README.md").read_text())
        run([alias, swaks.replace("bob@", "sales@") + " --from ann@far.test"])
        wait_until(lambda: len(list(bob.glob("Maildir/[nc]*/*"))) == 2, "the message to sales@")
    finally:
        running.stop()
