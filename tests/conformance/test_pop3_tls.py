"""POP3 over TLS with other people's clients, each way to log in, under Debian's tcpserver (cold) and our own (warm)."""

import pathlib
import poplib
import re
import socket
import ssl
import subprocess

import mail_clients
import pytest
import system as module
from mail_clients import Here, left, put

pytestmark = [pytest.mark.root, pytest.mark.peers]
NAME = "pop.domain1.test"
SECRET = "ge heim"


@pytest.fixture(params=["cold", "warm"])
def world(request, system: module.System):
    """ann of domain1.test, whose password is stored in clear, has three messages; POP3 with STLS on world.port."""
    system.add_domain("domain1.test", {"ann": SECRET})
    passwd = system.virtual / "domain1.test/etc/passwd"
    passwd.write_text(re.sub(r"ann:[^:]*:", f"ann:{{CLEAR}}{SECRET}:", passwd.read_text()))
    for number in range(3):
        put(system, "domain1.test", "ann", number)
    system.ca = system.certify(NAME, "127.0.0.1")
    system.control("apop", "1\n")
    system.control("clearauth", "0\n")
    system.control("authmechanisms", "plain\nlogin\ncram-md5\nscram-sha-256\n")
    system.start_tls()
    system.port = system.start_pop3(warm=request.param == "warm")
    return system


def trust(world: module.System) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(world.ca))


def test_python_reads_after_stls(world: module.System) -> None:
    client = poplib.POP3("127.0.0.1", world.port, timeout=60)

    assert client.capa() == {
        "TOP": [], "UIDL": [], "STLS": [], "RESP-CODES": [], "AUTH-RESP-CODE": [], "PIPELINING": [], "UTF8": [],
        "EXPIRE": ["NEVER"], "IMPLEMENTATION": ["vqmail"]}
    with pytest.raises(poplib.error_proto, match="not without TLS"):
        client.user("ann@domain1.test")

    client.stls(trust(world))

    assert client.capa() == {
        "TOP": [], "UIDL": [], "USER": [], "SASL": ["PLAIN", "LOGIN", "CRAM-MD5"], "RESP-CODES": [], "AUTH-RESP-CODE": [],
        "PIPELINING": [], "UTF8": [], "EXPIRE": ["NEVER"], "IMPLEMENTATION": ["vqmail"]}
    with pytest.raises(poplib.error_proto, match="it has begun"):
        client._shortcmd("STLS")

    client.utf8()
    client.user("ann@domain1.test")
    with pytest.raises(poplib.error_proto, match="AUTH"):
        client.pass_("wrong")
    client.user("ann@domain1.test")
    client.pass_(SECRET)

    assert client.stat()[0] == 3
    assert client.retr(2)[1][-2:] == [b".dot", b"last 1"]
    assert client.capa() == {"TOP": [], "UIDL": [], "RESP-CODES": [], "AUTH-RESP-CODE": [], "PIPELINING": [], "UTF8": [],
                             "EXPIRE": ["NEVER"], "IMPLEMENTATION": ["vqmail"]}
    client.dele(1)
    client.quit()
    module.wait_until(lambda: left(world, "domain1.test", "ann") == ["1700000001.x:2,", "1700000002.x:2,"], "the session's end")


def test_python_apop_after_stls(world: module.System) -> None:
    client = poplib.POP3("127.0.0.1", world.port, timeout=60)
    with pytest.raises(poplib.error_proto, match="not without TLS"):
        client.apop("ann@domain1.test", SECRET)
    client.stls(trust(world))
    client.apop("ann@domain1.test", SECRET)

    assert client.stat()[0] == 3


def test_what_was_said_before_stls_is_forgotten(world: module.System) -> None:
    world.control("clearauth", "1\n")
    client = poplib.POP3("127.0.0.1", world.port, timeout=60)
    client.user("ann@domain1.test")
    client.stls(trust(world))
    with pytest.raises(poplib.error_proto, match="USER first"):
        client.pass_(SECRET)


@pytest.mark.parametrize("behind", [b"USER ann@domain1.test\r\n", b"QUIT\r\n", b"x"])
def test_what_is_sent_behind_stls_in_clear_is_never_a_command(world: module.System, behind: bytes) -> None:
    with socket.create_connection(("127.0.0.1", world.port), 60) as raw:
        raw.recv(1000)
        raw.sendall(b"STLS\r\n" + behind)

        assert raw.recv(13) == b"+OK begin TLS"

        raw.recv(2)
        with pytest.raises((ssl.SSLError, OSError)), trust(world).wrap_socket(raw, server_hostname=NAME) as secured:
            secured.recv(1000)
    module.wait_until(lambda: "no TLS: " in world.log(), "the log")


def test_no_service_is_no_end_of_the_session(world: module.System) -> None:
    world.stop("tls")
    client = poplib.POP3("127.0.0.1", world.port, timeout=60)
    with pytest.raises(poplib.error_proto, match="SYS/TEMP"):
        client._shortcmd("STLS")

    assert client._shortcmd("NOOP") == b"+OK "


def test_curl(world: module.System) -> None:
    def curl(path: str, *options: str) -> bytes:
        return subprocess.run(["curl", "-sS", "--ssl-reqd", "--cacert", world.ca, *options, "--resolve",
                               f"{NAME}:{world.port}:127.0.0.1", f"pop3://{NAME}:{world.port}/{path}", "-u",
                               f"ann@domain1.test:{SECRET}"], capture_output=True, check=True, timeout=60).stdout

    for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5", "+APOP"):
        assert curl("2", "--login-options", f"AUTH={mechanism}").endswith(b"\r\n.dot\r\nlast 1\r\n")

    curl("2", "-X", "DELE", "-l")
    module.wait_until(lambda: left(world, "domain1.test", "ann") == ["1700000000.x:2,", "1700000002.x:2,"], "the deletion")


def test_openssl(world: module.System) -> None:
    client = subprocess.Popen(["openssl", "s_client", "-starttls", "pop3", "-connect", f"127.0.0.1:{world.port}", "-quiet", "-crlf",
                               "-CAfile", world.ca, "-verify_return_error", "-servername", NAME],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    # letters in lower case: s_client takes Q and R for itself
    said, _ = client.communicate(b"user ann@domain1.test\npass " + SECRET.encode() + b"\nstat\nretr 1\nquit\n", timeout=60)

    assert said.split(b"\r\n", 1)[1].startswith(b"+OK \r\n+OK 3 ") or b"\n+OK 3 " in said
    assert b"\r\nlast 0\r\n.\r\n+OK see you\r\n" in said


def anns(world: module.System, folder: pathlib.Path, how: str = "starttls", port: int = 0) -> "tuple[Here, mail_clients.Errand]":
    """Where ann is, and what she wants."""
    here = Here(folder, NAME, world.ca)
    return here, here.reading(how, port or world.port, "ann@domain1.test", SECRET)


def all_three(world: module.System, found: bytes) -> None:
    """They were fetched once each, and are gone."""
    assert [found.count(b"\nlast %d\n" % number) for number in range(4)] == [1, 1, 1, 0]
    module.wait_until(lambda: left(world, "domain1.test", "ann") == [], "the deletion")


@pytest.mark.parametrize("auth", ["user", "apop", "plain", "login", "cram-md5"])
def test_mpop(world: module.System, tmp_path: pathlib.Path, auth: str) -> None:
    all_three(world, mail_clients.mpop(*anns(world, tmp_path), auth, keep=False))


def test_fetchmail(world: module.System, tmp_path: pathlib.Path) -> None:
    all_three(world, mail_clients.fetchmail(*anns(world, tmp_path), keep=False))


def test_mutt(world: module.System, tmp_path: pathlib.Path) -> None:
    assert b"\nlast 0\n" in mail_clients.mutt_pop3(*anns(world, tmp_path), keep=False)
    module.wait_until(lambda: left(world, "domain1.test", "ann") == ["1700000001.x:2,", "1700000002.x:2,"], "the deletion")


def test_getmail_and_python_over_tls_from_the_first_byte(world: module.System, tmp_path: pathlib.Path) -> None:
    warm = "vq-tcpserver" in str(world.processes["pop3"].args)
    port = world.serve("pop3s", warm, [], [world.bin("vq-tls"), world.bin("vq-popup"), "host.test",
                                           world.bin("vq-checkpassword"), world.bin("vq-pop3d"), "Maildir"])
    client = poplib.POP3_SSL("127.0.0.1", port, timeout=60, context=trust(world))

    assert "STLS" not in client.capa()
    assert client.capa()["SASL"] == ["PLAIN", "LOGIN", "CRAM-MD5"]
    client.quit()
    all_three(world, mail_clients.getmail(*anns(world, tmp_path, "tls", port), keep=False))


def test_programs_behind_the_login_know_that_it_was_secured(world: module.System) -> None:
    out = world.path / "told"
    checker = world.path / "checker"
    checker.write_text(f"#!/bin/sh\nenv | grep -E '^(SSL|TCPREMOTEIP)' | sort >{out}\nexit 1\n")
    checker.chmod(0o755)
    port = world.serve("told", "vq-tcpserver" in str(world.processes["pop3"].args), [],
                       [world.bin("vq-popup"), "host.test", str(checker)])
    with socket.create_connection(("127.0.0.1", port), 60) as raw:
        raw.recv(1000)
        raw.sendall(b"STLS\r\n")
        raw.recv(1000)
        with trust(world).wrap_socket(raw, server_hostname=NAME.upper()) as secured:
            secured.sendall(b"USER ann\r\nPASS x\r\nQUIT\r\n")
            while secured.recv(1000):
                pass
            cipher = secured.cipher()

    assert cipher is not None
    assert out.read_text().split("\n") == [f"SSL_CIPHER={cipher[0]}", "SSL_PROTOCOL=TLSv1.3",
                                           f"SSL_TLS_SNI_SERVERNAME={NAME}", "TCPREMOTEIP=127.0.0.1", ""]


def test_a_big_message_over_tls(world: module.System) -> None:
    path = world.virtual / "domain1.test/home/ann/Maildir/new/1700000000.x"
    path.write_bytes(b"Subject: big\n\n" + b"x" * 70 + b"\n" + b"line of a big message\n" * 500_000)
    client = poplib.POP3("127.0.0.1", world.port, timeout=60)
    client.stls(trust(world))
    client.user("ann@domain1.test")
    client.pass_(SECRET)

    assert client.retr(1)[1][3:] == [b"line of a big message"] * 500_000
