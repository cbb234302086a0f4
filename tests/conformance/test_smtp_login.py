"""STARTTLS and AUTH of vq-smtpd with other people's clients: under Debian's tcpserver, and in one process for all."""

import base64
import os
import pathlib
import select
import smtplib
import socket
import ssl
import subprocess
import time
import typing

import pytest
import scram_client
import system as module

pytestmark = [pytest.mark.root, pytest.mark.peers]
A = "a.test"
SECRET = "op3n-sesame"
ELSEWHERE = "friend@far.test"
PLAIN = base64.b64encode(f"\0bob@{A}\0{SECRET}".encode()).decode()
WRONG = base64.b64encode(f"\0bob@{A}\0{SECRET}x".encode()).decode()
CHECKER = """\
#!/usr/bin/python3 -IS
import os
name, secret = os.read(3, 512).split(b"\\0")[:2]
if name == b"broken": os._exit(111)
os._exit(0 if (name, secret) == (b"carol", b"from elsewhere") else 1)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[module.System]":
    """bob@a.test, whose password is stored in clear; TLS and the auth service run."""
    site = module.System(tmp_path_factory.mktemp("login"))
    try:
        site.add_domain(A, {"bob": SECRET})
        passwd = site.virtual / A / "etc/passwd"
        row = passwd.read_text().split(":")
        passwd.write_text(":".join([row[0], "{CLEAR}" + SECRET, *row[2:]]))
        assert site.run("vq-newu").returncode == 0
        site.ca = site.certify("host.test", "127.0.0.1")
        site.control("authmechanisms", "plain\nlogin\ncram-md5\nscram-sha-256\n")
        site.start_queue()
        site.start_tls()
        site.start_auth()
        yield site
    finally:
        site.remove()


@pytest.fixture(params=["cold", "warm"])
def warm(request: pytest.FixtureRequest, site: module.System) -> "typing.Iterator[bool]":
    """Whether one process serves all."""
    yield request.param == "warm"
    site.stop("smtp")


def client(site: module.System, port: int, *, tls: bool = True) -> smtplib.SMTP:
    """Connected, and secured."""
    found = smtplib.SMTP("127.0.0.1", port, "laptop.test", 60)
    found.ehlo()
    if tls:
        found.starttls(context=ssl.create_default_context(cafile=os.fspath(site.ca)))
        found.ehlo()
    return found


@pytest.mark.parametrize("how", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_swaks_logs_in_and_sends_anywhere(site: module.System, warm: bool, how: str) -> None:
    port = site.start_smtp(warm)
    done = subprocess.run(
        ["swaks", "--server", "127.0.0.1", "--port", str(port), "--tls", "--auth", how, "--auth-user", f"bob@{A}",
         "--auth-password", SECRET, "--from", f"bob@{A}", "--to", ELSEWHERE, "--auth-hide-password"],
        capture_output=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout.decode()
    assert f"login <bob@{A}> over TLS" in site.log()
    assert SECRET not in site.log()
    assert PLAIN not in site.log()


def test_stranger_may_not_send_elsewhere_with_tls_or_without(site: module.System, warm: bool) -> None:
    port = site.start_smtp(warm)
    for tls in (False, True):
        with client(site, port, tls=tls) as each:
            each.mail(f"bob@{A}")

            assert each.rcpt(ELSEWHERE)[0] == 553
            assert each.rcpt(f"bob@{A}")[0] == 250


def test_no_login_in_the_clear(site: module.System, warm: bool) -> None:
    with client(site, site.start_smtp(warm), tls=False) as each:
        assert "auth" not in each.esmtp_features
        assert "starttls" in each.esmtp_features
        assert each.docmd("AUTH PLAIN " + PLAIN)[0] == 538


def test_wrong_password_costs_a_second_and_the_third_the_connection_but_nobody_else_waits(
        site: module.System, warm: bool) -> None:
    port = site.start_smtp(warm)
    guesser, other = client(site, port), client(site, port)
    guesser.send(f"AUTH PLAIN {WRONG}\r\n")
    answered = 0
    while not select.select([guesser.sock], [], [], 0)[0]:
        assert other.noop()[0] == 250
        answered += 1

    assert answered > 1                         # the second one was asked while the guesser waited
    assert guesser.getreply()[0] == 535
    assert guesser.docmd("AUTH PLAIN " + WRONG)[0] == 535
    assert guesser.docmd("AUTH PLAIN " + WRONG)[0] == 421
    other.quit()
    guesser.close()
    module.wait_until(lambda: "end too-many-logins" in site.log(), "the log")

    assert f"login failed for <bob@{A}>" in site.log()
    assert SECRET not in site.log()
    assert WRONG not in site.log()


@pytest.mark.parametrize("behind", [b"RSET\r\nMAIL FROM:<evil@far.test>\r\n", b"x"])
def test_what_is_sent_behind_starttls_in_clear_is_never_a_command(
        site: module.System, warm: bool, behind: bytes) -> None:
    with socket.create_connection(("127.0.0.1", site.start_smtp(warm)), 60) as raw:
        raw.recv(1000)
        raw.sendall(b"MAIL FROM:<first@far.test>\r\nSTARTTLS\r\n" + behind)
        said = b""
        while said.count(b"\r\n") < 2:
            said += raw.recv(1)

        assert said == b"250 2.1.0 ok\r\n220 2.0.0 ready for tls\r\n"

        context = ssl.create_default_context(cafile=os.fspath(site.ca))
        try:
            secured = context.wrap_socket(raw, server_hostname="127.0.0.1")
        except (ssl.SSLError, OSError):
            return                              # the service saw it: no TLS begins like that
        with secured:
            secured.sendall(b"RCPT TO:<bob@a.test>\r\n")

            assert secured.recv(100) == b"503 5.5.1 MAIL first (#5.5.1)\r\n"


def test_openssl_speaks_smtp_after_starttls(site: module.System, warm: bool) -> None:
    port = site.start_smtp(warm)
    done = subprocess.run(
        ["openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{port}", "-quiet", "-crlf"],
        input=b"EHLO x\nAUTH PLAIN " + PLAIN.encode() + b"\nMAIL FROM:<>\nQUIT\n", capture_output=True, timeout=60,
        check=False)

    assert b"250-AUTH PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256\r\n" in done.stdout
    assert b"235 2.7.0 ok, go ahead (#2.7.0)\r\n250 2.1.0 ok\r\n221" in done.stdout
    assert b"STARTTLS" not in done.stdout


def test_curl_insists_on_tls(site: module.System, warm: bool, tmp_path: pathlib.Path) -> None:
    port = site.start_smtp(warm)
    (tmp_path / "mail").write_bytes(b"Subject: x\r\n\r\nbody\r\n")
    done = subprocess.run(
        ["curl", "-sS", "--ssl-reqd", "--cacert", site.ca, "--url", f"smtp://127.0.0.1:{port}", "--user",
         f"bob@{A}:{SECRET}", "--mail-from", f"bob@{A}", "--mail-rcpt", ELSEWHERE, "-T", tmp_path / "mail"],
        capture_output=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, b"")


def test_without_the_service_there_is_no_tls_now_and_the_session_goes_on(site: module.System, warm: bool) -> None:
    port = site.start_smtp(warm)
    site.stop("tls")
    try:
        with client(site, port, tls=False) as each:
            assert each.docmd("STARTTLS")[0] == 454
            assert each.noop()[0] == 250
    finally:
        site.start_tls()


def test_somebody_elses_checkpassword(site: module.System, warm: bool, tmp_path: pathlib.Path) -> None:
    checker = site.path / "checker"
    checker.write_text(CHECKER)
    checker.chmod(0o755)
    module.let_through(site.path)
    port = site.start_smtp(warm, {"SMTPAUTH": "!+cram"}, site.bin("vq-smtpd"), os.fspath(checker), "/bin/true")
    with client(site, port) as each:
        assert each.esmtp_features["auth"].split() == ["PLAIN", "LOGIN", "CRAM-MD5"]
        assert each.docmd("MAIL FROM:<carol@host.test>")[0] == 530
        with pytest.raises(smtplib.SMTPAuthenticationError):
            each.login("carol", "guess")
    with client(site, port) as each:
        each.login("carol", "from elsewhere")
    with client(site, port) as each, pytest.raises(smtplib.SMTPAuthenticationError) as caught:
        each.login("broken", "x")

    assert caught.value.smtp_code == 454
    assert "from elsewhere" not in site.log()


def test_scram_tells_the_client_that_the_server_knows_it_too(site: module.System, warm: bool) -> None:
    def step(text: bytes) -> "tuple[int, bytes]":
        code, said = each.docmd(base64.b64encode(text).decode())
        return code, base64.b64decode(said) if code == 334 else said

    bob = scram_client.Client(f"bob@{A}".encode(), SECRET.encode())
    with client(site, site.start_smtp(warm)) as each:
        assert each.docmd("AUTH SCRAM-SHA-256")[0] == 334
        code, challenge = step(bob.first())
        assert code == 334
        assert step(bob.final(challenge)) == (334, bob.expected)
        assert step(b"")[0] == 235
        assert each.mail(f"bob@{A}")[0] == 250
        assert each.rcpt(ELSEWHERE)[0] == 250


def test_a_login_that_was_cancelled_counts_for_nothing_in_the_next(site: module.System, warm: bool) -> None:
    def say(text: bytes) -> "tuple[int, bytes]":
        code, said = each.docmd(base64.b64encode(text).decode())
        return code, base64.b64decode(said) if code == 334 else said

    def proof(bob: scram_client.Client) -> "tuple[int, bytes]":
        assert each.docmd("AUTH SCRAM-SHA-256")[0] == 334
        return say(bob.final(say(bob.first())[1]))

    bob = scram_client.Client(f"bob@{A}".encode(), SECRET.encode())
    with client(site, site.start_smtp(warm)) as each:
        assert each.docmd("AUTH SCRAM-SHA-256")[0] == 334
        assert say(bob.first())[0] == 334
        assert each.docmd("*")[0] == 501
        assert proof(bob) == (334, bob.expected)            # a second attempt is one of its own
        assert each.docmd("*")[0] == 501                    # proved, but then he did not want to
        assert each.docmd("AUTH SCRAM-SHA-256 =")[0] == 535
        assert each.mail(f"bob@{A}")[0] == 250
        assert each.rcpt(ELSEWHERE)[0] == 553
        each.rset()
        assert proof(bob) == (334, bob.expected)
        assert say(b"")[0] == 235


def test_forced_tls_and_the_second_starttls(site: module.System, warm: bool) -> None:
    port = site.start_smtp(warm, {"FORCETLS": "1", "SUBMISSION": "1"})
    with client(site, port, tls=False) as each:
        assert each.docmd("MAIL FROM:<>")[0] == 530
        assert each.docmd("RSET")[0] == 530
    with client(site, port) as each:
        assert each.docmd("STARTTLS")[0] == 503
        assert each.docmd("MAIL FROM:<>") == (530, b"5.7.0 authentication required (#5.7.0)")
