"""An installation by make setup, under Debian's svscan, supervise, envdir, multilog and tcpserver, with real users."""

import contextlib
import errno
import os
import pathlib
import poplib
import re
import shutil
import signal
import smtplib
import socket
import stat
import subprocess

import pytest
import supervised as module
from certificates import Authority
from supervised import DOORS, SERVICES, Supervised
from system import runs, wait_until
from test_setup import let_everybody_in, setup

ROOT = pathlib.Path(__file__).parents[2]
pytestmark = pytest.mark.root
MESSAGE = "From: ann@far.test\nSubject: {0}\n\nhello\n"
FIRST = 46000           # uid of the first domain's owner


def installed(path: pathlib.Path, server: str, number: int = 0) -> Supervised:
    """An installation of its own with two domains and a bob in each."""
    home = path / "vqmail"
    shutil.copytree(ROOT / "vqmail", path / "vqmail-source/vqmail", ignore=shutil.ignore_patterns("__pycache__"))
    done = setup(home, cwd=path / "vqmail-source")

    assert done.returncode == 0, done.stderr
    virtual = path / "virtual"
    names = ("domain1.test", "domain2.test")
    (home / "control/virtualroot").write_text(f"{virtual}\n")
    (home / "control/rcpthosts").write_text("".join(f"{each}\n" for each in names))
    (home / "control/virtualdomains").write_text("".join(f"{each}:{each}\n" for each in names))
    lines = []
    for index, name in enumerate(names):
        owner = FIRST + 100 * number + 10 * index
        domain = virtual / name
        bob = domain / "home/bob"
        bob.mkdir(parents=True)
        (domain / "etc").mkdir()
        (domain / ".qmail-default").write_text("| virtmailfilter\n")
        hashed = subprocess.run(["openssl", "passwd", "-6", f"password {name}"], capture_output=True, text=True, check=True)
        (domain / "etc/passwd").write_text(f"bob:{hashed.stdout.strip()}:{owner + 1}:{owner + 1}::/home/bob:/bin/false\n")
        (domain / "etc/passwd").chmod(0o640)
        for each in (domain, *domain.rglob("*")):
            os.chown(each, owner, owner)
        os.chown(bob, owner + 1, owner + 1)
        bob.chmod(0o700)
        lines.append(f"+{name}-:owner{index}:{owner}:{owner}:{domain}:-::\n")
    (home / "users/assign").write_text("".join(lines) + ".\n")
    subprocess.run([home / "bin/vq-newu"], check=True)
    return Supervised(home, server)


@pytest.fixture(scope="module", params=["vq-tcpserver", "tcpserver"])
def running(request, tmp_path_factory):
    """The whole system, its doors under our tcpserver or Debian's."""
    each = installed(let_everybody_in(tmp_path_factory.mktemp("svscan")), request.param)
    try:
        each.start()
        yield each
    finally:
        each.stop()


def send(port: int, subject: str, *recipients: str) -> None:
    with smtplib.SMTP("127.0.0.1", port, "client.test", timeout=60) as client:
        client.sendmail("ann@far.test", recipients, MESSAGE.format(subject))


def _subjects(port: int, domain: str) -> "list[str]":
    """The subjects in the mailbox of bob of `domain`, by POP3.  Nothing before the first message makes a Maildir."""
    try:
        return _read(port, domain)
    except (poplib.error_proto, OSError):
        return []


def _read(port: int, domain: str) -> "list[str]":
    client = poplib.POP3("127.0.0.1", port, timeout=60)
    try:
        client.user(f"bob@{domain}")
        client.pass_(f"password {domain}")
        found = [line.decode() for number in range(1, client.stat()[0] + 1) for line in client.retr(number)[1]
                 if line.startswith(b"Subject: ")]
    finally:
        client.quit()
    return [each.removeprefix("Subject: ") for each in found]


def test_a_message_comes_in_by_smtp_and_out_by_pop3(running: Supervised) -> None:
    send(running.smtp, "one", "bob@domain1.test")
    send(running.smtp, "two", "bob@domain2.test")

    wait_until(lambda: "one" in _subjects(running.pop3, "domain1.test"), "the message of the first bob")
    wait_until(lambda: "two" in _subjects(running.pop3, "domain2.test"), "the message of the second bob")
    assert "two" not in _subjects(running.pop3, "domain1.test")
    assert "one" not in _subjects(running.pop3, "domain2.test")


def test_delivered_files_belong_to_the_virtual_user(running: Supervised) -> None:
    send(running.smtp, "whose", "bob@domain2.test")
    new = running.home.parent / "virtual/domain2.test/home/bob/Maildir/new"
    path = wait_until(lambda: next((each for each in (new.iterdir() if new.is_dir() else ())
                                    if b"Subject: whose" in each.read_bytes()), None), "the message")
    owner = (running.home.parent / "virtual/domain2.test").stat().st_uid

    assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (owner + 1, 0o600)


def test_every_program_runs_as_the_design_says(running: Supervised) -> None:
    expected = {
        "vq-send": ("qmails", "qmail"), "vq-clean": ("qmailq", "qmail"), "vq-rspawn": ("qmailr", "qmail"),
        "vq-lspawn": ("root", "root"), "multilog": ("qmaill", "nofiles"),
    }
    wanted = {"vq-send": 1, "vq-clean": 1, "vq-rspawn": 1, "vq-lspawn": 1, "multilog": len((*SERVICES, *DOORS))}

    def seen() -> "dict[str, int]":
        """How many there are of each; the last delivery's process may be about to end."""
        found: "dict[str, int]" = {}
        recipients = {each for pid in children(running.pid("send")) for each in children(pid)}      # of vq-lspawn's
        for pid, words in module.members(running.svscan.pid):
            program = next((pathlib.Path(each).name for each in words[:4] if pathlib.Path(each).name in expected), None)
            if program and pid not in recipients:
                user, group = expected[program]
                found[program] = found.get(program, 0) + 1

                assert module.identity(pid)[:2] == ({user}, {group}), words
                if user != "root":
                    assert module.identity(pid)[2] == [group], words
        return found

    wait_until(lambda: seen() == wanted, "all of them, and no other")


def test_the_queue_service_works_as_qmailq(running: Supervised) -> None:
    users = [module.identity(pid) for pid in children(running.pid("queue"))]

    assert users == [({"qmailq"}, {"qmail"}, ["qmail"])] * 4


def test_a_session_of_smtp_runs_as_qmaild(running: Supervised) -> None:
    with smtplib.SMTP("127.0.0.1", running.smtp, "client.test", timeout=60):
        for each in identities([running.pid("smtpd"), *children(running.pid("smtpd"))]):
            assert each == ({"qmaild"}, {"nofiles"}, ["nofiles"])


def test_a_session_of_pop3_runs_as_the_user_from_the_password_on(running: Supervised) -> None:
    owner = (running.home.parent / "virtual/domain1.test").stat().st_uid
    send(running.smtp, "first", "bob@domain1.test")
    wait_until(lambda: "first" in _subjects(running.pop3, "domain1.test"), "a Maildir")
    client = poplib.POP3("127.0.0.1", running.pop3, timeout=60)
    client.user("bob@domain1.test")
    client.pass_("password domain1.test")
    client.stat()
    users = {frozenset(each[0]) for each in identities(descendants(running.pid("pop3d")))}
    client.quit()

    assert frozenset({str(owner + 1)}) in users
    # the other bob's process may still wait for his next session
    assert all(each == {"root"} or each < {str(uid) for uid in range(FIRST, FIRST + 1000)} and len(each) == 1 for each in users)


def children(pid: int) -> "list[int]":
    return [each for each, parent, _, _ in module.processes() if parent == pid]


def identities(pids: "list[int]") -> "list[tuple[set[str], set[str], list[str]]]":
    """Who they are, without those that have ended meanwhile."""
    found = []
    for each in pids:
        with contextlib.suppress(OSError):
            found.append(module.identity(each))
    return found


def descendants(pid: int) -> "list[int]":
    found = children(pid)
    return found + [each for child in found for each in descendants(child)]


def test_logs_are_qmaills_and_have_a_time(running: Supervised) -> None:
    send(running.smtp, "logged", "bob@domain1.test")
    for name in SERVICES:
        current = running.home / "service" / name / "log/main/current"

        assert current.owner() == "qmaill"
        for line in running.log(name).split("\n")[:-1]:        # the last one may be under way
            assert re.match(r"@[0-9a-f]{24} ", line), line
    wait_until(lambda: " status: " in running.log("smtpd"), "a line of tcpserver's")
    wait_until(lambda: "new msg " in running.log("send") and "end msg " in running.log("send"), "vq-send's story")


def test_an_unknown_user_is_refused_at_the_door(running: Supervised) -> None:
    with smtplib.SMTP("127.0.0.1", running.smtp, "client.test", timeout=60) as client:
        client.mail("ann@far.test")

        assert client.rcpt("nobody@domain1.test")[0] == 550
        assert client.rcpt("bob@domain1.test")[0] == 250


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_is_told_to_restart_does_and_works_again(running: Supervised, name: str) -> None:
    before = running.pid(name)
    running.svc("-t", name)
    wait_until(lambda: running.pid(name) not in {0, before}, f"another process for {name}")
    running.wait_ready()
    subject = f"after {name} {running.pid(name)}"
    wait_until(lambda: _sent(running.smtp, subject), "a message accepted")

    wait_until(lambda: _arrived(running, "domain1.test", subject), "the message")


def _sent(port: int, subject: str, recipient: str = "bob@domain1.test") -> bool:
    try:
        send(port, subject, recipient)
    except (smtplib.SMTPException, ConnectionError):
        return False
    return True


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_is_told_to_stop_leaves_no_process(running: Supervised, name: str) -> None:
    below = [running.pid(name), *descendants(running.pid(name))]
    running.svc("-d", name)
    wait_until(lambda: running.pid(name) == 0, f"the end of {name}")
    wait_until(lambda: not any(runs(pid) for pid in below), "the end of its processes")
    running.svc("-u", name)
    wait_until(lambda: running.pid(name) != 0, f"the start of {name}")
    running.wait_ready()


def test_stopping_one_service_leaves_the_others(running: Supervised) -> None:
    others = {name: running.pid(name) for name in SERVICES if name != "smtpd"}
    running.svc("-d", "smtpd")
    wait_until(lambda: running.pid("smtpd") == 0, "the end of smtpd")
    try:
        assert {name: running.pid(name) for name in others} == others
        assert _subjects(running.pop3, "domain1.test") == _subjects(running.pop3, "domain1.test")
        wait_until(lambda: _refuses(running.smtp), "nobody at its door")
    finally:
        running.svc("-u", "smtpd")
        running.wait_ready()


@pytest.mark.parametrize("name", SERVICES)
def test_a_killed_service_comes_back_and_nothing_is_lost(running: Supervised, name: str) -> None:
    before = running.pid(name)
    subject = f"kill {name} {before}"
    below = set(descendants(before))
    send(running.smtp, subject, "bob@domain2.test")
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: running.pid(name) not in {0, before}, f"another process for {name}")
    running.wait_ready()

    wait_until(lambda: _arrived(running, "domain2.test", subject), "the message")
    wait_until(lambda: not any(pid in below for pid, _ in module.members(running.svscan.pid)), "the end of its children")


def _arrived(running: Supervised, domain: str, subject: str) -> bool:
    """Whether the message is there.  What was deferred while a service was away is tried again at once."""
    running.svc("-a", "send")
    return subject in _subjects(running.pop3, domain)


def test_send_reads_its_domains_anew_when_hung_up(running: Supervised) -> None:
    path = running.home / "control/virtualdomains"
    text = path.read_text()
    path.write_text(text + "domain3.test:domain1.test\n")
    with (running.home / "control/rcpthosts").open("a") as file:
        file.write("domain3.test\n")
    sales = running.home.parent / "virtual/domain1.test/.qmail-sales"
    sales.write_text("&bob@domain1.test\n")
    os.chown(sales, sales.parent.stat().st_uid, -1)
    before = running.pid("send")
    running.svc("-h", "send")

    def arrives() -> bool:                      # the signal may reach vq-send later than the first message
        return _sent(running.smtp, "hung up", "sales@domain3.test") and (
            "hung up" in _subjects(running.pop3, "domain1.test"))

    wait_until(arrives, "a message by way of the new domain")
    path.write_text(text)
    running.svc("-h", "send")

    assert running.pid("send") == before


def test_the_check_finds_no_fault_with_a_running_system(running: Supervised) -> None:
    assert setup(running.home, "--check", cwd=running.home.parent / "vqmail-source").stdout == (
        f"{running.home}: every owner, mode, program and service is as it should be\n")


def test_a_setup_under_a_running_system_disturbs_nobody(running: Supervised) -> None:
    assert setup(running.home, cwd=running.home.parent / "vqmail-source").returncode == 0
    wait_until(lambda: _sent(running.smtp, "renewed"), "a message accepted")

    wait_until(lambda: "renewed" in _subjects(running.pop3, "domain1.test"), "the message")


def test_two_homes_on_one_machine_are_strangers(running: Supervised, tmp_path: pathlib.Path) -> None:
    other = installed(let_everybody_in(tmp_path), "vq-tcpserver", number=1)
    try:
        other.start()
        subject = f"other {other.smtp}"
        send(other.smtp, subject, "bob@domain1.test")
        wait_until(lambda: subject in _subjects(other.pop3, "domain1.test"), "the message in its home")
        send(running.smtp, "mine", "bob@domain1.test")
        wait_until(lambda: "mine" in _subjects(running.pop3, "domain1.test"), "the message in the first home")

        assert subject not in _subjects(running.pop3, "domain1.test")
        assert _subjects(other.pop3, "domain1.test") == [subject]
    finally:
        other.stop()
    assert setup(other.home, "--check", cwd=other.home.parent / "vqmail-source").returncode == 0
    assert _sent(running.smtp, "still there")


def test_a_door_of_tls_is_opened_as_its_run_script_says(running: Supervised, tmp_path: pathlib.Path) -> None:
    home = running.home
    authority = Authority(tmp_path)
    pem = home / "control/servercert.pem"
    pem.write_bytes(authority.sign("mail.test"))
    pem.chmod(0o400)
    wait_until(lambda: "servercert.pem: loaded" in running.log("tls"), "the certificate")
    ports = {}
    for name in ("smtps", "pop3s"):
        assert running.pid(name) == 0
        said = (home / "service" / name / "run").read_text().partition("#     ")[2].partition("\n")[0]
        ports[name] = module.lasting_port()
        running.setting(name, PORT=str(ports[name]), ADDRESS="127.0.0.1",
                        SERVER=(home / "service/smtpd/env/SERVER").read_text().strip())
        subprocess.run(["sh", "-c", said], check=True)
    for name, greeting in (("smtps", b"220 "), ("pop3s", b"+OK")):
        wait_until(lambda port=ports[name]: _listens(port), f"{name}")
        with authority.connect(ports[name], "mail.test") as client:
            assert client.recv(100)[:len(greeting)] == greeting
    for name in ports:
        (home / "service" / name / "down").touch()
        running.svc("-d", name)
    pem.unlink()


def _refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except ConnectionError:
        return False
    return True


def test_who_has_read_his_mail_may_send_without_a_restart(running: Supervised) -> None:
    control = running.home / "control"
    (control / "opensmtp").write_text("180\n")
    source = "127.0.0.77"

    def relays() -> bool:
        with smtplib.SMTP("127.0.0.1", running.smtp, timeout=60, source_address=(source, 0)) as client:
            client.ehlo()
            client.mail("bob@domain1.test")
            return client.rcpt("somebody@far.test")[0] == 250

    assert (control / "tcp.smtp.cdb").read_bytes() == b"\x00\x08\0\0\0\0\0\0" * 256
    try:
        assert not relays()
        subprocess.run(["curl", "-sS", "--interface", source, "-u", "bob@domain1.test:password domain1.test",
                        f"pop3://127.0.0.1:{running.pop3}/"], check=True, capture_output=True, timeout=60)
        assert relays()
    finally:
        (control / "opensmtp").unlink()
        subprocess.run([running.home / "bin/vq-clearopensmtp"], check=True)
    assert not relays()
