"""Mail out by POP3, with real clients, under Debian's tcpserver and our own."""

import hashlib
import os
import pathlib
import poplib
import re
import socket
import subprocess
import warnings

import pytest
import system as module

pytestmark = pytest.mark.root
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import crypt

MESSAGE = b"From: a@far.test\nSubject: hello\n\n.dot\n..dots\nbare \r return\nNUL \x00 \xff\nno newline"
WIRE = [b"From: a@far.test", b"Subject: hello", b"", b".dot", b"..dots", b"bare \r return", b"NUL \x00 \xff", b"no newline"]


def put(system: module.System, domain: str, user: str, text: bytes, name: str = "1700000000.M1P1.host",
        folder: str = "new") -> pathlib.Path:
    """A message in the user's maildir."""
    uid = system.domains[domain][user]
    maildir = system.virtual / domain / "home" / user / "Maildir"
    for each in (maildir, maildir / "new", maildir / "cur", maildir / "tmp"):
        if not each.exists():
            each.mkdir(0o700)
            os.chown(each, uid, uid)
    path = maildir / folder / name
    path.write_bytes(text)
    os.chown(path, uid, uid)
    return path


@pytest.fixture(params=["cold", "warm"])
def world(request, system: module.System):
    """domain1 with bob and ann, domain2 with bob; POP3 on world.port."""
    system.add_domain("domain1.test", {"bob": "one two ", "ann": "x"})
    system.add_domain("domain2.test", {"bob": "two"})
    system.port = system.start_pop3(warm=request.param == "warm")
    return system


def login(world: module.System, user: str, password: str) -> poplib.POP3:
    client = poplib.POP3("127.0.0.1", world.port, timeout=60)
    client.user(user)
    client.pass_(password)
    return client


def test_each_bob_reads_his_own(world: module.System) -> None:
    put(world, "domain1.test", "bob", b"Subject: one\n\n1\n")
    put(world, "domain2.test", "bob", b"Subject: two\n\n2\n")

    for name, password, text in (("bob@domain1.test", "one two ", b"Subject: one"),
                                 ("bob!domain2.test", "two", b"Subject: two"),
                                 ("BOB%Domain2.TEST", "two", b"Subject: two")):
        client = login(world, name, password)
        assert client.retr(1)[1][0] == text
        client.quit()


def test_sizes_are_what_goes_over_the_line(world: module.System) -> None:
    put(world, "domain1.test", "ann", MESSAGE)
    put(world, "domain1.test", "ann", b"a\r\nb\nc", "1700000001.x")
    put(world, "domain1.test", "ann", b"", "1700000002.x")
    client = login(world, "ann@domain1.test", "x")
    first = sum(len(each) + 2 for each in WIRE)

    assert client.stat() == (3, first + 9 + 0)
    assert client.list()[1] == [b"1 %d" % first, b"2 9", b"3 0"]

    response, lines, _ = client.retr(1)

    assert response == b"+OK %d octets" % first
    assert lines == WIRE
    assert client.retr(2)[1] == [b"a", b"b", b"c"]
    assert client.retr(3)[1] == []
    assert client.top(1, 0)[1] == WIRE[:3]
    assert client.top(1, 2)[1] == WIRE[:5]
    assert client.top(1, 99)[1] == WIRE


def test_deletes_only_in_quit_and_counts_only_what_is_left(world: module.System) -> None:
    paths = [put(world, "domain1.test", "ann", b"%d\n" % number, f"170000000{number}.x") for number in range(3)]
    client = login(world, "ann@domain1.test", "x")
    client.dele(2)

    assert client.stat() == (2, 6)
    assert client.uidl()[1] == [b"1 1700000000.x", b"3 1700000002.x"]
    with pytest.raises(poplib.error_proto, match="already deleted"):
        client.retr(2)

    client.close()                              # no QUIT
    again = login(world, "ann@domain1.test", "x")

    assert again.stat() == (3, 9)

    again.dele(2)
    again.rset()
    again.dele(1)
    again.quit()

    assert [each.exists() for each in paths] == [False, False, False]
    assert sorted(each.name for each in (paths[0].parent.parent / "cur").iterdir()) == [
        "1700000001.x:2,", "1700000002.x:2,"]


def test_a_message_that_another_reader_renamed_is_found(world: module.System) -> None:
    path = put(world, "domain1.test", "ann", b"text\n")
    client = login(world, "ann@domain1.test", "x")
    path.rename(path.parent.parent / "cur" / (path.name + ":2,S"))

    assert client.retr(1)[1] == [b"text"]

    client.dele(1)
    client.quit()

    assert list((path.parent.parent / "cur").iterdir()) == []


def test_wrong_password_and_unknown_user_get_the_same_answer_and_a_log_line(world: module.System) -> None:
    for name in ("bob@domain1.test", "nobody@domain1.test", "bob@nowhere.test", "bob@../domain1.test", "bob"):
        with pytest.raises(poplib.error_proto) as error:
            login(world, name, "wrong")

        assert error.value.args[0] == b"-ERR [AUTH] authorization failed"
        assert f"from 127.0.0.1 login failed for <{name}>" in world.log()


def test_a_bare_user_belongs_to_the_address_he_connected_to(world: module.System) -> None:
    put(world, "domain2.test", "bob", b"two\n")
    world.control("popdomains", "127.0.0.1 domain2.test\n")

    assert login(world, "bob", "two").retr(1)[1] == [b"two"]


@pytest.mark.parametrize("salt", ["$1$saltsalt", "$5$saltsalt", "$6$saltsalt", "$y$j9T$saltsaltsalt", "sa"])
def test_all_kinds_of_hashes(system: module.System, salt: str) -> None:
    system.add_domain("domain1.test", {"bob": "x"})
    put(system, "domain1.test", "bob", b"hello\n")
    passwd = system.virtual / "domain1.test/etc/passwd"
    passwd.write_text(re.sub(r"bob:[^:]*:", lambda _: f"bob:{crypt.crypt('geheim', salt)}:", passwd.read_text()))
    system.port = system.start_pop3(warm=False)         # without vq-newu: the text is newer, and believed

    assert login(system, "bob@domain1.test", "geheim").stat() == (1, 7)
    with pytest.raises(poplib.error_proto):
        login(system, "bob@domain1.test", "geheimx")


def test_apop_for_those_with_a_clear_password(world: module.System) -> None:
    world.control("apop", "1\n")
    put(world, "domain1.test", "ann", b"hello\n")
    passwd = world.virtual / "domain1.test/etc/passwd"
    passwd.write_text(re.sub(r"ann:[^:]*:", "ann:{CLEAR}sesame:", passwd.read_text()))
    client = poplib.POP3("127.0.0.1", world.port, timeout=60)
    client.apop("ann@domain1.test", "sesame")

    assert client.stat() == (1, 7)
    assert login(world, "ann@domain1.test", "sesame").stat() == (1, 7)
    with pytest.raises(poplib.error_proto):
        poplib.POP3("127.0.0.1", world.port, timeout=60).apop("bob@domain1.test", "one two ")
    stamp = re.search(rb"<.*>", client.getwelcome())[0]

    assert len(stamp) > 30
    assert hashlib.md5(stamp + b"sesame").hexdigest()


def test_commands_may_all_come_at_once(world: module.System) -> None:
    put(world, "domain1.test", "ann", b"hello\n")
    with socket.create_connection(("127.0.0.1", world.port), 60) as client:
        client.sendall(b"CAPA\r\nUSER ann@domain1.test\r\nPASS x\r\nSTAT\r\nRETR 1\r\nNOOP\r\nQUIT\r\n")
        said = b""
        while data := client.recv(65536):
            said += data

    assert b"\r\nPIPELINING\r\n" in said
    assert said.endswith(b"+OK 1 7\r\n+OK 7 octets\r\nhello\r\n.\r\n+OK \r\n+OK see you\r\n")


@pytest.mark.parametrize("line", [b"RETR 1_0", b"RETR \xd9\xa3", b"RETR -1", b"RETR 99999999999999999999", b"TOP 1",
                                  b"DELE", b"LIST x", b"XYZ", b"STAT 1", b"USER bob"])
def test_nonsense_is_refused_and_the_session_goes_on(world: module.System, line: bytes) -> None:
    client = login(world, "ann@domain1.test", "x") if put(world, "domain1.test", "ann", b"1\n") else None
    client.sock.sendall(line + b"\r\nNOOP\r\n")
    first, second = client.file.readline(), client.file.readline()

    assert first.startswith(b"-ERR")
    assert second == b"+OK \r\n"


def test_an_endless_line_ends_the_session(world: module.System) -> None:
    with socket.create_connection(("127.0.0.1", world.port), 60) as client:
        client.sendall(b"USER " + b"x" * 100_000 + b"\r\n")
        said = b""
        try:
            while data := client.recv(65536):
                said += data
        except ConnectionResetError:
            pass

    assert said.count(b"-ERR") <= 1


def test_curl_and_mpop(world: module.System, tmp_path: pathlib.Path) -> None:
    put(world, "domain1.test", "ann", MESSAGE)
    got = subprocess.run(["curl", "-sS", f"pop3://127.0.0.1:{world.port}/1", "-u", "ann@domain1.test:x"],
                         capture_output=True, check=True, timeout=60).stdout

    assert got == b"".join(each + b"\r\n" for each in WIRE)

    box = tmp_path / "mbox"
    config = tmp_path / "mpoprc"
    config.write_text(f"account a\nhost 127.0.0.1\nport {world.port}\nuser ann@domain1.test\npassword x\nauth user\n"
                      f"tls off\ndelivery mbox {box}\nuidls_file {tmp_path}/uidls\nkeep off\n")
    config.chmod(0o600)
    subprocess.run(["mpop", "-C", config, "a"], capture_output=True, check=True, timeout=60)

    assert b"Subject: hello" in box.read_bytes()
    assert world.mailbox("domain1.test", "ann") == []
