"""The command lines that documents of Vmail-SQL and vpopmail print, in their order, and what they say comes of them."""

import os
import poplib
import pty
import pwd
import stat
import subprocess

import pytest
import system as module
from system import wait_until

pytestmark = [pytest.mark.root, pytest.mark.peers]


@pytest.fixture
def site(system: module.System) -> module.System:
    """No domain, everything running; POP3 on site.pop3, SMTP on site.smtp."""
    (system.home / "users/assign").write_text(".\n")
    assert system.run("vq-newu").returncode == 0
    system.start_all()
    system.smtp, system.pop3 = system.start_smtp(), system.start_pop3()
    return system


def type_in(site: module.System, line: str, *answers: str) -> str:
    """A command line as root types it, with answers to what it asks on the terminal; what it says."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe("/bin/sh", ["sh", "-c", line], site.env() | {"TERM": "dumb"})
    said = b""
    to_come = list(answers)
    try:
        while piece := os.read(terminal, 65536):
            said += piece
            if to_come and said.endswith(b": "):
                os.write(terminal, to_come.pop(0).encode() + b"\n")
                said += b"\n"
    except OSError:                             # the terminal is gone with its last user
        pass
    os.close(terminal)
    status = os.waitpid(pid, 0)[1]

    assert (status, to_come) == (0, []), (line, said)
    return said.decode()


def refused(site: module.System, line: str, code: int = 100) -> str:
    done = subprocess.run(line, shell=True, text=True, capture_output=True, env=site.env(), check=False, timeout=60,
                          stdin=subprocess.DEVNULL)

    assert done.returncode == code, (line, done.stdout, done.stderr)
    return done.stdout + done.stderr


def login(site: module.System, name: str, secret: str) -> poplib.POP3:
    client = poplib.POP3("127.0.0.1", site.pop3, timeout=60)
    client.user(name)
    client.pass_(secret)
    return client


def mail(site: module.System, recipient: str) -> None:
    """echo test | mail RECIPIENT"""
    rc = site.path / "mailrc"
    rc.write_text(f"set sendmail={site.bin('sendmail')}\nset sendwait\n")
    nobody = pwd.getpwnam("nobody")
    temporary = site.path / "tmp"
    if not temporary.exists():
        temporary.mkdir()
        temporary.chmod(0o1777)
    done = subprocess.run(["sh", "-c", f"echo test | bsd-mailx -s x {recipient}"], capture_output=True, check=False, timeout=60,
                          env=site.env() | {"MAILRC": str(rc), "TMPDIR": str(temporary), "USER": "nobody"}, cwd="/",
                          user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[])
    assert done.returncode == 0, done.stderr


def waiting(client: poplib.POP3) -> int:
    try:
        return client.stat()[0]
    finally:
        client.quit()


def test_the_session_of_vmail_sql(site: module.System) -> None:                          # 1-29 1-31 1-32 1-33
    for line in ("VE-domain add klient1.test", "VE-domain popboxes klient1.test max 2", "VE-popbox add klient1.test luser",
                 "VE-passwd luser@klient1.test testpass", "VE-forwarder add klient1.test info luser@klient1.test",
                 "VE-forwarder add klient1.test _default_ luser@klient1.test"):
        type_in(site, line)
    mail(site, "luser@klient1.test")
    found = wait_until(lambda: list(site.virtual.glob("klient1.test/**/Maildir/new/*")), "a file")
    owner = (site.virtual / "klient1.test").stat().st_uid

    assert [(each.stat().st_uid, stat.S_IMODE(each.stat().st_mode) & 0o007) for each in found] == [(owner, 0)]

    client = login(site, "luser@klient1.test", "testpass")
    assert client.stat()[0] == 1
    assert client.retr(1)[1][-1] == b"test"
    assert client.quit().startswith(b"+OK")
    for name in ("info", "whoever"):
        mail(site, f"{name}@klient1.test")
    wait_until(lambda: waiting(login(site, "luser!klient1.test", "testpass")) == 3, "the forward and the catch-all")

    type_in(site, "VE-popbox add klient1.test second")
    assert "2" in refused(site, "VE-popbox add klient1.test third")
    refused(site, "VE-forwarder add klient1.test run '|/bin/sh'")
    assert "a domain has no password here" in refused(site, "VE-passwd klient1.test testpass")
    for name in ("VE-domain", "VE-popbox", "VE-forwarder", "VE-passwd"):
        assert refused(site, name).startswith(f"{name}: ")           # no arguments: its page


def test_the_session_of_vpopmail(site: module.System) -> None:                           # 4-13 4-14 4-15
    type_in(site, "vadddomain example.test", "of post master", "of post master")
    type_in(site, "vadduser ciccio@example.test papera-7")
    type_in(site, "vadduser nonna@example.test", "torta di mele", "torta di mele")
    for name, secret in (("postmaster", "of post master"), ("ciccio", "papera-7"), ("nonna", "torta di mele")):
        mail(site, f"{name}@example.test")
        wait_until(lambda name=name, secret=secret: waiting(login(site, f"{name}@example.test", secret)) == 1, name)

    type_in(site, "vpasswd ciccio@example.test altra-8")
    with pytest.raises(poplib.error_proto):
        login(site, "ciccio@example.test", "papera-7")
    assert waiting(login(site, "ciccio@example.test", "altra-8")) == 1

    type_in(site, "vdeluser ciccio@example.test")
    assert swaks(site, "ciccio@example.test").returncode == 24
    assert type_in(site, "vq-user restore ciccio@example.test") is not None
    assert waiting(login(site, "ciccio@example.test", "altra-8")) == 1

    type_in(site, "vdeldomain example.test")
    assert swaks(site, "nonna@example.test").returncode == 24
    with pytest.raises(poplib.error_proto):
        login(site, "nonna@example.test", "torta di mele")
    type_in(site, "vq-domain restore example.test")
    assert waiting(login(site, "nonna@example.test", "torta di mele")) == 1
    assert swaks(site, "nonna@example.test").returncode == 0


def swaks(site: module.System, recipient: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["swaks", "--server", f"127.0.0.1:{site.smtp}", "--from", "a@far.test", "--to", recipient],
                          capture_output=True, text=True, check=False, timeout=60)
