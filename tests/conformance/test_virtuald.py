"""vq-virtuald as the HOWTO has virtuald: a domain for each address, for clients as they are."""

import os
import pathlib
import poplib
import shutil
import socket
import subprocess
import warnings

import pytest
import support
import system as module

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import crypt

HERE = {"TCPREMOTEIP": "10.9.9.9", "PROTO": "TCP"}
TEXT = b"From: a@far.test\nSubject: hello\n\nlast %d\n"


def put(maildir: pathlib.Path, uid: int, number: int) -> None:
    for each in (maildir, maildir / "new", maildir / "cur", maildir / "tmp"):
        each.mkdir(0o700)
        os.chown(each, uid, uid)
    path = maildir / "new" / f"{1700000000 + number}.x"
    path.write_bytes(TEXT % number)
    os.chown(path, uid, uid)


def say(home: support.Home, *argv: str, **env: str) -> "tuple[int, bytes, bytes]":
    done = home.run(["vq-virtuald", *argv], env=HERE | env)
    return done.returncode, done.stdout, done.stderr


PRINT = ("sh", "-c", "echo $VQ_DOMAIN $TCPLOCALHOST")


@pytest.mark.parametrize(("address", "domain"), [
    ("10.0.0.2", b"domain1.com domain1.com\n"), ("2001:db8:0::3", b"domain2.com domain2.com\n")])
def test_the_program_is_told_the_domain(home: support.Home, address: str, domain: bytes) -> None:
    conf = home.write("conf.pop", "# ours\n10.0.0.2 /virtual/Domain1.com\n2001:db8::3 domain2.com\n")

    assert say(home, str(conf), *PRINT, TCPLOCALIP=address, VQ_DOMAIN="x", TCPLOCALHOST="x") == (0, domain, b"")


def test_other_addresses_are_sent_away_or_have_a_domain(home: support.Home) -> None:
    conf = home.write("conf.pop", "10.0.0.2 domain1.com\n")

    assert say(home, str(conf), *PRINT, TCPLOCALIP="10.0.0.3") == (
        100, b"", b"vq-virtuald: %s has no line for 10.0.0.3: 10.9.9.9 sent away\n" % os.fsencode(conf))
    conf.write_text("10.0.0.2 domain1.com\n* domain2.com\n")
    assert say(home, str(conf), *PRINT, TCPLOCALIP="10.0.0.3") == (0, b"domain2.com domain2.com\n", b"")


def test_a_line_that_makes_no_sense_hurts_only_who_has_no_other(home: support.Home) -> None:
    conf = home.write("conf.pop", "10.0.0.2 domain1.com\n10.0.0.3\n* domain2.com\n")

    assert say(home, str(conf), *PRINT, TCPLOCALIP="10.0.0.2")[:2] == (0, b"domain1.com domain1.com\n")
    assert say(home, str(conf), *PRINT, TCPLOCALIP="10.0.0.3") == (
        111, b"", b"vq-virtuald: %s: line 2 has 1 words; write the address and the directory or domain\n"
        % os.fsencode(conf))


def test_a_file_that_others_can_write_to_is_not_believed(home: support.Home) -> None:
    conf = home.write("conf.pop", "10.0.0.2 domain1.com\n")
    assert say(home, str(conf), *PRINT, TCPLOCALIP="10.0.0.2")[0] == 0
    for mode, owner in ((0o664, -1), (0o646, -1), (0o644, 45999)):
        conf.chmod(mode)
        os.chown(conf, owner, -1)

        assert say(home, str(conf), *PRINT, TCPLOCALIP="10.0.0.2") == (
            111, b"", b"vq-virtuald: %s is writable for others than root: chown root and chmod go-w it\n"
            % os.fsencode(conf))


def test_without_its_file_it_is_trouble(home: support.Home) -> None:
    assert say(home, "/nowhere/conf", "true", TCPLOCALIP="10.0.0.2") == (
        111, b"", b"vq-virtuald: cannot read /nowhere/conf: No such file or directory\n")
    assert [say(home, *argv)[0] for argv in ((), ("conf",), ("-r", "conf"), ("-x", "conf", "true"))] == [100] * 4


@pytest.mark.root
@pytest.mark.peers
@pytest.mark.parametrize("server", ["/usr/bin/tcpserver", "vq-tcpserver"])
def test_the_command_line_of_the_howto(system: module.System, tmp_path: pathlib.Path, server: str) -> None:
    """Two addresses, one server on all, bare bob on each: curl and mpop."""
    for number, domain in enumerate(("domain1.test", "domain2.test"), 1):
        system.add_domain(domain, {"bob": f"secret{number}"})
        put(system.virtual / domain / "home/bob/Maildir", system.domains[domain]["bob"], number)
    conf = system.virtual / "conf.pop"
    conf.write_text(f"127.0.0.2 {system.virtual}/domain1.test\n127.0.0.3 {system.virtual}/domain2.test\n")
    port = str(module.free_port())
    system.start("pop3", server, "-u", "0", "-g", "0", "0", port, "vq-virtuald", str(conf), "vq-popup",
                 "virt.domain1.com", "vq-checkpassword", "vq-pop3d", "Maildir")
    module.wait_until(lambda: not refused("127.0.0.2", port), "the server")

    def fetch(address: str, password: str) -> bytes:
        return subprocess.run(["curl", "-s", f"pop3://{address}:{port}/1", "-u", f"bob:{password}"],
                              capture_output=True, check=False, timeout=60).stdout

    assert fetch("127.0.0.2", "secret1").endswith(b"\r\nlast 1\r\n")
    assert fetch("127.0.0.3", "secret2").endswith(b"\r\nlast 2\r\n")
    assert fetch("127.0.0.2", "secret2") == b""
    assert fetch("127.0.0.4", "secret1") == b""             # has no line
    for number in (1, 2):
        box = tmp_path / f"box{number}"
        done = subprocess.run(["mpop", "--host=127.0.0.%d" % (number + 1), f"--port={port}", "--user=bob", "--auth=user",
                               "--passwordeval=echo secret%d" % number, "--keep=off", "--tls=off",
                               f"--delivery=mbox,{box}", f"--uidls-file={tmp_path}/uidls{number}"],
                              capture_output=True, check=False, timeout=60, env=system.env() | {"HOME": str(tmp_path)})

        assert done.returncode == 0, done.stdout + done.stderr
        assert b"last %d\n" % number in box.read_bytes()
        assert not list((system.virtual / f"domain{number}.test/home/bob/Maildir/cur").iterdir())


def jail(path: pathlib.Path) -> pathlib.Path:
    """A root that is root's, with a shell and the libraries that it needs in it, and no Python."""
    listed = subprocess.run(["ldd", "/bin/sh"], capture_output=True, check=True, text=True).stdout.split()
    for each in ("/bin/sh", *(word for word in listed if word.startswith("/"))):
        target = path / each[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(each, target)
    path.chmod(0o755)
    return path


@pytest.mark.root
@pytest.mark.peers
@pytest.mark.parametrize("server", ["/usr/bin/tcpserver", "vq-tcpserver"])
def test_a_program_in_another_root(system: module.System, tmp_path: pathlib.Path, server: str) -> None:
    """Executed there, from a cold and from a warm vq-virtuald, which serves the next one as before."""
    inside = jail(tmp_path / "jail" / "domain1.test")
    (tmp_path / "conf").write_text(f"127.0.0.2 {inside}\n")
    port = str(module.free_port())
    system.start("echo", server, "-H", "-R", "-l", "0", "127.0.0.2", port, system.bin("vq-virtuald"), "-r",
                 str(tmp_path / "conf"), "/bin/sh", "-c", "echo $VQ_DOMAIN; pwd; echo /*; read line; echo $line")

    def session() -> bytes:
        with socket.create_connection(("127.0.0.2", int(port)), timeout=60) as client:
            client.sendall(b"hello\n")
            try:
                return b"".join(iter(lambda: client.recv(4096), b""))
            except ConnectionResetError:        # it is gone without reading that
                return b""

    module.wait_until(lambda: not refused("127.0.0.2", port), "the server")
    names = " ".join(sorted(f"/{each.name}" for each in inside.iterdir())).encode()
    for _ in range(3):
        assert session() == b"domain1.test\n/\n%s\nhello\n" % names
    inside.chmod(0o777)
    assert session() == b""
    assert f"{inside} is writable for others than root" in system.log()


@pytest.mark.root
@pytest.mark.peers
def test_a_whole_pop_session_in_another_root_without_python(system: module.System, tmp_path: pathlib.Path) -> None:
    """vq-tcpserver has the programs loaded; in the domain's directory, which is their root, is none of them."""
    inside = tmp_path / "jail" / "domain1.test"
    (inside / "etc").mkdir(parents=True)
    (inside / "virtual").mkdir()
    (inside / "virtual/domain1.test").symlink_to("/")
    inside.chmod(0o755)
    home = inside / "home/bob"
    home.mkdir(parents=True, mode=0o755)
    os.chown(home, 45701, 45701)
    put(home / "Maildir", 45701, 7)
    (inside / "etc/passwd").write_text(f"bob:{crypt.crypt('one', '$6$rounds=1000$salt')}:45701:45701::home/bob:/bin/false\n")
    (tmp_path / "conf").write_text(f"127.0.0.2 {inside}\n")
    port = module.free_port()
    system.start("pop3", system.bin("vq-tcpserver"), "-H", "-R", "-l", "0", "127.0.0.2", str(port),
                 system.bin("vq-virtuald"), "-r", str(tmp_path / "conf"), system.bin("vq-popup"), "h",
                 system.bin("vq-checkpassword"), system.bin("vq-pop3d"), "Maildir")
    module.wait_until(lambda: not refused("127.0.0.2", str(port)), "the server")
    for left in (1, 0):
        client = poplib.POP3("127.0.0.2", port, timeout=60)
        client.user("bob")
        client.pass_("one")
        assert client.stat()[0] == left
        if left:
            assert client.retr(1)[1][-1] == b"last 7"
            client.dele(1)
        client.quit()
    client = poplib.POP3("127.0.0.2", port, timeout=60)
    client.user("bob")
    with pytest.raises(poplib.error_proto):
        client.pass_("two")
    client.close()


def refused(address: str, port: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, int(port))) != 0
