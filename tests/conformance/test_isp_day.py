"""A day at a provider: three domains, fifty users, old habits, and a server that gets another name."""

import pathlib
import poplib
import smtplib
import subprocess
import typing

import pytest
import system as module
from system import wait_until

pytestmark = [pytest.mark.root, pytest.mark.peers]
DOMAINS = {"first.test": [], "second.test": ["uids=owner"], "third.test": ["mailboxes=17"]}
NAMES = ["bob", "ann", "a.b", "x", "o'brien", "100", "big=ben", "very-long-name-of-somebody-who-has-one", "j_d",
         *(f"user{number}" for number in range(8))]


def do(system: module.System, *argv: str, input: bytes = b"") -> str:
    """A command that must succeed."""
    done = system.run(*argv, input=input)

    assert done.returncode == 0, (argv, done.stderr)
    return done.stdout.decode()


def password(user: str, domain: str) -> str:
    return f"of {user} at {domain}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[module.System]":
    """Everything made by commands while the services run; SMTP on site.smtp, POP3 on site.pop3 and site.own."""
    system = module.System(tmp_path_factory.mktemp("isp"), name="old.test")
    (system.home / "users/assign").write_text(".\n")
    do(system, "vq-newu")
    system.start_all()
    system.smtp, system.pop3 = system.start_smtp(), system.start_pop3()
    for domain, options in DOMAINS.items():
        do(system, "vq-domain", "add", domain, *options)
        for name in NAMES[:16 if domain == "second.test" else 17]:
            do(system, "vq-user", "add", f"{name}@{domain}", "--password-stdin", input=password(name, domain).encode() + b"\n")
    yield system
    system.stop()


def login(port: int, name: str, secret: str, address: str = "127.0.0.1") -> poplib.POP3:
    client = poplib.POP3(address, port, timeout=60)
    client.user(name)
    client.pass_(secret)
    return client


def subjects(port: int, name: str, secret: str) -> "list[str]":
    """What is in a mailbox."""
    client = login(port, name, secret)
    try:
        return sorted(line.decode().removeprefix("Subject: ") for number in range(client.stat()[0])
                      for line in client.retr(number + 1)[1] if line.startswith(b"Subject: "))
    finally:
        client.quit()


def users() -> "list[tuple[str, str]]":
    return [(name, domain) for domain in DOMAINS for name in NAMES[:16 if domain == "second.test" else 17]]


def send(site: module.System, to: "list[str]", subject: str, sender: str = "a@far.test") -> None:
    with smtplib.SMTP("127.0.0.1", site.smtp, "client.test", timeout=60) as client:
        client.sendmail(sender, to, f"Subject: {subject}\r\n\r\nhello\r\n")


def test_fifty_users_have_fifty_mailboxes(site: module.System) -> None:                                 # 1-1 0-1
    assert len(users()) == 50
    for name, domain in users():
        send(site, [f"{name}@{domain}"], f"only {name} {domain}")
    wait_until(site.queue_is_empty, "an empty queue")
    for name, domain in users():
        assert f"only {name} {domain}" in subjects(site.pop3, f"{name}@{domain}", password(name, domain))
    everything = [each.read_bytes() for each in site.virtual.glob("*/home/*/Maildir/*/*") if each.is_file()]
    assert len([each for each in everything if b"\nSubject: only " in each]) == 50


def test_the_eighteenth_mailbox_is_over_the_limit(site: module.System) -> None:
    done = site.run("vq-user", "add", "eighteenth@third.test", "--password-stdin", input=b"x y z\n")

    assert done.returncode == 100
    assert b"17" in done.stderr


def test_a_domain_has_an_address_of_its_own_for_old_settings(site: module.System) -> None:               # 1-5 1-7
    site.control("popdomains", "127.0.0.7 second.test\n")
    port = module.free_port()
    site.start("own", site.bin("vq-tcpserver"), "-R", "-H", "-l", "0", "127.0.0.7", str(port), site.bin("vq-popup"), "pop",
               site.bin("vq-checkpassword"), site.bin("vq-pop3d"), "Maildir")
    wait_until(lambda: subprocess.run(["curl", "-s", f"pop3://127.0.0.7:{port}", "-u", f"bob:{password('bob', 'second.test')}"],
                                      check=False, capture_output=True, timeout=60).returncode == 0, "bob of second.test")
    with pytest.raises(poplib.error_proto):
        login(port, "bob", password("bob", "first.test"), "127.0.0.7")


def test_the_old_names_still_fetch(site: module.System, tmp_path: pathlib.Path) -> None:                 # 0-2 1-7
    (site.home / "users/logins").write_text("dom1ann:ann@first.test\ndom2ann:ann@second.test\n")
    do(site, "vq-newu")
    for login_name, domain in (("dom1ann", "first.test"), ("dom2ann", "second.test")):
        send(site, [f"ann@{domain}"], f"fetched {domain}")
        wait_until(site.queue_is_empty, "an empty queue")
        box = tmp_path / login_name
        rc = tmp_path / "fetchmailrc"
        rc.write_text(f"poll 127.0.0.1 protocol pop3 port {site.pop3}\n  user '{login_name}' password "
                      f"'{password('ann', domain)}' is root here keep fetchall sslproto ''\n"
                      f"  mda '/bin/sh -c \"cat >>{box}; echo >>{box}\"'\n")
        rc.chmod(0o600)
        done = subprocess.run(["fetchmail", "--nosyslog", "--nodetach", "-f", rc, "--pidfile", tmp_path / "pid"],
                              env=site.env() | {"HOME": str(tmp_path), "FETCHMAILHOME": str(tmp_path)}, capture_output=True,
                              timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"\nSubject: fetched {domain}\n" in box.read_text()
    assert "fetched first.test" not in (tmp_path / "dom2ann").read_text()


def test_four_names_of_a_domain_are_one(site: module.System) -> None:                                    # 0-9
    for name in ("mail.first.test", "first.example", "www.first.test"):
        do(site, "vq-domain", "alias", name, "first.test")
    for name in ("mail.first.test", "first.example", "first.test", "WWW.First.Test"):
        send(site, [f"x@{name}"], f"to {name}")
    wait_until(site.queue_is_empty, "an empty queue")

    assert {f"to {name}" for name in ("mail.first.test", "first.example", "first.test", "WWW.First.Test")} <= set(
        subjects(site.pop3, "x@first.test", password("x", "first.test")))


def test_nobody_notices_that_the_server_has_another_name(site: module.System) -> None:                   # 1-1
    before = {each: subjects(site.pop3, f"{each[0]}@{each[1]}", password(*each)) for each in users()[::7]}
    send(site, ["bob@first.test"], "before")
    site.control("me", "new.test\n")
    site.control("locals", "old.test\nnew.test\n")
    site.control("rcpthosts", (site.home / "control/rcpthosts").read_text() + "new.test\n")
    site.stop("send", "smtp", "pop3")
    site.smtp, site.pop3 = site.start_smtp(), site.start_pop3()
    site.start_send()
    with smtplib.SMTP("127.0.0.1", site.smtp, "client.test", timeout=60) as client:
        assert client.ehlo()[1].startswith(b"new.test\n")
    send(site, ["bob@first.test"], "after")
    wait_until(lambda: {"before", "after"} <= set(subjects(site.pop3, "bob@first.test", password("bob", "first.test"))),
               "mail from before and after")
    for each, found in before.items():
        assert set(found) <= set(subjects(site.pop3, f"{each[0]}@{each[1]}", password(*each)))
    assert do(site, "vq-user", "list", "third.test").count("\n") >= 17
