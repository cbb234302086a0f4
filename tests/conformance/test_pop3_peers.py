"""POP3 with programs of other projects on either side: the clients people have, and Debian's tcpserver."""

import os
import pathlib
import poplib
import shutil
import subprocess

import pytest
import system as module

pytestmark = [pytest.mark.root, pytest.mark.peers]
TEXT = b"From: a@far.test\nTo: ann@domain1.test\nSubject: hello\nMessage-ID: <%d@far.test>\n\n.dot\nlast %d\n"


@pytest.fixture(params=["cold", "warm"])
def world(request, system: module.System):
    """ann and bob of domain1.test, bob of domain2.test; ann has three messages; POP3 on world.port."""
    system.add_domain("domain1.test", {"bob": "one", "ann": "geheim"})
    system.add_domain("domain2.test", {"bob": "two"})
    for number in range(3):
        put(system, "domain1.test", "ann", number)
    put(system, "domain1.test", "bob", 11)
    put(system, "domain2.test", "bob", 22)
    system.port = system.start_pop3(warm=request.param == "warm")
    return system


def put(system: module.System, domain: str, user: str, number: int) -> None:
    uid = system.domains[domain][user]
    maildir = system.virtual / domain / "home" / user / "Maildir"
    for each in (maildir, maildir / "new", maildir / "cur", maildir / "tmp"):
        if not each.exists():
            each.mkdir(0o700)
            os.chown(each, uid, uid)
    path = maildir / "new" / f"{1700000000 + number}.x"
    path.write_bytes(TEXT % (number, number))
    os.chown(path, uid, uid)


def left(system: module.System, domain: str, user: str) -> "list[str]":
    maildir = system.virtual / domain / "home" / user / "Maildir"
    return sorted(each.name for folder in ("new", "cur") for each in (maildir / folder).iterdir())


def config(path: pathlib.Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def test_fetchmail_fetches_and_deletes(world: module.System, tmp_path: pathlib.Path) -> None:
    box = tmp_path / "mbox"
    rc = config(tmp_path / "fetchmailrc", f"poll 127.0.0.1 protocol pop3 port {world.port} uidl\n"
                f"  user 'ann@domain1.test' password 'geheim' is root here nokeep fetchall sslproto ''\n"
                f"  mda '/bin/sh -c \"cat >>{box}; echo >>{box}\"'\n")
    done = subprocess.run(["fetchmail", "--nosyslog", "--nodetach", "-v", "-f", rc, "--pidfile", tmp_path / "pid",
                           "--idfile", tmp_path / "ids"], env=world.env() | {"HOME": str(tmp_path), "FETCHMAILHOME": str(tmp_path)},
                          capture_output=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert [box.read_bytes().count(b"\nlast %d\n" % number) for number in range(4)] == [1, 1, 1, 0]
    assert left(world, "domain1.test", "ann") == []


def test_getmail_leaves_and_does_not_fetch_twice(world: module.System, tmp_path: pathlib.Path) -> None:
    for each in ("box", "box/new", "box/cur", "box/tmp", "state"):
        (tmp_path / each).mkdir()
        shutil.chown(tmp_path / each, "nobody")
    rc = config(tmp_path / "state/getmailrc", "[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\n"
           f"port = {world.port}\nusername = ann@domain1.test\npassword = geheim\n"
           f"[destination]\ntype = Maildir\npath = {tmp_path}/box/\n"
           "[options]\nread_all = false\ndelete = false\ndelivered_to = false\nreceived = false\n")
    shutil.chown(rc, "nobody")
    for _ in range(2):
        done = subprocess.run(["getmail", "--getmaildir", tmp_path / "state"], env=world.env() | {"HOME": str(tmp_path)},
                              capture_output=True, timeout=60, check=False, user="nobody", group="nogroup", extra_groups=[])

        assert done.returncode == 0, done.stdout + done.stderr

    assert sorted(each.read_bytes().splitlines()[-1] for each in (tmp_path / "box/new").iterdir()) == [
        b"last 0", b"last 1", b"last 2"]
    assert left(world, "domain1.test", "ann") == ["1700000000.x:2,", "1700000001.x:2,", "1700000002.x:2,"]


def test_mutt_reads_and_deletes_one(world: module.System, tmp_path: pathlib.Path) -> None:
    box = tmp_path / "saved"
    rc = config(tmp_path / "muttrc", f"""\
set folder={tmp_path}
set spoolfile=pop://127.0.0.1:{world.port}/
set pop_user=ann@domain1.test
set pop_pass=geheim
set ssl_starttls=no
set ssl_force_tls=no
set pop_delete=yes
set delete=yes
set quit=yes
set copy=no
set confirmappend=no
set confirmcreate=no
set sort=mailbox-order
set mbox_type=mbox
push "<first-entry><save-message>{box}<enter><quit>"
""")
    with open(tmp_path / "screen", "wb") as screen:
        done = subprocess.run(["script", "-qec", f"mutt -n -F {rc} -f pop://127.0.0.1:{world.port}/", "/dev/null"],
                              env=world.env() | {"HOME": str(tmp_path), "TERM": "vt100"}, stdin=subprocess.DEVNULL,
                              stdout=screen, stderr=screen, timeout=60, check=False)

    assert done.returncode == 0, (tmp_path / "screen").read_bytes()
    assert b"\nlast 0\n" in box.read_bytes()
    assert left(world, "domain1.test", "ann") == ["1700000001.x:2,", "1700000002.x:2,"]


def test_curl_lists_and_deletes(world: module.System) -> None:
    def curl(path: str, *options: str) -> bytes:
        return subprocess.run(["curl", "-sS", *options, f"pop3://127.0.0.1:{world.port}/{path}", "-u", "ann!domain1.test:geheim"],
                              capture_output=True, check=True, timeout=60).stdout

    assert curl("").splitlines() == [b"1 %d" % SIZE, b"2 %d" % SIZE, b"3 %d" % SIZE]
    assert curl("2").endswith(b"\r\n.dot\r\nlast 1\r\n")

    curl("2", "-X", "DELE", "-l")

    assert left(world, "domain1.test", "ann") == ["1700000000.x:2,", "1700000002.x:2,"]


SIZE = len(TEXT % (0, 0)) + TEXT.count(b"\n")


def test_the_command_line_of_every_qmail_page(system: module.System) -> None:
    """tcpserver -u 0 -g 0 0 pop-3 popup HOST checkpassword pop3d Maildir, by names in PATH."""
    system.add_domain("domain1.test", {"ann": "geheim"})
    put(system, "domain1.test", "ann", 1)
    port = module.free_port()
    system.start("pop3", "/usr/bin/tcpserver", "-H", "-R", "-l", "0", "-u", "0", "-g", "0", "127.0.0.1", str(port),
                 "vq-popup", "virt.domain1.test", "vq-checkpassword", "vq-pop3d", "Maildir")
    module.wait_until(lambda: module._listening(port), "POP3")
    client = poplib.POP3("127.0.0.1", port, timeout=60)

    assert client.getwelcome() == b"+OK virt.domain1.test"

    client.user("ann")                          # there is one domain
    client.pass_("geheim")

    assert client.stat() == (1, SIZE)

    pid = int(system.log().rpartition("vq-checkpassword: pid ")[2].split()[0])
    status = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    ids = {row.split(":")[0]: row.split()[1:] for row in status if row.startswith(("Uid", "Gid", "Groups", "CapEff"))}
    uid = str(system.domains["domain1.test"]["ann"])

    assert ids == {"Uid": [uid] * 4, "Gid": [uid] * 4, "Groups": [uid], "CapEff": ["0000000000000000"]}
    client.quit()


def test_a_domain_for_each_address(system: module.System) -> None:
    system.add_domain("domain1.test", {"bob": "one"})
    system.add_domain("domain2.test", {"bob": "two"})
    put(system, "domain1.test", "bob", 1)
    put(system, "domain2.test", "bob", 2)
    system.control("popdomains", "127.0.0.2 domain1.test\n127.0.0.3 domain2.test\n")
    for address, password, number in (("127.0.0.2", "one", 1), ("127.0.0.3", "two", 2)):
        port = module.free_port()
        system.start(address, "/usr/bin/tcpserver", "-H", "-R", "-l", "0", address, str(port),
                     "vq-popup", "h", "vq-checkpassword", "vq-pop3d", "Maildir")

        def fetch(port: int = port, address: str = address, password: str = password) -> bytes:
            return subprocess.run(["curl", "-s", f"pop3://{address}:{port}/1", "-u", f"bob:{password}"],
                                  capture_output=True, check=False, timeout=60).stdout

        assert module.wait_until(fetch, address).endswith(b"last %d\r\n" % number)
