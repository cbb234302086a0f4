"""vpopmail's commands that its documents only list: each with its effect, and once more, with none."""

import poplib
import re
import subprocess

import pytest
import system as module

pytestmark = [pytest.mark.root, pytest.mark.peers]
AGAIN = 100


@pytest.fixture
def site(system: module.System) -> module.System:
    """example.test with bob, everything running; POP3 on site.pop3, SMTP on site.smtp."""
    (system.home / "users/assign").write_text(".\n")
    assert system.run("vq-newu").returncode == 0
    system.start_all()
    system.smtp, system.pop3 = system.start_smtp(), system.start_pop3()
    say(system, "vadddomain example.test of-post-master")
    say(system, "vadduser bob@example.test first-word")
    return system


def say(site: module.System, line: str, code: int = 0) -> str:
    """What a command line as root types it says; it ends with `code` and never with a traceback."""
    done = subprocess.run(line, shell=True, text=True, capture_output=True, env=site.env(), check=False, timeout=60,
                          stdin=subprocess.DEVNULL)
    said = done.stdout + done.stderr

    assert done.returncode == code, (line, said)
    assert "Traceback" not in said
    return said


def once(site: module.System, line: str) -> None:
    """The command does it, and the second time says that there is nothing to do."""
    say(site, line)
    assert say(site, line, AGAIN).strip()


def may_log_in(site: module.System, name: str, secret: str) -> bool:
    client = poplib.POP3("127.0.0.1", site.pop3, timeout=30)
    try:
        client.user(name)
        client.pass_(secret)
    except poplib.error_proto:
        return False
    finally:
        client.close()
    return True


def taken(site: module.System, recipient: str) -> bool:
    done = subprocess.run(["swaks", "--server", f"127.0.0.1:{site.smtp}", "--from", "a@far.test", "--to", recipient,
                           "--quit-after", "RCPT"], capture_output=True, text=True, check=False, timeout=60)
    return done.returncode == 0


def test_vmoduser_vsetuserquota_and_what_vuserinfo_says_of_them(site: module.System) -> None:
    once(site, "vmoduser -p bob@example.test")
    assert not may_log_in(site, "bob@example.test", "first-word")
    once(site, "vmoduser -x bob@example.test")
    assert may_log_in(site, "bob@example.test", "first-word")
    once(site, "vsetuserquota bob@example.test 5000000S,1000C")
    once(site, "vmoduser -c 'Bob B.' bob@example.test")
    said = say(site, "vuserinfo bob@example.test")

    assert re.search(r"^name: +bob$", said, re.M)
    assert re.search(r"^comment/gecos: +Bob B\.$", said, re.M)
    assert re.search(r"^quota: +5000000S,1000C$", said, re.M)
    assert say(site, "vuserinfo -q bob@example.test") == "5000000S,1000C\n"
    assert say(site, "vuserinfo -d bob@example.test").strip().endswith("bob")
    assert "$" not in said                      # no hash


def test_valias_inserts_shows_and_deletes(site: module.System) -> None:
    assert not taken(site, "info@example.test")
    once(site, "valias -i bob@example.test info@example.test")
    assert taken(site, "info@example.test")
    assert "bob@example.test" in say(site, "valias -s info@example.test")
    once(site, "valias -d info@example.test")
    assert not taken(site, "info@example.test")


@pytest.mark.parametrize("line", ["vaddaliasdomain other.test example.test", "vaddaliasdomain example.test other.test"])
def test_vaddaliasdomain_in_both_orders(site: module.System, line: str) -> None:
    once(site, line)

    assert taken(site, "bob@other.test")
    assert not taken(site, "nobody@other.test")
    assert may_log_in(site, "bob@other.test", "first-word")
    assert "example.test" in say(site, "vdominfo other.test")


def test_random_passwords_work_and_are_as_long_as_asked(site: module.System) -> None:
    said = say(site, "vadduser -r12 eva@example.test").split(": ")[1].strip()
    assert len(said) == 12
    assert may_log_in(site, "eva@example.test", said)
    new = say(site, "vpasswd -r eva@example.test").split(": ")[1].strip()

    assert len(new) == 8
    assert may_log_in(site, "eva@example.test", new)
    assert not may_log_in(site, "eva@example.test", said)


def test_who_is_there_already_and_who_is_not(site: module.System) -> None:
    for line in ("vadddomain example.test x-y-z-1", "vadduser bob@example.test x-y-z-1", "vdeluser no@example.test",
                 "vdeldomain no.test", "vpasswd no@example.test x-y-z-1", "vuserinfo no@example.test",
                 "vadduser bob", "vadduser bob@no.test x-y-z-1", "vsetuserquota bob@example.test lots", "vdominfo no.test",
                 "vaddaliasdomain no.test neither.test", "valias -i", "vmoduser -Z bob@example.test"):
        assert len(say(site, line, 100).splitlines()) == 1, line
    say(site, "vrcptcheck bob@example.test")
    say(site, "vrcptcheck no@example.test", 1)
    say(site, "vrcptcheck bob@far.test", 1)
    assert taken(site, "bob@example.test")
    assert re.search(r"^users: +2$", say(site, "vdominfo example.test"), re.M)
