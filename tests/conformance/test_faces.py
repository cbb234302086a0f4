"""vpopmail's commands that its documents only list: each with its effect, and once more, with none."""

import json
import poplib
import re
import subprocess
import warnings

import pytest
import system as module

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import crypt

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
    client = poplib.POP3("127.0.0.1", site.pop3, timeout=60)
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


FACES = ["VE-domain", "VE-forwarder", "VE-passwd", "VE-popbox", "vaddaliasdomain", "vadddomain", "vadduser", "valias",
         "vdeldomain", "vdeluser", "vdominfo", "vmkpasswd", "vmoduser", "vpasswd", "vpopbull", "vrcptcheck",
         "vsetuserquota", "vuserinfo"]
OWNER = 46100


@pytest.fixture
def owned(system: module.System) -> module.System:
    """example.test of uid 46100 with bob, and other.test of the postmaster's; the service for owners."""
    (system.home / "users/assign").write_text(".\n")
    assert system.run("vq-newu").returncode == 0
    say(system, f"vadddomain -i {OWNER} -g {OWNER} example.test of-post-master")
    say(system, "vadddomain other.test of-post-master")
    say(system, "vadduser bob@example.test first-word")
    say(system, "vadduser bob@other.test first-word")
    system.start_admin()
    return system


def as_owner(site: module.System, line: str, code: int = 0) -> str:
    words = [each.replace("_", " ") if each[0] == "'" else each for each in line.split()]
    done = site.run(*[each.strip("'") for each in words], uid=OWNER, input=b"")
    said = (done.stdout + done.stderr).decode()

    assert done.returncode == code, (line, said)
    assert "Traceback" not in said
    return said


def info(site: module.System, who: str) -> "dict[str, object]":
    return json.loads(say(site, f"vq-user info {who} --json"))


def files(site: module.System) -> "dict[str, bytes]":
    """All that commands change."""
    places = [site.home / "control", site.home / "users", *site.virtual.glob("*/etc"), *site.virtual.glob("*/.qmail*")]
    return {str(each): each.read_bytes() for place in places for each in (place, *place.glob("*"))
            if each.is_file() and each.name != "lock"}


def test_help_is_the_page_and_a_bare_name_shows_it_too(system: module.System) -> None:
    for name in FACES:
        assert say(system, f"{name} --help").startswith(f"{name}: ")
        if name not in ("vdominfo", "vrcptcheck"):
            assert "SYNOPSIS" in say(system, name, 100)
    assert "USER@DOMAIN" in say(system, "vrcptcheck", 100)
    assert say(system, "vdominfo").strip() == ""


def test_the_owner_does_it_in_his_domain_and_nowhere_else(owned: module.System) -> None:
    before = files(owned)
    mine, his = "example.test", "other.test"
    lines = ["vadduser -n eva@{}", "vadduser eva@{} of-eva-1", "vpasswd bob@{} another-one", "vmoduser -c 'Bob_B' bob@{}",
             "vmoduser -p {}", "vsetuserquota bob@{} 5M", "vsetuserquota {} 6M", "vuserinfo bob@{}", "vuserinfo -D {}",
             "vdominfo {}", "valias -i bob@{} info@{}", "valias -s {}", "valias -d info@{}", "vmkpasswd {}",
             "vdeluser bob@{}", "VE-popbox add {} rita", "VE-forwarder add {} rob rita@{}", "VE-forwarder add {} _default_ rita",
             "VE-passwd rita@{} of-rita-1"]
    for line in lines:
        assert "is no domain of yours" in as_owner(owned, line.replace("{}", his), 100), line
    for line in ("vadddomain x.test pass-word", f"vdeldomain {mine}", f"vaddaliasdomain x.test {mine}", "VE-domain add x.test",
                 f"VE-domain popboxes {mine} max 100"):
        assert "only the postmaster (root) may" in as_owner(owned, line, 100), line
    assert files(owned) == before

    for line in lines:
        as_owner(owned, line.replace("{}", mine), 100 if line == "vadduser eva@{} of-eva-1" else 0)
    assert [each.split("@")[0] for each in say(owned, f"vq-user list {mine}").split()] == ["postmaster", "eva", "rita"]
    assert as_owner(owned, "vdominfo -n").split() == [mine]


@pytest.mark.parametrize(("flag", "suspended"), [("-p", "login"), ("-i", "login"), ("-s", "send"), ("-r", "send"),
                                                 ("-b", "receive")])
def test_each_flag_of_vmoduser(site: module.System, flag: str, suspended: str) -> None:
    once(site, f"vmoduser {flag} bob@example.test")

    assert info(site, "bob@example.test")["suspended"] == [suspended]
    assert may_log_in(site, "bob@example.test", "first-word") == (suspended != "login")
    assert taken(site, "bob@example.test") == (suspended != "receive")
    once(site, "vmoduser -x bob@example.test")
    assert info(site, "bob@example.test")["suspended"] == []


def test_vmoduser_quota_name_password_hash_and_a_whole_domain(site: module.System) -> None:
    hashed = crypt.crypt("from-a-hash", "$6$rounds=1000$salt")
    once(site, "vmoduser -v -q 10M -c 'Bob B.' bob@example.test")
    once(site, f"vmoduser -e '{hashed}' bob@example.test")
    assert may_log_in(site, "bob@example.test", "from-a-hash")
    say(site, "vmoduser -C in-clear-now bob@example.test")
    found = info(site, "bob@example.test")

    assert may_log_in(site, "bob@example.test", "in-clear-now")
    assert (found["quota"], found["real_name"]) == ("10M", "Bob B.")
    once(site, "vmoduser -q NOQUOTA -b example.test")
    assert [info(site, f"{each}@example.test")["suspended"] for each in ("bob", "postmaster")] == [["receive"]] * 2
    for wrong in ("-c x example.test", "-e nonsense bob@example.test", "-q lots bob@example.test", "-d bob@example.test", "bob@example.test"):
        assert say(site, f"vmoduser {wrong}", 100).strip(), wrong


def test_vuserinfo_each_flag(site: module.System) -> None:
    say(site, "vmoduser -q 5000000S,1000C -c 'Bob B.' bob@example.test")
    found = info(site, "bob@example.test")
    expected = {"-n": "bob", "-p": found["password"], "-u": str(found["uid"]), "-g": str(found["gid"]), "-c": "Bob B.",
                "-d": found["home"], "-q": "5000000S,1000C", "-Q": "0 bytes 0 messages 5000000S,1000C 0%"}
    for flag, value in expected.items():
        assert say(site, f"vuserinfo {flag} bob@example.test") == f"{value}\n", flag
    everything = say(site, "vuserinfo bob@example.test")
    assert [line.split()[-1] for line in everything.splitlines()][:2] == ["bob", found["password"]]
    assert say(site, "vuserinfo -a bob@example.test") == everything
    assert say(site, "vuserinfo -n -D example.test").split() == ["postmaster", "bob"]
    assert len(re.findall(r"^name:", say(site, "vuserinfo -D example.test"), re.M)) == 2


def test_valias_in_its_exact_forms(site: module.System) -> None:
    say(site, "vadduser ann@example.test another-1")
    once(site, "valias -i bob@example.test team@example.test")
    once(site, "valias -i '&ann@example.test' team@example.test")
    assert say(site, "valias -s team@example.test").splitlines() == [
        "team@example.test -> bob@example.test", "team@example.test -> ann@example.test"]
    once(site, "valias -r bob@example.test team@example.test")
    assert say(site, "valias -s team@example.test").splitlines() == ["team@example.test -> ann@example.test"]
    assert "team@example.test -> ann@example.test" in say(site, "valias -s example.test").splitlines()
    once(site, "valias -d team@example.test")
    assert not taken(site, "team@example.test")
    for wrong in ("-i '|/bin/sh' x@example.test", "-i /tmp/x x@example.test", "-i bob x@no.test", "x@example.test",
                  "-s -d x@example.test", "-r bob@example.test team@example.test"):
        assert say(site, f"valias {wrong}", 100).strip(), wrong


def test_vmkpasswd_compiles_what_was_edited_by_hand(site: module.System) -> None:
    text = site.virtual / "example.test/etc/passwd"
    line = next(each for each in text.read_text().splitlines() if each.startswith("bob:"))
    text.write_text(text.read_text() + line.replace("bob:", "rob:", 1) + "\n")
    compiled = site.virtual / "example.test/etc/users.cdb"
    before = compiled.read_bytes()
    say(site, "vmkpasswd example.test")

    assert compiled.read_bytes() != before
    assert may_log_in(site, "rob@example.test", "first-word")
    text.write_text(text.read_text() + "half a line\n")
    before = compiled.read_bytes()
    assert "etc/passwd" in say(site, "vmkpasswd example.test", 111)
    assert compiled.read_bytes() == before
    say(site, "vmkpasswd no.test", 100)


def test_vpasswd_in_all_its_forms(site: module.System) -> None:
    hashed = crypt.crypt("from-a-hash", "$6$rounds=1000$salt")
    say(site, "vpasswd bob@example.test second-word")
    assert may_log_in(site, "bob@example.test", "second-word")
    once(site, f"vpasswd -p bob@example.test '{hashed}'")
    assert may_log_in(site, "bob@example.test", "from-a-hash")
    assert len(say(site, "vpasswd -r20 bob@example.test").split(": ")[1].strip()) == 20
    for wrong in ("-p bob@example.test not-a-hash", "no@example.test x-y-z-1", "bob@no.test x-y-z-1", "bob", "bob@example.test a b"):
        assert say(site, f"vpasswd {wrong}", 100).strip(), wrong


def test_what_is_done_twice_is_said_and_changes_nothing(site: module.System) -> None:
    lines = ["vadddomain two.test pass-word", "vaddaliasdomain three.test two.test", "vadduser ann@two.test pass-word",
             "vsetuserquota ann@two.test 5M", "vsetuserquota two.test 6M", "valias -i ann@two.test info@two.test",
             "VE-domain add four.test", "VE-domain popboxes four.test max 5", "VE-popbox add four.test luser",
             "VE-forwarder add four.test info luser@four.test", "VE-forwarder add four.test _default_ luser@four.test"]
    for line in lines:
        say(site, line)
        before = files(site)
        assert len(say(site, line, 100).splitlines()) == 1, line
        assert files(site) == before, line
    for line in ("vdeluser ann@two.test", "vdeldomain three.test", "vdeldomain two.test"):
        say(site, line)
        before = files(site)
        assert say(site, line, 100).strip(), line
        assert files(site) == before, line
