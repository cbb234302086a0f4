"""Logging in with the programs that people have, over TLS and without, in each form of a login: a whole installation under
svscan, its doors under Debian's tcpserver (a process for each connection) and under ours (warm)."""

import base64
import concurrent.futures
import itertools
import subprocess
import typing

import mail_clients
import pytest
from clients_world import ANN, ANNS, BIG, CARL, DORA, EVA, EVAS, HOST, ONE, SECRET, TWO, Site, listens
from mail_clients import BODY, CANNOT, POP3, SMTP, Errand
from supervised import DOORS, SERVICES, lasting_port
from system import wait_until

pytestmark = [pytest.mark.root, pytest.mark.peers]
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module", params=["tcpserver", "vq-tcpserver"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[Site]":
    each = Site(tmp_path_factory.mktemp("clients"), request.param)
    try:
        each.start()
        yield each
    finally:
        each.stop()


@pytest.fixture
def errand(site: Site) -> "typing.Callable[..., Errand]":
    """Makes an errand: for POP3, or with a subject for SMTP."""
    def make(how: str, user: str, password: str, host: str = HOST, *, subject: str = "", **more: object) -> Errand:
        folder = site.path / f"errand{next(NUMBERS)}"
        folder.mkdir()
        defaults = {"body": BODY, "folder": folder, "how": how, "host": host, "user": user, "password": password, "subject": subject,
                    "port": site.ports["smtp" if subject else "pop3", how], "sender": f"bob@{ONE}", "recipient": CARL}
        return Errand(**(defaults | more))
    return make


def wrong(password: str) -> str:
    return password[:-1] + "?"


def at_once(do: "typing.Callable[[Site, Errand], typing.Any]", site: Site, *errands: Errand) -> "list[typing.Any]":
    """What comes of each errand; a wrong password costs a second, in which the others go on."""
    with concurrent.futures.ThreadPoolExecutor(len(errands)) as pool:
        return [each.result() for each in [pool.submit(do, site, errand) for errand in errands]]


def lines(text: bytes) -> "list[bytes]":
    return text.replace(b"\r\n", b"\n").split(b"\n")


# ---- reading


@pytest.mark.parametrize(("name", "how"), [
    (name, how) for name in POP3 for how in ("plain", "starttls", "tls") if (name, how) not in CANNOT])
def test_each_client_reads_the_mail_of_the_right_bob(site: Site, errand, name: str, how: str) -> None:
    fetch = POP3[name]

    right, wrong, bare = at_once(
        fetch, site, errand(how, f"bob@{ONE}", SECRET[ONE]), errand(how, f"bob@{ONE}", SECRET[TWO]),
        errand(how, "bob", SECRET[TWO], f"pop.{TWO}"))

    assert b"of domain1.test" in lines(right)
    assert wrong == b""
    if how == "plain":                          # no name, no domain: nobody's
        assert bare == b""
    else:                                       # the name in the TLS handshake says whose bob it is
        assert b"of domain2.test" in lines(bare)


# ---- sending


@pytest.mark.parametrize(("name", "how"), [(name, how) for name in SMTP for how in ("starttls", "tls")])
def test_each_client_sends_as_the_right_bob(site: Site, errand, name: str, how: str) -> None:
    send = SMTP[name]
    subject = f"{name} {how}"

    assert at_once(
        send, site, errand(how, f"bob@{ONE}", SECRET[TWO], subject="wrong " + subject),
        errand(how, f"bob@{ONE}", SECRET[ONE], subject="full " + subject),
        errand(how, "bob", SECRET[TWO], f"smtp.{TWO}", subject="bare " + subject, sender=f"bob@{TWO}")) == [False, True, True]
    for words, domain in (("full", ONE), ("bare", TWO)):
        text = site.arrived(f"{words} {subject}")
        received = text[text.index("Received: from unknown (HELO "):].split("; ")[0]

        assert f"(bob@{domain}@127.0.0.1)\n" in received
        assert " with ESMTPSA" in received
        assert text.startswith(f"Return-Path: <bob@{domain}>\n")
        assert text.rstrip("\n").endswith("\n..dots\nlast")       # swaks adds a line
        assert "\nDate: " in text
    assert site.find("wrong " + subject) == ""


# ---- what is big, and what is not ASCII


@pytest.mark.parametrize("name", [each for each in POP3 if each not in {"openssl", "s-nail"}])      # they show it their own way
def test_each_client_reads_a_big_message(site: Site, errand, name: str) -> None:
    got = lines(POP3[name](site, errand("tls", DORA, SECRET[ONE])))

    assert got[got.index(b"begin"):got.index(b"end")] == BIG.encode().split(b"\n")[:-2]


@pytest.mark.parametrize("name", SMTP)
def test_each_client_sends_a_big_message(site: Site, errand, name: str) -> None:
    assert SMTP[name](site, errand("starttls", f"bob@{ONE}", SECRET[ONE], subject=f"big by {name}", body=BIG))
    assert site.arrived(f"big by {name}").rstrip("\n").endswith("\n\n" + BIG.rstrip("\n"))


@pytest.mark.parametrize("name", POP3)
def test_each_client_reads_with_a_password_that_is_not_ascii(site: Site, errand, name: str) -> None:
    assert b"of domain1.test" in lines(POP3[name](site, errand("tls", EVA, EVAS)))


@pytest.mark.parametrize("name", [each for each in SMTP if each != "python"])      # its smtplib says ASCII
def test_each_client_sends_with_a_password_that_is_not_ascii(site: Site, errand, name: str) -> None:
    assert SMTP[name](site, errand("tls", EVA, EVAS, subject=f"in UTF-8 by {name}", sender=EVA))
    assert f"({EVA}@127.0.0.1)" in site.arrived(f"in UTF-8 by {name}")


# ---- each form of a login, each mechanism


FORMS = (f"bob@{TWO}", f"BOB@{TWO.title()}", f"bob!{TWO}", f"bob%{TWO}", f"bob:{TWO}", f"bob/{TWO}", f"bob#{TWO}", "d2bob")


@pytest.mark.parametrize("name", FORMS)
def test_each_form_of_a_login(site: Site, errand, name: str) -> None:
    subject = f"as {name}"

    right, wrong = at_once(mail_clients.mpop, site, errand("plain", name, SECRET[TWO]), errand("starttls", name, SECRET[ONE]))

    assert b"of domain2.test" in lines(right)
    assert wrong == b""
    assert at_once(mail_clients.msmtp, site, *(
        errand(how, name, secret, subject=subject, sender=f"bob@{TWO}")
        for how, secret in (("starttls", SECRET[TWO]), ("tls", SECRET[ONE])))) == [True, False]
    assert f"(bob@{TWO}@127.0.0.1)" in site.arrived(subject)


@pytest.mark.parametrize("fetch", [mail_clients.fetchmail, mail_clients.getmail])
def test_a_bare_name_is_of_the_domain_of_the_address_that_was_called(site: Site, errand, fetch) -> None:
    behind = {"host": "behind.test", "port": site.ports["pop3", "behind"]}

    right, wrong, full = at_once(fetch, site, *(errand("plain", name, secret, **behind) for name, secret in (
        ("bob", SECRET[TWO]), ("bob", SECRET[ONE]), (f"bob@{ONE}", SECRET[ONE]))))

    assert b"of domain2.test" in lines(right)
    assert wrong == b""
    assert b"of domain1.test" in lines(full)


@pytest.fixture
def mechanisms(site: Site) -> "typing.Iterator[None]":
    """Everything is offered; it is only of use for ann, whose password is stored in clear."""
    texts = {"authmechanisms": "plain\nlogin\ncram-md5\nscram-sha-256\n", "apop": "1\n"}
    for name, text in texts.items():
        (site.home / "control" / name).write_text(text)
    yield
    for name in texts:
        (site.home / "control" / name).unlink()


def curl_by(mechanism: str) -> "tuple[str, str]":
    return "--login-options", f"AUTH={mechanism}"


READING = {
    **{f"mpop {each}": lambda site, errand, each=each: mail_clients.mpop(site, errand, each)
       for each in ("user", "plain", "login", "cram-md5", "apop")},
    **{f"curl {each}": lambda site, errand, each=each: mail_clients.curl_pop3(site, errand, *curl_by(each))
       for each in ("PLAIN", "LOGIN", "CRAM-MD5", "+APOP")},
    **{f"mutt {each}": lambda site, errand, each=each: mail_clients.mutt_pop3(site, errand, each)
       for each in ("apop", "cram-md5", "user")},
    "perl": POP3["perl"], "python": POP3["python"], "fetchmail": POP3["fetchmail"], "s-nail": POP3["s-nail"],
}
SENDING = {
    **{f"swaks {each}": lambda site, errand, each=each: mail_clients.swaks(site, errand, each)
       for each in ("PLAIN", "LOGIN", "CRAM-MD5")},
    **{f"msmtp {each}": lambda site, errand, each=each: mail_clients.msmtp(site, errand, each)
       for each in ("plain", "login", "cram-md5", "scram-sha-256", "on")},
    **{f"curl {each}": lambda site, errand, each=each: mail_clients.curl_smtp(site, errand, *curl_by(each))
       for each in ("PLAIN", "LOGIN", "CRAM-MD5")},
    **{f"mutt {each}": lambda site, errand, each=each: mail_clients.mutt_smtp(site, errand, each)
       for each in ("login", "cram-md5", "scram-sha-256")},
    "perl": SMTP["perl"], "python": SMTP["python"], "node": SMTP["node"], "s-nail": SMTP["s-nail"],
}


@pytest.mark.parametrize("name", READING)
def test_each_mechanism_for_reading(site: Site, errand, mechanisms, name: str) -> None:
    right, refused = at_once(READING[name], site, errand("starttls", ANN, ANNS), errand("starttls", ANN, wrong(ANNS)))

    assert b"of domain1.test" in lines(right)
    assert refused == b""


@pytest.mark.parametrize("name", SENDING)
def test_each_mechanism_for_sending(site: Site, errand, mechanisms, name: str) -> None:
    assert at_once(SENDING[name], site, *(errand("starttls", ANN, secret, subject=f"by {name}", sender=ANN)
                                          for secret in (ANNS, wrong(ANNS)))) == [True, False]
    assert f"({ANN}@127.0.0.1)" in site.arrived(f"by {name}")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
def test_gsasl(site: Site, mechanisms, mechanism: str) -> None:
    def login(password: str) -> int:
        return site.client("gsasl", "--smtp", "--connect", f"{HOST}:{site.ports['smtp', 'starttls']}", "--mechanism", mechanism,
                           "--authentication-id", ANN, "--password", password, "--x509-ca-file", site.ca,
                           "--no-cb").returncode        # what it has of TLS 1.3 to bind to is no use to it

    assert login(ANNS) == 0
    assert login(wrong(ANNS)) != 0


def test_the_log_says_whose_stored_password_does_not_do_for_what_is_offered(site: Site, errand, mechanisms) -> None:
    """Clients take the strongest that is offered, and many then give up: the right password is no wrong one."""
    def bob(**more: str) -> Errand:
        return errand("starttls", f"bob@{ONE}", SECRET[ONE], **more)

    assert not mail_clients.swaks(site, bob(subject="x"), "CRAM-MD5")
    assert not mail_clients.msmtp(site, bob(subject="x"), "scram-sha-256")
    assert mail_clients.mpop(site, bob(), "apop") == b""
    assert SMTP["node"](site, bob(subject="in another way"))
    digests = f"refused <bob@{ONE}>: the password that is stored for him does not do for APOP and CRAM-MD5\n"
    wait_until(lambda: digests in site.services.log("auth"), "a line about CRAM-MD5")
    wait_until(lambda: digests.replace("APOP and CRAM-MD5", "SCRAM-SHA-256") in site.services.log("auth"), "a line about SCRAM")
    wait_until(lambda: digests in site.services.log("pop3d"), "a line about APOP")


# ---- POP before SMTP, somebody else's TLS


@pytest.mark.parametrize("how", ["plain", "starttls", "tls"])
def test_who_has_read_his_mail_may_send_from_his_address(site: Site, errand, how: str) -> None:
    number = {"plain": 5, "starttls": 7, "tls": 9}[how]
    mine, other = f"127.0.0.{number}", f"127.0.0.{number + 1}"

    def relays(address: str) -> bool:
        return mail_clients.swaks(site, errand("plain", "", "", subject="x", recipient="friend@far.test"), "",
                                  "--local-interface", address, "--quit-after", "RCPT")

    assert not relays(mine)
    assert mail_clients.mpop(site, errand(how, f"bob@{ONE}", SECRET[TWO]), "user", f"source_ip {mine}\n") == b""
    assert not relays(mine)
    assert mail_clients.mpop(site, errand(how, f"bob@{ONE}", SECRET[ONE]), "user", f"source_ip {mine}\n")
    assert relays(mine)
    assert not relays(other)


@pytest.fixture(scope="module")
def stunnel(site: Site) -> "typing.Iterator[dict[str, int]]":
    """Its ports in front of services without TLS of their own."""
    pem = site.path / "stunnel.pem"
    pem.write_bytes(site.authority.sign(HOST))
    pem.chmod(0o600)
    ports = {service: lasting_port() for service in ("pop3", "smtp")}
    config = site.path / "stunnel.conf"
    config.write_text(f"foreground = yes\npid =\nsyslog = no\ndebug = 3\ncert = {pem}\n" + "".join(
        f"[{service}]\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{site.ports[service, 'inside']}\n"
        for service, port in ports.items()))
    process = subprocess.Popen(["stunnel", config], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for port in ports.values():
            wait_until(lambda port=port: listens(port), "stunnel")
        yield ports
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("name", ["curl", "mpop", "fetchmail", "mutt", "s-nail", "go"])
def test_reading_with_stunnel_in_front(site: Site, errand, stunnel, name: str) -> None:
    right, refused = at_once(POP3[name], site, *(errand("tls", f"bob@{ONE}", secret, port=stunnel["pop3"])
                                                 for secret in (SECRET[ONE], SECRET[TWO])))

    assert b"of domain1.test" in lines(right)
    assert refused == b""


@pytest.mark.parametrize("name", ["curl", "msmtp", "swaks", "mutt", "s-nail", "node"])
def test_sending_with_stunnel_in_front(site: Site, errand, stunnel, name: str) -> None:
    subject = f"{name} by stunnel"

    assert at_once(SMTP[name], site, *(errand("tls", f"bob@{ONE}", secret, subject=subject, port=stunnel["smtp"])
                                       for secret in (SECRET[ONE], SECRET[TWO]))) == [True, False]
    assert " with ESMTPSA" in site.arrived(subject)


def test_no_password_is_in_a_log(site: Site) -> None:
    logs = "".join(each.read_text(errors="replace") for each in (site.home / "service").glob("*/log/main/*"))

    assert "login" in logs
    for each in (*SECRET.values(), ANNS, *(wrong(secret) for secret in (*SECRET.values(), ANNS))):
        assert each not in logs
        assert base64.b64encode(each.encode()).decode().rstrip("=") not in logs


def test_nothing_went_wrong_inside(site: Site) -> None:
    for name in (*SERVICES, *DOORS):
        assert "internal error" not in site.services.log(name), name
        assert "Traceback" not in site.services.log(name), name
