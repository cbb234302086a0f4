"""Over IPv6, with other people's programs: what tcpserver says of a client, whose bob it is by address and by name, sending,
relaying after a POP3 login, lock-out.  The doors are under the tcpserver of ucspi-tcp-ipv6 (cold) and under ours (warm)."""

import concurrent.futures
import itertools
import pathlib
import poplib
import re
import smtplib
import subprocess
import time
import typing

import mail_clients
import pytest
from mail_clients import BODY, POP3, SMTP, Errand
from six_world import (
    AWAY, BANNED, BESIDE, FIRST, HOME, HOST, LAPTOP, LINK, OFFICE, ONE, PORTS, SECOND, SECRET, SHARED, STRANGER, TWO, World)
from system import wait_until
from test_setup import let_everybody_in
from test_svscan import installed

pytestmark = [pytest.mark.root, pytest.mark.peers]
NUMBERS = itertools.count(1)
READERS = ("curl", "mpop", "fetchmail", "getmail", "s-nail", "python", "perl")
SECURE = (("curl", "starttls"), ("mpop", "starttls"), ("fetchmail", "starttls"), ("curl", "tls"), ("getmail", "tls"), ("perl", "tls"))
COPY = "cp -a service/pop3d service/.six; echo ::1 >service/.six/env/ADDRESS; mv service/.six service/pop3d6"
SENDERS = ("curl", "msmtp", "swaks", "s-nail", "perl")


@pytest.fixture(scope="module", params=["tcpserver", "vq-tcpserver"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[World]":
    each = World(tmp_path_factory.mktemp("six"), request.param)
    try:
        yield each
    finally:
        each.close()


def errand(world: World, how: str, user: str, password: str, host: str, port: str, **more: object) -> Errand:
    folder = world.path / f"errand{next(NUMBERS)}"
    folder.mkdir()
    folder.chmod(0o755)
    return Errand(**({"body": BODY, "folder": folder, "how": how, "host": host, "port": PORTS[port], "user": user,
                      "password": password, "subject": "", "sender": f"bob@{ONE}", "recipient": f"carl@{ONE}"} | more))


def at_once(*calls: "typing.Callable[[], typing.Any]") -> "list[typing.Any]":
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [each.result() for each in [pool.submit(call) for call in calls]]


def test_a_copy_of_a_service_serves_ipv6_too(tmp_path: pathlib.Path) -> None:
    """As doc/LOGINS.md says; at ::1 instead of everywhere."""
    services = installed(let_everybody_in(tmp_path), "vq-tcpserver")
    try:
        services.start()
        subprocess.run(["sh", "-ec", COPY], cwd=services.home, check=True, timeout=60)
        wait_until(lambda: greets("::1", services.pop3), "the copy")
        for host in ("127.0.0.1", "::1"):
            client = poplib.POP3(host, services.pop3, timeout=60)
            client.user("bob@domain1.test")

            assert client.pass_("password domain1.test").startswith(b"+OK")
            client.quit()
        assert "from ::1 " in services.log("pop3d6")
    finally:
        services.stop()


def greets(host: str, port: int) -> bool:
    try:
        poplib.POP3(host, port, timeout=60).quit()
    except ConnectionError:
        return False
    return True


# ---- what the server says of a client


def test_what_a_program_is_told_of_its_client(world: World) -> None:
    with world.net.client.connect(SECOND, PORTS["env"], HOME) as sock:
        port = str(sock.getsockname()[1])
        said = b"".join(iter(lambda: sock.recv(4096), b"")).decode()

    assert sorted(each for each in said.split("\n") if re.match("PROTO|TCP", each)) == sorted(["PROTO=TCP6", *(
        f"{proto}{name}" for proto in ("TCP", "TCP6") for name in (
            f"LOCALHOST={HOST}", f"LOCALIP={SECOND}", f"LOCALPORT={PORTS['env']}", f"REMOTEIP={HOME}", f"REMOTEPORT={port}"))])


def test_mailfront_finds_the_client_in_what_it_is_told(world: World) -> None:
    with world.smtp(STRANGER, port=PORTS["mailfront"]) as client:
        client.sendmail(f"bob@{ONE}", [f"carl@{ONE}"], "Subject: by mailfront\n\nhello\n")

    assert f"([IPv6:{STRANGER}])\n" in world.arrived(ONE, "by mailfront").split("\nSubject:")[0]


# ---- whose bob it is


@pytest.mark.parametrize("name", READERS)
def test_a_domain_for_each_address_with_each_client(world: World, name: str) -> None:
    """vq-virtuald: bare bob, whose domain is that of the address."""
    one, two = at_once(*(
        lambda domain=domain: POP3[name](world, errand(world, "plain", "bob", SECRET[domain], domain, "pop3")) for domain in SECRET))

    assert b"of domain1.test" in one
    assert b"of domain2.test" in two


def test_the_other_bob_is_refused_and_who_calls_another_address_is_sent_away(world: World) -> None:
    assert [b"", b""] == at_once(*(
        lambda each=each: mail_clients.curl_pop3(world, errand(world, "plain", "bob", SECRET[ONE], each, "pop3"))
        for each in (TWO, HOST)))
    assert f"conf.pop has no line for {SHARED}: {LAPTOP} sent away\n" in world.system.log()


def test_an_address_in_the_place_of_a_name(world: World) -> None:
    done = world.client("curl", "-sS", f"pop3://[{SECOND}]/1", "-u", "bob:two")

    assert done.stdout.endswith(b"\r\nof domain2.test\r\n")
    wait_until(lambda: re.search(rf"pid \d+ from {LAPTOP}$", world.system.log(), re.MULTILINE), "who it was")


def test_popdomains_gives_an_address_to_a_domain(world: World) -> None:
    asked = [(address, each) for address in (FIRST, SECOND) for each in (ONE, TWO)]
    said = dict(zip(asked, at_once(*(
        lambda each=each: world.pop3("bob", SECRET[each[1]], address=each[0], port=PORTS["listed"]) for each in asked)),
        strict=True))

    assert {each for each, text in said.items() if text.startswith("of ")} == {(FIRST, TWO), (SECOND, ONE)}
    assert (said[FIRST, TWO], said[SECOND, ONE]) == (f"of {TWO}", f"of {ONE}")


@pytest.mark.parametrize(("name", "how"), SECURE)
def test_the_name_in_tls_says_whose_bob_it_is_on_one_address(world: World, name: str, how: str) -> None:
    port = {"starttls": "listed", "tls": "pop3s"}[how]
    one, two = at_once(*(
        lambda domain=domain: POP3[name](world, errand(world, how, "bob", SECRET[domain], f"pop.{domain}", port))
        for domain in SECRET))

    assert b"of domain1.test" in one
    assert b"of domain2.test" in two


def test_the_name_of_one_domain_does_not_let_the_bob_of_the_other_in(world: World) -> None:
    assert b"" == mail_clients.curl_pop3(world, errand(world, "tls", "bob", SECRET[ONE], f"pop.{TWO}", "pop3s"))


# ---- sending


def test_mail_from_outside_and_its_trace(world: World) -> None:
    done = world.client("swaks", "--silent", "2", "--server", SECOND, "--local-interface", STRANGER, "--helo", "laptop.test", "--from",
                        "a@far.test", "--to", f"carl@{TWO}", "--header", "Subject: from outside")
    assert done.returncode == 0, done
    letter = world.arrived(TWO, "from outside")

    assert f"\nReceived: from unknown (HELO laptop.test) ([IPv6:{STRANGER}])\n  by {HOST} with ESMTP; " in letter
    assert relays(letter) == f"[ ip={STRANGER} rdns= helo=laptop.test by={HOST} ident= envfrom= intl=0 id= auth= msa=0 ]"


RELAYS = """
use Mail::SpamAssassin;
my $assassin = Mail::SpamAssassin->new({dont_copy_prefs => 1, local_tests_only => 1,
                                        config_text => "trusted_networks 192.0.2.1\\nutil_rb_tld test\\n"});
$assassin->init(0);
my $message = $assassin->parse(join("", <STDIN>));
Mail::SpamAssassin::PerMsgStatus->new($assassin, $message)->extract_message_metadata();
print $message->get_metadata("X-Spam-Relays-Untrusted"), $message->get_metadata("X-Spam-Relays-Trusted");
"""


def relays(letter: str) -> str:
    """What SpamAssassin reads in the trace."""
    return subprocess.run(["perl", "-e", RELAYS], input=letter.encode(), capture_output=True, check=True,
                          timeout=60).stdout.decode().strip()


@pytest.mark.parametrize("name", SENDERS)
def test_each_client_sends_as_the_right_bob(world: World, name: str) -> None:
    one, two = (errand(world, "starttls", user, SECRET[domain], host, "submission", sender=f"bob@{domain}", subject=f"{name} {domain}")
                for user, domain, host in ((f"bob@{ONE}", ONE, HOST), ("bob", TWO, f"smtp.{TWO}")))

    assert at_once(*(lambda each=each: SMTP[name](world, each) for each in (one, two))) == [True, True]
    for domain in (ONE, TWO):
        letter = world.arrived(ONE, f"{name} {domain}")

    assert re.search(rf"\nReceived: from unknown \(HELO \S+\) \(bob@{domain}@\[IPv6:{LAPTOP}\]\)\n"
                         rf"  by {HOST} with ESMTPSA ", letter)


def test_nobody_sends_with_the_password_of_the_other_bob(world: World) -> None:
    wrong = errand(world, "starttls", f"bob@{ONE}", SECRET[TWO], HOST, "submission", subject="wrong")

    assert not mail_clients.swaks(world, wrong)
    assert world.find(ONE, "wrong") == ""


def test_spamassassin_reads_who_logged_in_and_where(world: World) -> None:
    each = errand(world, "starttls", f"bob@{ONE}", SECRET[ONE], HOST, "submission", subject="for SpamAssassin")
    assert mail_clients.msmtp(world, each, more=f"source_ip {HOME}\n")

    assert f" ident=bob@{ONE} " in (found := relays(world.arrived(ONE, "for SpamAssassin")))
    assert f"[ ip={HOME} " in found
    assert " auth=ESMTPSA " in found


def test_a_network_in_the_rules_may_relay_and_another_one_may_not_even_connect(world: World) -> None:
    assert [world.may_relay(each) for each in (OFFICE, STRANGER)] == [True, False]
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionResetError)):
        world.may_relay(BANNED)


def test_each_address_has_the_name_and_the_literal_of_its_own(world: World) -> None:
    with world.smtp(STRANGER, address=FIRST) as client:
        assert client.ehlo()[1].split(b"\n")[0] == b"host.test"
    with world.smtp(STRANGER, address=SECOND) as client:
        assert client.ehlo()[1].split(b"\n")[0] == b"mail.domain2.test"
        client.mail("a@far.test")

        assert [client.rcpt(f"carl@{each}")[0] for each in (
            f"[IPv6:{SECOND}]", "[IPv6:FD00:D8:0:1:0:0:0:0002]", f"[IPv6:{FIRST}]", f"[{FIRST[:-1]}77]")] == [250, 250, 553, 553]


# ---- relaying after a POP3 login


def test_who_has_read_his_mail_may_send_from_his_network_for_some_time(world: World) -> None:
    control = world.system.home / "control"
    control.joinpath("open-smtp6").unlink(missing_ok=True)
    assert world.system.run("vq-clearopensmtp").returncode == 0

    assert world.pop3("bob", "wrong", source=HOME).startswith("b'-ERR")
    assert [world.may_relay(each) for each in (HOME, BESIDE, AWAY)] == [False] * 3
    before = int(time.time())
    done = world.client("curl", "-sS", "--interface", HOME, f"pop3://[{FIRST}]/1", "-u", "bob:one")
    assert done.stdout.endswith(b"\r\nof domain1.test\r\n")
    assert [world.may_relay(each) for each in (HOME, BESIDE, AWAY)] == [True, True, False]

    rule, _, when = control.joinpath("open-smtp6").read_text().partition("\t")
    assert rule == 'fd00:d8:0:a::allow,RELAYCLIENT="",RBLSMTPD=""'
    assert before <= int(when) <= time.time()
    assert world.pop3("bob", "one", source=BANNED) == "of domain1.test"     # POP3 asks no rules; the postmaster's word stands
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionResetError)):
        world.may_relay(BANNED)

    control.joinpath("open-smtp6").write_text(f"{rule}\t{before - 3 * 3600 - 1}\n")
    assert world.system.run("clearopensmtp").returncode == 0
    assert control.joinpath("open-smtp6").read_text() == ""
    assert [world.may_relay(each) for each in (HOME, BESIDE, AWAY)] == [False] * 3


def test_the_address_of_the_server_itself_is_not_opened(world: World) -> None:
    path = world.system.home / "control/open-smtp6"
    path.unlink(missing_ok=True)
    done = subprocess.run([*world.net.server.enter, "curl", "-sS", f"pop3://[{FIRST}]/1", "-u", "bob:one"], capture_output=True,
                          check=True, timeout=60)

    assert done.stdout.endswith(b"\r\nof domain1.test\r\n")
    assert not path.exists()


# ---- who guesses


@pytest.fixture
def three_guesses(world: World) -> "typing.Iterator[None]":
    world.system.control("loginlimits", "failures 3\ndelay 0\n")
    yield
    world.system.control("loginlimits", "failures 0\n")
    world.system.run("vq-logins", "clear", "all")


@pytest.mark.usefixtures("three_guesses")
def test_a_network_is_locked_out_and_the_next_one_is_not(world: World) -> None:
    for said in at_once(*(lambda each=each: world.pop3("eve", each[1], source=each[0])
                          for each in ((HOME, "a"), (BESIDE, "b"), (HOME, "c")))):
        assert said.startswith("b'-ERR")

    shown = world.system.run("vq-logins").stdout.decode()
    assert re.fullmatch(r"fd00:d8:0:a::/64: 0 wrong, locked out for \d+ more seconds\n", shown)
    assert [world.pop3("eve", "eves", source=each) == "no mail" for each in (HOME, BESIDE, AWAY)] == [False, False, True]
    codes = []
    for source in (BESIDE, AWAY):
        folder = errand(world, "starttls", f"eve@{ONE}", "eves", f"smtp.{ONE}", "submission", sender=f"eve@{ONE}",
                        subject=f"from {source}")
        codes.append(mail_clients.msmtp(world, folder, more=f"source_ip {source}\n"))
    assert codes == [False, True]
    assert world.system.run("vq-logins", "clear", "fd00:d8:0:a::/64").returncode == 0
    assert world.pop3("eve", "eves", source=HOME) == "no mail"


@pytest.mark.usefixtures("three_guesses")
def test_a_neighbour_on_a_socket_of_systemd_is_counted_without_his_interface(world: World) -> None:
    """fe80::c%eth0 is no address; the kernel says it so."""
    if "socket" not in world.system.processes:
        path = f"PATH={world.system.env()['PATH']}"
        world.system.start("socket", "systemd-socket-activate", "--accept", "--inetd", "-l", "[::]:1111", "-E", path,
                           world.system.bin("vq-popup"), HOST, world.system.bin("vq-checkpassword"),
                           world.system.bin("vq-pop3d"), "Maildir")
        wait_until(lambda: world.listens(1111), "the socket")

    def fetch(password: str) -> "tuple[int, bytes]":
        done = world.client("curl", "-sS", f"pop3://[{LINK}%25eth0]:1111/1", "-u", f"bob@{ONE}:{password}")
        return done.returncode, done.stdout

    assert fetch("one")[1].endswith(b"\r\nof domain1.test\r\n")
    assert fetch("wrong") == (67, b"")
    wait_until(lambda: re.search(r"vq-checkpassword: pid \d+ .*from fe80::c .*bob@domain1", world.system.log()), "his address")
    assert "fe80::/64" in world.system.run("vq-logins").stdout.decode()
    with (world.system.home / "control/open-smtp6").open("a+") as file:
        file.seek(0)
        assert "fe80" not in file.read()
