"""POP3 with programs of other projects on either side: the clients people have, and Debian's tcpserver."""

import pathlib
import poplib
import subprocess

import mail_clients
import pytest
import system as module
from mail_clients import LETTER, Here, left, put

pytestmark = [pytest.mark.root, pytest.mark.peers]


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


def anns(world: module.System, folder: pathlib.Path) -> "tuple[Here, mail_clients.Errand]":
    """Where ann is, and what she wants."""
    here = Here(folder, "pop.domain1.test")
    return here, here.reading("plain", world.port, "ann@domain1.test", "geheim")


def test_fetchmail_fetches_and_deletes(world: module.System, tmp_path: pathlib.Path) -> None:
    found = mail_clients.fetchmail(*anns(world, tmp_path), keep=False)

    assert [found.count(b"\nlast %d\n" % number) for number in range(4)] == [1, 1, 1, 0]
    module.wait_until(lambda: left(world, "domain1.test", "ann") == [], "the deletion")


def test_getmail_leaves_and_does_not_fetch_twice(world: module.System, tmp_path: pathlib.Path) -> None:
    found = mail_clients.getmail(*anns(world, tmp_path), times=2)

    assert [found.count(b"\nlast %d\n" % number) for number in range(4)] == [1, 1, 1, 0]
    module.wait_until(lambda: left(world, "domain1.test", "ann") == [f"170000000{each}.x:2," for each in range(3)], "its end")


def test_mutt_reads_and_deletes_one(world: module.System, tmp_path: pathlib.Path) -> None:
    assert b"\nlast 0\n" in mail_clients.mutt_pop3(*anns(world, tmp_path), keep=False)
    module.wait_until(lambda: left(world, "domain1.test", "ann") == ["1700000001.x:2,", "1700000002.x:2,"], "the deletion")


def test_curl_lists_and_deletes(world: module.System) -> None:
    def curl(path: str, *options: str) -> bytes:
        return subprocess.run(["curl", "-sS", *options, f"pop3://127.0.0.1:{world.port}/{path}", "-u", "ann!domain1.test:geheim"],
                              capture_output=True, check=True, timeout=60).stdout

    assert curl("").splitlines() == [b"1 %d" % SIZE, b"2 %d" % SIZE, b"3 %d" % SIZE]
    assert curl("2").endswith(b"\r\n.dot\r\nlast 1\r\n")

    curl("2", "-X", "DELE", "-l")

    module.wait_until(lambda: left(world, "domain1.test", "ann") == ["1700000000.x:2,", "1700000002.x:2,"], "the deletion")


SIZE = len(LETTER % (0, 0)) + LETTER.count(b"\n")


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
