"""Sending after a login, over the real vq-smtpd: by a process for each client, and by one for all."""

import email
import os
import pathlib
import pty
import re
import select
import smtplib
import socket
import ssl
import subprocess
import threading
import typing

import pytest
import system as module

A, B = "a.test", "b.test"
MESSAGE = b"Subject: x\r\nBcc: ann@a.test\r\n\r\nbody\r\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[module.System]":
    """a.test with bob, ann and alice; b.test with bob and alice.  All services but the network's doors run."""
    site = module.System(tmp_path_factory.mktemp("submission"))
    try:
        site.add_domain(A, {"bob": "secret", "ann": "hidden", "alice": "x"})
        site.add_domain(B, {"bob": "other", "alice": "x"})
        for domain, users in site.domains.items():
            for user, uid in users.items():
                subprocess.run([site.bin("maildirmake"), site.virtual / domain / "home" / user / "Maildir"], check=True,
                               user=uid, group=uid, extra_groups=[])
        site.dotqmail(A, "info", "&bob@a.test\n")
        certificate(site)
        site.start_all()
        site.start_tls()
        site._start_service("auth")
        yield site
    finally:
        site.remove()


@pytest.fixture(params=["cold", "warm"])
def port(request: pytest.FixtureRequest, site: module.System) -> "typing.Iterator[int]":
    """The port of a submission service."""
    yield site.start_smtp(request.param == "warm", {"SUBMISSION": "1"})
    site.stop("smtp")
    for name in ("senders", "submissionlimits", "hideclient"):
        (site.home / "control" / name).unlink(missing_ok=True)
    (site.home / "run/smtpd/sent").unlink(missing_ok=True)
    if (site.virtual / A / "etc/options").exists():
        (site.virtual / A / "etc/options").unlink()
        assert site.run("vq-newu").returncode == 0
    for each in (site.virtual).glob("*/home/*/Maildir/new/*"):
        each.unlink()


def certificate(site: module.System) -> None:
    """control/servercert.pem, which signs itself."""
    key, pem = site.path / "key", site.path / "pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
                    "2", "-subj", "/CN=host.test", "-addext", "subjectAltName=DNS:host.test,DNS:localhost,IP:127.0.0.1", "-keyout", key,
                    "-out", pem], check=True, capture_output=True)
    whole = site.home / "control/servercert.pem"
    whole.touch(0o400)
    whole.chmod(0o400)
    whole.write_bytes(key.read_bytes() + pem.read_bytes())


def swaks(port: int, sender: str, to: str, *options: str, user: str = "bob@a.test",
          password: str = "secret") -> "tuple[int, str]":
    """(exit code, what was said) of a session over TLS with a login."""
    done = subprocess.run(
        ["swaks", "--silent", "1", "--server", "127.0.0.1", "--port", str(port), "--tls", "--auth", "PLAIN", "--auth-user", user,
         "--auth-password", password, "--helo", "laptop.test", "--from", sender, "--to", to, *options],
        capture_output=True, timeout=60, check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


class Client(smtplib.SMTP):
    """Logged in over TLS."""

    def __init__(self, site: module.System, port: int, user: str = "bob@a.test", password: str = "secret") -> None:
        super().__init__("127.0.0.1", port, "laptop.test", 60)
        self.starttls(context=ssl.create_default_context(cafile=os.fspath(site.path / "pem")))
        self.login(user, password)

    def said(self, command: str) -> str:
        """The reply to a command."""
        code, text = self.docmd(command)
        return f"{code} {text.decode()}"


def only(site: module.System, domain: str, user: str) -> bytes:
    """The one message of a mailbox, which goes."""
    found, = site.wait_for_mail(domain, user)
    text = found.read_bytes()
    found.unlink()
    return text


def test_a_name_without_a_domain_is_of_the_logins_domain(site: module.System, port: int) -> None:
    assert swaks(port, "bob@a.test", "alice") == (0, "")
    assert b"\nDelivered-To: alice@a.test\n" in b"\n" + only(site, A, "alice")

    assert swaks(port, "bob@b.test", "alice", user="bob@b.test", password="other") == (0, "")
    assert b"\nDelivered-To: alice@b.test\n" in b"\n" + only(site, B, "alice")

    with Client(site, port) as client:
        client.sendmail("bob", ["ann"], MESSAGE)
    text = only(site, A, "ann")
    assert text.startswith(b"Return-Path: <bob@a.test>\n")
    assert text.endswith(b"\n\nbody\n") and b"\nBcc: ann@a.test\n" in text


def test_as_somebody_else_he_sends_nothing(site: module.System, port: int) -> None:
    refusal = ("553 5.7.1 sorry, that sender is not an address of bob@a.test; send as one of your own, or have the "
               "postmaster list it in control/senders (#5.7.1)")
    with Client(site, port) as client:
        said = [client.said(f"MAIL FROM:<{each}>") for each in (
            "ann@a.test", "bob@b.test", "bob@far.test", "bob@a.test", "bob-x@a.test", "info@a.test", "", "ann")]

    assert said == [refusal] * 3 + ["250 2.1.0 ok"] * 4 + [refusal]
    assert "not an address of bob@a.test" in site.log()

    site.control("senders", "bob@a.test:@far.test\n@a.test:ann@a.test\n")
    with Client(site, port) as client:
        assert [client.said(f"MAIL FROM:<{each}>")[:3] for each in ("ann@a.test", "bob@b.test", "bob@far.test")] == [
            "250", "553", "250"]


def test_an_alias_that_a_command_made_is_his_who_gets_its_mail(site: module.System, port: int) -> None:
    aliases = {"office@a.test": ["bob@a.test"], "both@a.test": ["bob@a.test", "ann@a.test"]}
    for alias, targets in aliases.items():
        assert site.run("vq-alias", "set", alias, *targets).returncode in (0, 100)      # 100: it is so already
    with Client(site, port) as client:
        assert [client.said(f"MAIL FROM:<{each}>")[:3] for each in aliases] == ["250", "553"]


def test_what_is_missing_is_added_and_nothing_else_changed(site: module.System, port: int) -> None:
    message = b"From: Bob <bob>\r\nTo: alice\r\nX-Odd :  y \r\n\tz\r\n\r\nDate: none\r\n.\xff\r\n"
    with Client(site, port) as client:
        client.sendmail("bob@a.test", ["alice@a.test"], message)
        client.sendmail("bob@a.test", ["ann@a.test"], b"Date: yesterday\r\nMESSAGE-ID: <1@x>\r\n" + message)

    added = only(site, A, "alice").partition(b"From: Bob")[2]
    assert re.fullmatch(
        rb" <bob>\nTo: alice\nX-Odd :  y \n\tz\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000\n"
        rb"Message-ID: <[0-9a-f.]+@a\.test>\n\nDate: none\n\.\xff\n", added), added
    whole = only(site, A, "ann")
    assert whole.endswith(b"Date: yesterday\nMESSAGE-ID: <1@x>\n" + message.replace(b"\r\n", b"\n"))


def test_what_comes_without_a_login_is_not_touched(site: module.System) -> None:
    port = site.start_smtp(True)
    try:
        with smtplib.SMTP("127.0.0.1", port, "far.test", 60) as client:
            client.sendmail("joe@far.test", ["alice@a.test"], MESSAGE)
    finally:
        site.stop("smtp")

    text = only(site, A, "alice")
    assert b"Date:" not in text and b"Message-ID:" not in text


def test_the_trace_line_says_who_and_by_choice_not_where(site: module.System, port: int) -> None:
    assert swaks(port, "bob@a.test", "alice@a.test")[0] == 0
    assert re.search(rb"\nReceived: from unknown \(HELO laptop\.test\) \(bob@a\.test@127\.0\.0\.1\)\n"
                     rb"  by [a-z0-9.]+ with ESMTPSA[^\n]*; ", only(site, A, "alice"))

    site.control("hideclient", "1\n")
    assert swaks(port, "bob@a.test", "alice@a.test")[0] == 0
    text = only(site, A, "alice")
    assert re.search(rb"\nReceived: from a\.test \(bob@a\.test\)\n  by [a-z0-9.]+ with ESMTPSA[^\n]*; ", text)
    assert b"laptop" not in text.partition(b"\n\n")[0].partition(b"Date:")[0]
    assert "from 127.0.0.1 accepted message" in site.log()


def test_so_much_in_an_hour_and_no_more(site: module.System, port: int) -> None:
    site.control("submissionlimits", "3 5\nann@a.test:0 0\n")
    sent = []
    for to in (["alice"], ["alice", "ann"], ["alice", "ann", "bob"], ["alice"]):
        with Client(site, port) as client:      # a connection for each: that is no way around it
            try:
                sent.append(client.sendmail("bob@a.test", to, MESSAGE))
            except smtplib.SMTPResponseException as error:
                sent.append(f"{error.smtp_code} {error.smtp_error.decode()}")
    with Client(site, port) as client:
        said = client.said("MAIL FROM:<bob@a.test>")
    with Client(site, port, "ann@a.test", "hidden") as client:
        for _ in range(4):
            client.sendmail("ann@a.test", ["alice", "bob", "ann"], MESSAGE)

    assert sent == [{}, {}, "452 4.7.1 sorry, too many: 5 recipients for bob@a.test is the limit of an hour; try again later "
                            "(#4.7.1)", {}]
    assert said == "452 4.7.1 sorry, too many: 3 messages for bob@a.test is the limit of an hour; try again later (#4.7.1)"
    assert "too many: 5 recipients for bob@a.test" in site.log()
    assert "too many: 3 messages for bob@a.test" in site.log()


def test_however_he_is_spelled_over_many_connections_it_is_one_count(site: module.System, port: int) -> None:
    site.control("submissionlimits", "5 0\n")
    assert site.run("vq-domain", "alias", "alias.test", A).returncode == 0
    spelled = ["bob@a.test", "BOB@A.test", "bob%a.test", "bob!alias.test", "bob:a.test", "bob@alias.test"] * 2
    codes = []

    def send(user: str) -> None:
        with Client(site, port, user) as client:
            try:
                client.sendmail("bob@a.test", ["alice"], MESSAGE)
                codes.append(250)
            except smtplib.SMTPResponseException as error:
                codes.append(error.smtp_code)

    try:
        clients = [threading.Thread(target=send, args=(each,)) for each in spelled]
        for each in clients:
            each.start()
        for each in clients:
            each.join()
    finally:
        assert site.run("vq-domain", "unalias", "alias.test").returncode == 0

    assert sorted(codes) == [250] * 5 + [452] * 7


def test_who_is_suspended_sends_nothing_not_even_in_a_session_that_is_open(site: module.System, port: int) -> None:
    with Client(site, port) as client:
        assert client.said("MAIL FROM:<bob@a.test>")[:3] == "250"
        assert client.said("RSET")[:3] == "250"

        (site.virtual / A / "etc/options").write_text("bob:suspended=send\n")
        assert site.run("vq-newu").returncode == 0

        assert [client.said(f"MAIL FROM:<{each}>") for each in ("bob@a.test", "")] == [
            "550 5.7.1 sorry, bob@a.test may not send for now; ask your postmaster (#5.7.1)"] * 2
    with Client(site, port, "ann@a.test", "hidden") as client:
        assert client.said("MAIL FROM:<ann@a.test>")[:3] == "250"


def test_who_is_deleted_sends_nothing_in_a_session_that_is_open(site: module.System, port: int) -> None:
    with Client(site, port, "ann@a.test", "hidden") as used, Client(site, port, "ann@a.test", "hidden") as unused:
        assert used.said("MAIL FROM:<ann@a.test>")[:3] == "250"
        assert used.said("RSET")[:3] == "250"
        assert site.run("vq-user", "delete", "ann@a.test").returncode == 0
        try:
            said = [each.said("MAIL FROM:<ann@a.test>")[:9] for each in (used, unused)]
        finally:
            assert site.run("vq-user", "restore", "ann@a.test").returncode == 0
        again = used.said("MAIL FROM:<ann@a.test>")[:3]

    assert (said, again) == (["550 5.7.1"] * 2, "250")


@pytest.mark.parametrize(("name", "sender", "said"), [
    ("FORCEAUTHMAILFROM", "bob-x@a.test", "503 5.7.1 sorry, here you must send as bob@a.test, as whom you logged in (#5.7.1)"),
    ("FORCEAUTHMAILFROM", "", "550 5.7.1 sorry, no message without a sender here; send as bob@a.test (#5.7.1)"),
    ("FORCEAUTHMAILFROM", "bob@a.test", "250 2.1.0 ok"),
    ("REJECTNULLSENDERS", "", "550 5.7.1 sorry, no message without a sender here; send as bob@a.test (#5.7.1)"),
    ("REJECTNULLSENDERS", "bob-x@a.test", "250 2.1.0 ok"),
])
def test_choices_of_a_service(site: module.System, name: str, sender: str, said: str) -> None:
    port = site.start_smtp(True, {"SUBMISSION": "1", name: "1"})
    try:
        with Client(site, port) as client:
            assert client.said(f"MAIL FROM:<{sender}>") == said
    finally:
        site.stop("smtp")


# ---- the programs that people write mail with ----

def received(site: module.System) -> "email.message.Message":
    return email.message_from_bytes(only(site, A, "alice"))


def test_curl(site: module.System, port: int, tmp_path: pathlib.Path) -> None:
    (tmp_path / "message").write_text("From: bob@a.test\nTo: alice@a.test\nSubject: by curl\n\nhello\n")
    done = subprocess.run(
        ["curl", "-sS", "--ssl-reqd", "--cacert", site.path / "pem", "--url", f"smtp://127.0.0.1:{port}/laptop.test",
         "--user", "bob@a.test:secret", "--mail-from", "bob@a.test", "--mail-rcpt", "alice@a.test", "--crlf",
         "--upload-file", tmp_path / "message"], capture_output=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, b"")
    message = received(site)
    assert (message["Subject"], message["Return-Path"]) == ("by curl", "<bob@a.test>")
    assert message["Date"] and message["Message-ID"].endswith("@a.test>")


def test_s_nail(site: module.System, port: int) -> None:
    done = subprocess.run(
        ["s-nail", "-:/", "-Sv15-compat", f"-Smta=smtp://bob%40a.test:secret@localhost:{port}", "-Ssmtp-use-starttls",
         "-Ssmtp-auth=plain", "-Stls-verify=strict", f"-Stls-ca-file={site.path / 'pem'}", "-Sfrom=bob@a.test",
         "-Shostname=laptop.test", "-SDEAD=/dev/null", "-s", "by s-nail", "alice@a.test"],
        input=b"hello\n", capture_output=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, b"")
    message = received(site)
    assert (message["Subject"], message["Return-Path"]) == ("by s-nail", "<bob@a.test>")


def test_mutt(site: module.System, port: int, tmp_path: pathlib.Path) -> None:
    rc = tmp_path / "muttrc"
    rc.write_text(f"""\
set smtp_url="smtp://bob@a.test@127.0.0.1:{port}/"
set smtp_pass="secret"
set ssl_starttls=yes
set ssl_force_tls=yes
set ssl_verify_host=no
set certificate_file="{site.path / 'pem'}"
set from="bob@a.test"
set use_envelope_from=yes
set hostname="laptop.test"
set copy=no
set folder="{tmp_path}"
set spoolfile="{tmp_path}/none"
set tmpdir="{tmp_path}"
""")
    ours, theirs = pty.openpty()
    mutt = subprocess.Popen(["mutt", "-n", "-F", os.fspath(rc), "-s", "by mutt", "alice@a.test"], stdin=subprocess.PIPE,
                            stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "dumb", "HOME": os.fspath(tmp_path)})
    os.close(theirs)
    assert mutt.stdin
    mutt.stdin.write(b"hello\n")
    mutt.stdin.close()
    said = b""
    try:
        while select.select([ours], [], [], 30)[0]:
            piece = os.read(ours, 4096)
            if not piece:
                break
            said += piece
    except OSError:                             # it has closed its end
        pass
    finally:
        os.close(ours)
    assert mutt.wait(60) == 0, said
    message = received(site)
    assert (message["Subject"], message["Return-Path"]) == ("by mutt", "<bob@a.test>")


def test_without_a_login_the_submission_service_takes_nothing(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 60) as sock:
        file = sock.makefile("rwb")
        file.readline()
        file.write(b"HELO x\r\nMAIL FROM:<bob@a.test>\r\nQUIT\r\n")
        file.flush()
        assert [line[:3] for line in file] == [b"250", b"530", b"221"]


@pytest.mark.parametrize("warm", [False, True])
def test_over_tls_from_the_first_byte_it_is_the_same(site: module.System, warm: bool) -> None:
    port = site.start_smtp(warm, {"SUBMISSION": "1"}, site.bin("vq-tls"), site.bin("vq-smtpd"))
    try:
        context = ssl.create_default_context(cafile=os.fspath(site.path / "pem"))
        with smtplib.SMTP_SSL("127.0.0.1", port, "laptop.test", timeout=60, context=context) as client:
            client.login("bob@a.test", "secret")
            assert client.docmd("MAIL FROM:<ann@a.test>")[0] == 553
            client.sendmail("bob", ["alice"], MESSAGE)
    finally:
        site.stop("smtp")

    text = only(site, A, "alice")
    assert re.search(rb"\nReceived: from unknown \(HELO laptop\.test\) \(bob@a\.test@127\.0\.0\.1\)\n"
                     rb"  by [a-z0-9.]+ with ESMTPSA[^\n]*; ", text)
    assert re.search(rb"\nMessage-ID: <[0-9a-f.]+@a\.test>\n\nbody\n$", text)
