"""One address for two domains: the name in the TLS handshake says whose bob it is, for clients as they are."""

import os
import poplib
import ssl
import subprocess

import pytest
import system as module

pytestmark = [pytest.mark.root, pytest.mark.peers]
ONE, TWO, LISTED = "pop.domain1.test", "domain2.test", "mail.isp.test"


@pytest.fixture(params=["cold", "warm"])
def world(request, system: module.System) -> module.System:
    """bob of domain1.test and bob of domain2.test; POP3 with STLS on world.port, POP3S on world.secured."""
    system.add_domain("domain1.test", {"bob": "one"})
    system.add_domain("domain2.test", {"bob": "two"})
    for domain in system.domains:
        uid = system.domains[domain]["bob"]
        maildir = system.maildir(domain, "bob")
        (maildir / "new/1700000000.x").write_text(f"Subject: hello\n\nof {domain}\n")
        os.chown(maildir / "new/1700000000.x", uid, uid)
    system.ca = system.certify(ONE, TWO, LISTED, "other.test")
    system.control("popdomains", f"{LISTED} domain2.test\n127.0.0.1 domain1.test\n")
    system.start_tls()
    warm = request.param == "warm"
    system.port = system.start_pop3(warm=warm)
    system.secured = system.serve("pop3s", warm, [], [
        system.bin("vq-tls"), system.bin("vq-popup"), "host.test", system.bin("vq-checkpassword"),
        system.bin("vq-pop3d"), "Maildir"])
    return system


def curl(world: module.System, name: str, password: str, secured: bool, user: str = "bob") -> bytes:
    scheme, port = ("pop3s", world.secured) if secured else ("pop3", world.port)
    return subprocess.run(["curl", "-s", "--ssl-reqd", "--cacert", world.ca,
                           "--resolve", f"{name}:{port}:127.0.0.1", f"{scheme}://{name}:{port}/1", "-u", f"{user}:{password}"],
                          capture_output=True, check=False, timeout=60).stdout


@pytest.mark.parametrize("secured", [False, True], ids=["STLS", "POP3S"])
def test_curl_asks_for_a_name_and_bob_is_of_its_domain(world: module.System, secured: bool) -> None:
    assert curl(world, ONE, "one", secured).endswith(b"of domain1.test\r\n")
    assert curl(world, TWO, "two", secured).endswith(b"of domain2.test\r\n")
    assert curl(world, LISTED, "two", secured).endswith(b"of domain2.test\r\n")
    assert curl(world, "other.test", "one", secured).endswith(b"of domain1.test\r\n")       # no domain: by the address
    assert curl(world, ONE, "two", secured) == b""
    assert curl(world, ONE, "two", secured, "bob@domain2.test").endswith(b"of domain2.test\r\n")


@pytest.mark.parametrize(("name", "password", "domain"), [(ONE, b"one", b"domain1"), (TWO, b"two", b"domain2")])
@pytest.mark.parametrize("secured", [False, True], ids=["STLS", "POP3S"])
def test_openssl_asks_for_a_name(world: module.System, secured: bool, name: str, password: bytes, domain: bytes) -> None:
    where = ["-connect", f"127.0.0.1:{world.secured}"] if secured else [
        "-starttls", "pop3", "-connect", f"127.0.0.1:{world.port}"]
    client = subprocess.Popen(["openssl", "s_client", *where, "-quiet", "-crlf", "-servername", name],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    said, _ = client.communicate(b"user bob\npass " + password + b"\nretr 1\nquit\n", timeout=60)

    assert b"\r\nof %s.test\r\n" % domain in said


def test_a_client_without_a_name_gets_the_domain_of_the_address(world: module.System) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client = poplib.POP3_SSL("127.0.0.1", world.secured, timeout=60, context=context)
    client.user("bob")
    client.pass_("one")

    assert client.retr(1)[1][-1] == b"of domain1.test"
    client.quit()
