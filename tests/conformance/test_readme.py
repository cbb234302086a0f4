"""What the README tells a postmaster to do, done."""

import pathlib
import re
import socket
import subprocess

import oddservers
import pytest
from certificates import Authority
from supervised import Supervised, _answers, lasting_port
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
        said = run([rest[start + 1]])           # svstat

        assert (said.count(": up (pid "), said.count(": down ")) == (8, 3)      # the doors of TLS wait for a certificate
        swaks, curl, tail = (next(line for line in rest if line.startswith(word)) for word in ("swaks", "curl", "tail"))
        run([swaks + " --from ann@far.test"])
        bob = virtual / "domain1.com/home/bob"
        wait_until(lambda: list(bob.glob("Maildir/new/*")), "the message")
        read = run([curl])

        assert re.search(r"^Subject: test ", read, re.MULTILINE)
        assert "Delivered-To: bob@domain1.com" in read
        wait_until(lambda: "new msg " in run([tail]), "the line in the log")

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


def test_people_log_in_as_the_readme_says(tmp_path: pathlib.Path) -> None:
    place = let_everybody_in(tmp_path)
    home, virtual = place / "vqmail", place / "virtual"
    subprocess.run(["make", "setup", "check-setup", f"VQHOME={home}"], cwd=ROOT, check=True, capture_output=True)
    (home / "control/me").write_text("mail.example.com\n")
    (home / "control/virtualroot").write_text(f"{virtual}\n")
    virtual.mkdir(mode=0o755)
    for command in (["vq-domain", "add", "domain1.com"], ["vq-domain", "add", "domain2.com"],
                    ["vq-user", "add", "bob@domain1.com", "--password-stdin"]):
        subprocess.run([home / "bin" / command[0], *command[1:]], input=b"secret\n", check=True, capture_output=True)
    authority = Authority(place / "authority")
    whole = authority.sign("mail.example.com")
    key = whole.index(b"-----BEGIN PRIVATE KEY-----")
    (home / "fullchain.pem").write_bytes(whole[:key])
    (home / "privkey.pem").write_bytes(whole[key:])
    (home / "domain1.pem").write_bytes(authority.sign("pop.domain1.com"))
    running = Supervised(home)
    ports = {name: lasting_port() for name in ("submission", "smtps", "pop3s")}
    for name, port in ports.items():
        running.setting(name, PORT=str(port), ADDRESS="127.0.0.1")
    said = {}

    def run(line: str) -> str:
        """Run a line of the README, with the places, ports and passwords of this test."""
        script = line.replace("-u bob@domain1.com ", "-su bob@domain1.com:secret ").replace("-u bob ", "-su bob:secret ")
        for host in ("mail.example.com", "pop.domain1.com"):
            script = script.replace(f"pop3s://{host}/", f"--cacert {authority.ca} --resolve {host}:{ports['pop3s']}:127.0.0.1 "
                                    f"--retry 50 --retry-connrefused --retry-delay 1 pop3s://{host}:{ports['pop3s']}/")
        if "--server mail.example.com:587" in script:
            wait_until(lambda: _answers(ports["submission"]), "submission")
        script = script.replace("--server mail.example.com:587", f"--server 127.0.0.1:{ports['submission']} "
                                "--auth-password secret")
        done = subprocess.run(["sh", "-e"], input=script, cwd=home, text=True, capture_output=True, check=False, timeout=60)

        assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
        return done.stdout

    running.start()
    try:
        for line in commands("Logging in"):
            said[line.partition("  #")[0].strip()] = run(line)
            if line.startswith("mv "):
                wait_until(lambda: "servercert.pem: loaded" in running.log("tls"), "the certificate")
            if "servercerts/pop" in line:
                wait_until(lambda: "pop.domain1.com.pem: loaded" in running.log("tls"), "the other certificate")
        down = [each.name for each in (home / "service").iterdir() if (each / "down").exists()]
        wait_until(lambda: running.pid("smtps"), "smtps")
        check = subprocess.run(["make", "-s", "check-setup", f"VQHOME={home}"], cwd=ROOT, check=False, capture_output=True,
                               text=True)
        shown = subprocess.run([home / "bin/vq-showctl"], capture_output=True, text=True, check=True).stdout
    finally:
        running.stop()

    assert down == []
    swaks = next(text for line, text in said.items() if line.startswith("swaks"))
    assert re.search(r"^<~  250 2\.0\.0 ok ", swaks, re.MULTILINE), swaks
    assert "login of <bob> as bob@domain1.com" in running.log("pop3s")
    assert "servercert.pem: loaded" in said["tail -n 2 service/tls/log/main/current"]
    assert [line for line in check.stdout.split("\n") if f"{home}/control" in line or f"{home}/service" in line] == []
    for name in ("servercert.pem", "servercerts", "popdomains", "hostnames", "senders", "submissionlimits", "loginsources",
                 "opensmtp"):
        chapter = shown.partition(f"\n{name}:")[2].partition("\n\n")[0]
        assert "Default" not in chapter, name
        assert "Problem" not in chapter, chapter
