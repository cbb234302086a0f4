"""What the README tells a postmaster to do, done."""

import pathlib
import re
import socket
import subprocess

import oddservers
import pytest
from supervised import Supervised
from system import wait_until
from test_setup import let_everybody_in

ROOT = pathlib.Path(__file__).parents[2]
pytestmark = [pytest.mark.root, pytest.mark.peers]


def commands(about: str = "Your first domain") -> "list[str]":
    """The indented lines of a chapter."""
    chapter = (ROOT / "README.md").read_text().partition(f"## {about}")[2].partition("\n## ")[0]
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
        assert run([rest[start + 1]]).count(": up (pid ") == 6          # svstat
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


def test_domains_are_made_by_command_as_the_readme_says(tmp_path: pathlib.Path) -> None:
    place = let_everybody_in(tmp_path)
    home = place / "vqmail"
    subprocess.run(["make", "setup", "check-setup", f"VQHOME={home}"], cwd=ROOT, check=True, capture_output=True)
    (home / "control/me").write_text("host.test\n")
    (home / "control/virtualroot").write_text(f"{place}/virtual\n")
    (place / "virtual").mkdir(mode=0o755)
    said = {}
    for line in commands("Domains by command"):
        done = subprocess.run(["sh", "-e"], input=line, cwd=home, text=True, capture_output=True, check=False, timeout=60)

        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        said[line.split("#")[0].split()[0] + " " + line.split()[1]] = done.stdout

    assert "bob@domain2.com" in said["bin/vq-explain sales@domain2.net"]
    assert "domain2.net" in said["bin/vq-domain info"]
    subprocess.run([home / "bin/vq-user", "restore", "bob@domain2.com"], check=True)
    assert (place / "virtual/domain2.com/home/bob/Maildir/new").is_dir()


def test_mail_goes_out_as_the_readme_says(tmp_path: pathlib.Path) -> None:
    place = let_everybody_in(tmp_path)
    home = place / "vqmail"
    subprocess.run(["make", "setup", "check-setup", f"VQHOME={home}"], cwd=ROOT, check=True, capture_output=True)
    (home / "control/me").write_text("host.test\n")
    names = place / "sbin", place / "lib"
    for each in names:
        each.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sink = oddservers.Server(listener, "sink.test")
        (home / "control/smtproutes").write_text(f":127.0.0.1:{listener.getsockname()[1]}\n")
        running = Supervised(home)
        running.start()
        try:
            for line in commands("Mail out"):
                script = line.replace("/var/vqmail", str(home)).replace("/usr/", f"{place}/")
                if "| sendmail" in script:
                    script = f"export PATH={names[0]}:$PATH; {script}; {script.replace('| ', f'| {names[1]}/')}"
                done = subprocess.run(["sh", "-e"], input=script, cwd=home, text=True, capture_output=True, check=False,
                                      timeout=60)

                assert (done.returncode, done.stderr) == (0, ""), script
                if "| sendmail" in line:
                    wait_until(lambda: len(sink.taken("Subject: test")) == 2, "both messages")
            shown = subprocess.run([home / "bin/vq-showctl"], capture_output=True, text=True, check=True).stdout
        finally:
            running.stop()
            sink.close()

    assert [(each.sender, each.recipients) for each in sink.letters] == [("bob@domain1.com", ["somebody@example.net"])] * 2
    for name in ("smtproutes", "authsenders", "outgoingip", "tlshosts"):
        chapter = shown.partition(f"\n{name}:")[2].partition("\n\n")[0]
        assert "Default" not in chapter, name
        assert "Problem" not in chapter, chapter
