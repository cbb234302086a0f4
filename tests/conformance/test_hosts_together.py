"""Installations side by side and one behind the other: rows of doc/REQUIREMENTS-STATUS.md that need two of something."""

import contextlib
import pathlib
import poplib
import pwd
import re
import shutil
import smtplib
import socket
import subprocess
import typing

import oddservers
import pytest
import system as module
from system import wait_until

pytestmark = [pytest.mark.root, pytest.mark.peers]
FIRST, SECOND = "127.0.0.2", "127.0.0.3"


@pytest.fixture
def pair(tmp_path: pathlib.Path) -> "typing.Iterator[tuple[module.System, module.System]]":
    """Two installations, one.test and two.test, each with a bob in domain1.test."""
    with contextlib.ExitStack() as stack:
        both = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            system = module.System(tmp_path / name, name=f"{name}.test")
            stack.callback(system.stop)
            system.add_domain("domain1.test", {"bob": name})
            both.append(system)
        yield both[0], both[1]


def port_on_both() -> int:
    """A port on which nobody listens on either address."""
    while True:
        port = module.free_port()
        with contextlib.suppress(OSError):
            socket.create_server((SECOND, port)).close()
            return port


def listen(system: module.System, name: str, address: str, port: int, *program: str, options: "tuple[str, ...]" = (),
           env: "dict[str, str] | None" = None) -> None:
    """A program under tcpserver on that address alone."""
    system.start(name, "/usr/bin/tcpserver", "-R", "-l", system.name, "-H", *options, address, str(port), *program, env=env)

    def answers() -> bool:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection((address, port), timeout=10).close()
            return True
        return False

    wait_until(answers, f"{name} on {address}")


def smtp(system: module.System, address: str, port: int, name: str = "smtp", options: "tuple[str, ...]" = (),
         env: "dict[str, str] | None" = None) -> None:
    daemon = pwd.getpwnam("qmaild")
    listen(system, name, address, port, system.bin("vq-smtpd"), env=env,
           options=("-u", str(daemon.pw_uid), "-g", str(daemon.pw_gid), *options))


def swaks(address: str, port: int, recipient: str, subject: str, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["swaks", "--server", f"{address}:{port}", "--from", "a@far.test", "--to", recipient, "--helo",
                           "client.test", "--header", f"Subject: {subject}", *options], capture_output=True, text=True,
                          check=False, timeout=60)


def test_two_installations_on_one_port_of_two_addresses(                                        # 3-24 3-25
        pair: "tuple[module.System, module.System]") -> None:
    mail, pop = port_on_both(), port_on_both()
    for system, address in zip(pair, (FIRST, SECOND), strict=True):
        system.start_all()
        smtp(system, address, mail)
        listen(system, "pop3", address, pop, "vq-popup", system.name, "vq-checkpassword", "vq-pop3d", "Maildir")
    for system, address, word in zip(pair, (FIRST, SECOND), ("one", "two"), strict=True):
        with smtplib.SMTP(timeout=60) as client:
            assert client.connect(address, mail) == (220, f"{word}.test ESMTP".encode())
        assert swaks(address, mail, "bob@domain1.test", word).returncode == 0

        letter, = system.wait_for_mail("domain1.test", "bob")
        assert f"\nSubject: {word}\n".encode() in letter.read_bytes()
    for address, word in ((FIRST, "one"), (SECOND, "two")):
        client3 = poplib.POP3(address, pop, timeout=60)
        assert client3.getwelcome() == f"+OK {word}.test".encode()
        client3.user("bob@domain1.test")
        client3.pass_(word)
        assert client3.stat()[0] == 1
        assert f"Subject: {word}".encode() in client3.retr(1)[1]
        client3.quit()
    with pytest.raises(poplib.error_proto):                         # the one's password is none with the other
        stranger = poplib.POP3(SECOND, pop, timeout=60)
        stranger.user("bob@domain1.test")
        stranger.pass_("one")


def test_two_servers_with_different_rules_share_a_queue(                                        # 3-23 3-24
        pair: "tuple[module.System, module.System]") -> None:
    one, two = pair
    port = port_on_both()
    two.control("rcpthosts", "two.test\ndomain2.test\n")
    one.add_domain("domain2.test", {"bob": "x"})
    one.control("rcpthosts", "one.test\ndomain1.test\n")
    one.start_all()
    smtp(one, FIRST, port)
    smtp(two, SECOND, port, env={"QMAILQUEUE": one.bin("vq-queue")})
    assert swaks(FIRST, port, "bob@domain1.test", "first").returncode == 0
    assert swaks(FIRST, port, "bob@domain2.test", "refused").returncode == 24
    assert swaks(SECOND, port, "bob@domain2.test", "second").returncode == 0
    assert swaks(SECOND, port, "bob@domain1.test", "refused").returncode == 24

    assert b"\nSubject: first\n" in one.wait_for_mail("domain1.test", "bob")[0].read_bytes()
    assert b"\nSubject: second\n" in one.wait_for_mail("domain2.test", "bob")[0].read_bytes()
    assert two.queue_is_empty()


def test_each_address_of_an_installation_has_rules_of_its_own(                                  # 3-22 2-13
        system: module.System, tmp_path: pathlib.Path) -> None:
    system.add_domain("domain1.test", {"bob": "x"})
    system.control("databytes", "100000\n")
    port = port_on_both()
    texts = {FIRST: f'{FIRST}:allow,RELAYCLIENT=""\n{SECOND}:deny\n:allow\n', SECOND: '127.0.0.:allow,DATABYTES="20000"\n:deny\n'}
    for address, text in texts.items():
        rules = tmp_path / f"{address}.cdb"
        subprocess.run(["tcprules", rules, tmp_path / "rules.tmp"], input=text, text=True, check=True)
        rules.chmod(0o644)
        smtp(system, address, port, name=address, options=("-x", str(rules)))
    system.start_queue()
    from_first = ("--local-interface", FIRST)

    assert swaks(FIRST, port, "x@far.test", "relay", *from_first).returncode == 0
    assert swaks(FIRST, port, "x@far.test", "no relay").returncode == 24
    assert swaks(FIRST, port, "bob@domain1.test", "no way", "--local-interface", SECOND).returncode != 0
    assert swaks(SECOND, port, "x@far.test", "no relay", *from_first).returncode == 24
    short, long = (swaks(SECOND, port, "bob@domain1.test", "x", "--body", "x" * length) for length in (10, 30_000))
    assert (short.returncode, "552 5.3.4" in long.stdout) == (0, True), long.stdout


def test_a_host_inside_sends_and_fetches_by_one_outside(tmp_path: pathlib.Path) -> None:        # 4-24 4-29
    with contextlib.ExitStack() as stack:
        hosts = {}
        for name in ("outside", "inside"):
            (tmp_path / name).mkdir()
            hosts[name] = module.System(tmp_path / name, name=f"{name}.test")
            stack.callback(hosts[name].stop)
            hosts[name].add_domain("domain1.test", {"bob": name})
        outside, inside = hosts["outside"], hosts["inside"]
        far = oddservers.Server(socket.create_server(("127.0.0.1", 0)), "far.test")
        stack.callback(far.close)
        outside.control("smtproutes", f"far.test:127.0.0.1:{far._listener.getsockname()[1]}\n")
        outside.start_all()
        port, pop = outside.start_smtp(env={"RELAYCLIENT": ""}), outside.start_pop3()
        inside.control("smtproutes", f":127.0.0.1:{port}\n")
        inside.start_all()

        rc = tmp_path / "mailrc"
        rc.write_text(f"set sendmail={inside.bin('sendmail')}\nset sendwait\n")
        done = subprocess.run(["bsd-mailx", "-s", "outwards", "-r", "bob@domain1.test", "ann@far.test"], input=b"hello\n",
                              env=inside.env() | {"MAILRC": str(rc), "USER": "nobody", "HOME": "/nonexistent"}, cwd="/",
                              user="nobody", check=False, capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")
        wait_until(lambda: far.taken("outwards"), "the letter far away")
        letter, = far.taken("outwards")
        assert (letter.sender, letter.recipients) == ("bob@domain1.test", ["ann@far.test"])
        assert letter.data.count(b"Received: (qmail ") == 2
        assert b" (HELO inside.test) (127.0.0.1)" in letter.data

        assert swaks("127.0.0.1", port, "bob@domain1.test", "inwards").returncode == 0
        outside.wait_for_mail("domain1.test", "bob")
        done = getmail(inside, pop, tmp_path / "getmail")
        assert done.returncode == 0, done.stdout + done.stderr
        fetched, = inside.wait_for_mail("domain1.test", "bob")
        assert fetched.read_bytes().startswith(b"Return-Path: <a@far.test>\n")
        assert b"\nSubject: inwards\n" in fetched.read_bytes()
        assert outside.mailbox("domain1.test", "bob") == []
        client = poplib.POP3("127.0.0.1", inside.start_pop3(), timeout=60)
        client.user("bob@domain1.test")
        client.pass_("inside")
        assert b"Subject: inwards" in client.retr(1)[1]
        client.quit()


def getmail(inside: module.System, pop: int, state: pathlib.Path) -> "subprocess.CompletedProcess[bytes]":
    """Fetch what is outside and send it to bob inside; Delivered-To of outside would be a loop there."""
    state.mkdir(mode=0o700)
    (state / "getmailrc").write_text(
        f"[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\nport = {pop}\nusername = bob@domain1.test\n"
        f"password = outside\n[destination]\ntype = MDA_external\npath = {inside.bin('sendmail')}\n"
        'arguments = ("-i", "-f", "%(sender)", "--", "bob@domain1.test")\n'
        '[filter-1]\ntype = Filter_external\npath = /usr/bin/reformail\narguments = ("-I", "Delivered-To:")\n'
        "[options]\ndelete = true\ndelivered_to = false\n")
    for each in (state, state / "getmailrc"):
        shutil.chown(each, "nobody")
    return subprocess.run(["getmail", "--getmaildir", state], env=inside.env() | {"HOME": str(state)}, capture_output=True,
                          timeout=60, check=False, user="nobody", group="nogroup", extra_groups=[], cwd="/")


@pytest.fixture
def activated(system: module.System) -> "typing.Iterator[module.System]":
    """bob in domain1.test and domain2.test, mail taken and delivered, and no server of ours."""
    assert shutil.which("systemd-socket-activate"), "systemd-socket-activate comes with systemd"
    system.add_domain("domain1.test", {"bob": "one"})
    system.add_domain("domain2.test", {"bob": "two"})
    system.start_all()
    yield system


def activate(system: module.System, name: str, *program: str, address: str = "127.0.0.1") -> int:
    """A program on a socket of systemd's, with Accept=yes and StandardInput=socket, or of inetd's, nowait; its port."""
    port = module.free_port()
    path = f"PATH={system.env()['PATH']}"
    system.start(name, "systemd-socket-activate", "--accept", "--inetd", "-l", f"{address}:{port}", "-E", path, *program)
    wait_until(lambda: f"Listening on {address}:{port}" in system.log(), name)
    return port


def test_the_doors_work_on_sockets_of_systemd_and_inetd(activated: module.System) -> None:      # 0-12 4-16
    mail = activate(activated, "smtp", "/usr/bin/setpriv", "--reuid=qmaild", "--regid=nofiles", "--clear-groups",
                    activated.bin("vq-smtpd"))
    pop = activate(activated, "pop3", activated.bin("vq-popup"), "host.test", activated.bin("vq-checkpassword"),
                   activated.bin("vq-pop3d"), "Maildir")
    for domain, password in (("domain1.test", "one"), ("domain2.test", "two")):
        assert swaks("127.0.0.1", mail, f"bob@{domain}", f"for {domain}").returncode == 0
        assert b" (HELO client.test) (127.0.0.1)" in activated.wait_for_mail(domain, "bob")[0].read_bytes()
        done = subprocess.run(["curl", "-sS", f"pop3://127.0.0.1:{pop}/1", "-u", f"bob@{domain}:{password}"],
                              capture_output=True, check=True, timeout=60)
        assert f"\r\nSubject: for {domain}\r\n".encode() in done.stdout
        assert re.search(rf"vq-checkpassword: pid \d+ .*from 127\.0\.0\.1 .*bob@{domain}", activated.log())
    assert swaks("127.0.0.1", mail, "bob@far.test", "no relay").returncode == 24
    assert subprocess.run(["curl", "-sS", f"pop3://127.0.0.1:{pop}/1", "-u", "bob@domain1.test:two"], capture_output=True,
                          check=False, timeout=60).returncode == 67


def test_the_address_decides_the_domain_on_such_sockets_too(activated: module.System) -> None:  # 0-12 0-13
    activated.control("popdomains", f"{FIRST} domain1.test\n{SECOND} domain2.test\n")
    for address, domain, password in ((FIRST, "domain1.test", "one"), (SECOND, "domain2.test", "two")):
        activated.inject("a@far.test", [f"bob@{domain}"], f"Subject: for {domain}\n\n".encode())
        activated.wait_for_mail(domain, "bob")
        port = activate(activated, address, activated.bin("vq-popup"), "host.test", activated.bin("vq-checkpassword"),
                        activated.bin("vq-pop3d"), "Maildir", address=address)
        done = subprocess.run(["curl", "-sS", f"pop3://{address}:{port}/1", "-u", f"bob:{password}"], capture_output=True,
                              check=True, timeout=60)
        assert f"\r\nSubject: for {domain}\r\n".encode() in done.stdout
