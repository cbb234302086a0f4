"""POP before SMTP with Debian's tcpserver and tcprules, and each form of a login with Python's poplib."""

import os
import poplib
import re
import smtplib
import socket
import subprocess
import time

import pytest
import system as module

pytestmark = [pytest.mark.root, pytest.mark.peers]


class PopFrom(poplib.POP3):
    """A client with an address of its own."""

    def __init__(self, source: str, port: int) -> None:
        self.source = source
        super().__init__("127.0.0.1", port, timeout=60)

    def _create_socket(self, timeout: float) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout, (self.source, 0))


def read_mail(source: str, port: int, name: str = "bob@domain1.test", password: str = "one") -> bytes:
    """The answer to a login."""
    client = PopFrom(source, port)
    try:
        client.user(name)
        return client.pass_(password)
    except poplib.error_proto as error:
        return bytes(error.args[0])
    finally:
        client.close()


def may_relay(source: str, port: int) -> bool:
    with smtplib.SMTP("127.0.0.1", port, "client.test", timeout=60, source_address=(source, 0)) as client:
        client.helo()
        client.mail("bob@domain1.test")
        code = client.rcpt("ann@elsewhere.test")[0]
    assert code in (250, 553)
    return code == 250


@pytest.fixture
def world(system: module.System) -> module.System:
    """Bob of domain1.test, POP before SMTP for three hours, Debian's tcpserver with rules."""
    system.add_domain("domain1.test", {"bob": "one", "bob!x": "bang"})
    system.add_domain("domain2.test", {"bob": "two"})
    for domain, people in system.domains.items():
        for user, uid in people.items():
            maildir = system.virtual / domain / "home" / user / "Maildir"
            for each in (maildir, maildir / "new", maildir / "cur", maildir / "tmp"):
                each.mkdir(0o700)
                os.chown(each, uid, uid)
    system.control("clearauth", "pop3\n")
    return system


@pytest.mark.parametrize("warm", [False, True])
def test_who_has_read_his_mail_may_send_for_some_time(world: module.System, warm: bool) -> None:
    control = world.home / "control"
    world.control("opensmtp", "180\n")
    world.control("tcp.smtp", '127.0.0.2:deny\n:allow,GREETING="x"\n')
    assert world.run("vq-clearopensmtp").returncode == 0
    pop = world.start_pop3(warm=warm)
    smtp = world.serve("smtp", False, ["-x", str(control / "tcp.smtp.cdb")], [world.bin("vq-smtpd")])

    assert read_mail("127.0.0.10", pop, password="wrong").startswith(b"-ERR")
    assert [may_relay(each, smtp) for each in ("127.0.0.9", "127.0.0.10", "127.0.0.1")] == [False] * 3
    before = int(time.time())
    assert read_mail("127.0.0.9", pop).startswith(b"+OK")
    assert [may_relay(each, smtp) for each in ("127.0.0.9", "127.0.0.10", "127.0.0.1")] == [True, False, False]

    line = (control / "open-smtp").read_text()
    assert re.fullmatch(r'127\.0\.0\.9:allow,RELAYCLIENT="",RBLSMTPD=""\t\d+\n', line)
    assert before <= int(line.split("\t")[1]) <= time.time()
    assert read_mail("127.0.0.1", pop).startswith(b"+OK")            # where a web mailer would be
    assert read_mail("127.0.0.2", pop).startswith(b"+OK")            # whom the postmaster denies
    assert not may_relay("127.0.0.1", smtp)
    with pytest.raises((smtplib.SMTPException, OSError)):
        may_relay("127.0.0.2", smtp)

    (control / "open-smtp").write_text(line.split("\t")[0] + f"\t{before - 3 * 3600 - 1}\n")
    assert world.run("clearopensmtp").returncode == 0
    assert not may_relay("127.0.0.9", smtp)
    assert read_mail("127.0.0.9", pop).startswith(b"+OK")
    assert may_relay("127.0.0.9", smtp)
    (control / "open-smtp").write_text(line.split("\t")[0] + f"\t{before - 3 * 3600 - 1}\n")
    assert read_mail("127.0.0.10", pop).startswith(b"+OK")           # the next one closes it, without cron
    assert [may_relay(each, smtp) for each in ("127.0.0.9", "127.0.0.10")] == [False, True]


def test_the_auth_service_closes_who_is_forgotten(world: module.System) -> None:
    control = world.home / "control"
    world.control("opensmtp", "1\n")
    world.control("open-smtp", '127.0.0.9:allow,RELAYCLIENT="",RBLSMTPD=""\t%d\n' % (time.time() - 55))
    assert world.run("vq-clearopensmtp").returncode == 0
    smtp = world.serve("smtp", False, ["-x", str(control / "tcp.smtp.cdb")], [world.bin("vq-smtpd")])
    world.start("auth", world.bin("vq-service"), "auth")

    assert may_relay("127.0.0.9", smtp)
    module.wait_until(lambda: not may_relay("127.0.0.9", smtp), "the end of that")
    assert (control / "open-smtp").read_text() == ""


def test_nobody_is_opened_by_default(world: module.System) -> None:
    assert read_mail("127.0.0.9", world.start_pop3()).startswith(b"+OK")
    assert not (world.home / "control/open-smtp").exists()


def test_tcprules_makes_the_same_of_the_same_files(world: module.System) -> None:
    """Rules of every kind by Debian's tcprules and by ours; and what we keep in open-smtp is a text for it."""
    control = world.home / "control"
    world.control("tcp.smtp", '# ours\n10.0.0.3-5:deny,X=/a/,Y=*b*\n10.1-2.:allow \n\n=host.x-y:allow\njoe@10.0.0.1:deny\n'
                  '=.test:allow,A="b,c:d"\n192.0.2.7:allow,RELAYCLIENT=""\n:allow\n')
    world.control("opensmtp", "1\n")
    world.control("open-smtp", '198.51.100.9:allow,RELAYCLIENT="",RBLSMTPD=""\t%d\n' % (time.time() + 9))
    assert world.run("vq-clearopensmtp").returncode == 0
    ours = subprocess.run(["cdb", "-d", control / "tcp.smtp.cdb"], capture_output=True, check=True).stdout
    text = (control / "tcp.smtp").read_bytes() + (control / "open-smtp").read_bytes().partition(b"\t")[0] + b"\n"
    subprocess.run(["tcprules", world.path / "cdb", world.path / "tmp"], input=text, check=True)

    assert subprocess.run(["cdb", "-d", world.path / "cdb"], capture_output=True, check=True).stdout == ours


@pytest.mark.parametrize("name", ["bob@domain1.test", "bob!domain1.test", "bob%domain1.test", "bob:domain1.test",
                                  "bob/domain1.test", "BOB%Domain1.Test", "bob#domain1.test"])
def test_each_separator(world: module.System, name: str) -> None:
    world.control("loginseparators", "!%:/#\n")
    port = world.start_pop3()

    assert read_mail("127.0.0.9", port, name, "one").startswith(b"+OK")
    assert read_mail("127.0.0.9", port, name, "two").startswith(b"-ERR")


def test_a_name_with_a_separator_in_it(world: module.System) -> None:
    world.control("popdomains", "127.0.0.1 domain1.test\n")
    port = world.start_pop3()

    for name in ("bob!x@domain1.test", "bob!x!domain1.test", "bob!x%domain1.test", "bob!x"):
        assert read_mail("127.0.0.9", port, name, "bang").startswith(b"+OK"), name
    assert read_mail("127.0.0.9", port, "bob", "one").startswith(b"+OK")
    assert read_mail("127.0.0.9", port, "bob!domain2.test", "two").startswith(b"+OK")
