"""vq-smtpd, cold and warm, against clients polite and not."""

import re
import smtplib
import socket
import subprocess
import sys
import typing

import pytest
import smtp_transcript
import smtp_world
import support
from smtp_transcript import Transcript
from smtp_world import World

from vqmail.setup import install


@pytest.fixture(params=["cold", "warm"])
def world(request: pytest.FixtureRequest, home: support.Home) -> "typing.Iterator[World]":
    made = World(home, warm=request.param == "warm")
    yield made
    made.close()


@pytest.fixture
def cold(home: support.Home) -> "typing.Iterator[World]":
    made = World(home, warm=False)
    yield made
    made.close()


def listen(world: World, env: "dict[str, str]") -> int:
    """The port where the real tcpserver starts vq-smtpd."""
    server = world.start(["/usr/bin/tcpserver", "-1", "-H", "-R", "-l", "mx.example.test", "127.0.0.1", "0", "vq-smtpd"],
                         {"PATH": f"{world.home.path}/bin:/usr/bin:/bin"} | env,
                         stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert server.stdout
    return int(server.stdout.readline())


@pytest.mark.parametrize("name", smtp_transcript.names())
def test_transcript(world: World, name: str) -> None:
    world.home.control("databytes", "1000\n")
    transcript = Transcript(name)
    client = world.connect(**world.queue())
    for sent, said in transcript.parts:
        client.sock.sendall(sent)

        assert said == smtp_transcript.without_numbers(client.lines(said.count(b"\n")))
    assert client.rest() == b""


def test_message_and_envelope_reach_the_queue(world: World) -> None:
    client = world.connect(TCPREMOTEINFO="joe", **world.queue())
    client.begin()
    client.sock.sendall(b"Subject: x\r\n\r\n..\r\n\x00\xff\xe9\r\n.\r\n")
    said = client.reply()
    client.ask(b"QUIT")
    code = client.code()
    message, envelope = world.queued()
    date = rb"\d+ (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d -0000"

    assert re.fullmatch(rb"250 2\.0\.0 ok \d+ qp \d+\r\n", said)
    assert code == 0
    assert envelope == b"Fa@client.test\0Tbob@example.test\0\0"
    assert re.fullmatch(rb"Received: from client\.test \(joe@192\.0\.2\.1\)\n"
                        rb"  by mx\.example\.test with ESMTP; " + date + rb"\n"
                        rb"Subject: x\n\n\.\n\x00\xff\xe9\n", message)
    assert world.log() == [
        "vq-smtpd: pid PID from 192.0.2.1 accepted message qp QP bytes 18 "
        "sender <a@client.test> recipients 1",
        "vq-smtpd: pid PID from 192.0.2.1 end quit messages 1 refused 0",
    ]


def test_received_line_shows_a_helo_that_is_not_the_host_and_only_safe_characters(world: World) -> None:
    client = world.connect(TCPREMOTEHOST="", TCPREMOTEINFO="a b\n(", TCPLOCALHOST="", **world.queue())
    client.reply()
    client.ask(b"HELO x\x1b(y) z")
    client.ask(b"MAIL FROM:<>")
    client.ask(b"RCPT TO:<bob@example.test>")
    client.ask(b"DATA")
    client.ask(b".")
    client.code()
    message, envelope = world.queued()

    assert message.startswith(b"Received: from unknown (HELO x??y??z) (a?b??@192.0.2.1)\n  by 192.0.2.25 with SMTP; ")
    assert envelope == b"F\0Tbob@example.test\0\0"


def test_message_is_in_the_queue_when_it_is_accepted(world: World) -> None:
    client = world.connect()
    client.begin()
    client.sock.sendall(b"one\r\n.\r\n")
    said = client.reply()
    files = world.files_in_queue()
    todo = next((world.home.path / "queue/todo").iterdir()).read_bytes()

    assert said.startswith(b"250 2.0.0 ok ")
    assert ["mess", "todo"] == sorted({each.split("/")[0] for each in files})
    assert todo.endswith(b"Fa@client.test\0Tbob@example.test\0")


def test_half_a_message_is_not_queued_and_logged_once(world: World) -> None:
    client = world.connect()
    client.begin()
    client.sock.sendall(b"Subject: x\r\n\r\nhalf\r\n.\r")

    assert client.code() == 1
    assert world.files_in_queue() == []
    assert world.log() == ["vq-smtpd: pid PID from 192.0.2.1 end lost-in-message messages 0 refused 0"]


def test_bare_newline_ends_the_connection_and_queues_nothing(world: World) -> None:
    client = world.connect()
    client.begin()
    client.sock.sendall(b"one\r\n.\nMAIL FROM:<forged@client.test>\r\nRCPT TO:<bob@example.test>\r\n")

    assert client.rest() == b"451 4.6.0 lines must end in CR LF. See https://cr.yp.to/docs/smtplf.html.\r\n"
    assert client.code() == 1
    assert world.files_in_queue() == []
    assert world.log() == ["vq-smtpd: pid PID from 192.0.2.1 end bare-newline-in-message messages 0 refused 0"]


def test_client_that_pours_out_a_bare_newline_still_hears_why(cold: World) -> None:
    port = listen(cold, {})
    with socket.create_connection(("127.0.0.1", port)) as connection:
        client = smtp_world.Client(connection, lambda: 0)
        client.begin()
        connection.sendall(b"line\n" * 1_000_000 + b"\r\n.\r\n")

        assert client.lines(1) == b"451 4.6.0 lines must end in CR LF. See https://cr.yp.to/docs/smtplf.html.\r\n"


ALLOWED = [b"bob@example.test", b"BOB@EXAMPLE.Test", b"ann@example.test", b"postmaster"]
NOT_ALLOWED = [
    b"bob@elsewhere.test", b"bob@xexample.test", b"bob@a.example.test", b"bob@example.test.", b"bob@test",
    b"bob@.example.test", b"bob@sub.example.test", b"@example.test:bob@elsewhere.test", b"bob@example.test@elsewhere.test",
    b'"bob@example.test"@elsewhere.test', b"bob@[192.0.2.99]", b"bob@\\example.tes", b"bob@elsewhere.test,example.test",
    b"bob%elsewhere.test@[192.0.2.99]",
]


def test_strangers_send_only_to_domains_in_rcpthosts(world: World) -> None:
    client = world.connect()
    client.reply()
    client.ask(b"MAIL FROM:<a@client.test>")

    assert [b"250"] * len(ALLOWED) == [client.ask(b"RCPT TO:<%s>" % each)[:3] for each in ALLOWED]
    assert [b"553"] * len(NOT_ALLOWED) == [client.ask(b"RCPT TO:<%s>" % each)[:3] for each in NOT_ALLOWED]


@pytest.mark.parametrize(("recipient", "code"), [
    (b"joe%elsewhere.test@example.test", b"553"), (b"joe%elsewhere.test", b"553"),
    (b"joe%elsewhere.test%example.test@example.test", b"553"), (b"bob%example.test@example.test", b"250")])
def test_percenthack_is_no_way_around_rcpthosts(world: World, recipient: bytes, code: bytes) -> None:
    world.home.control("percenthack", "example.test\n")
    world.home.control("envnoathost", "example.test\n")
    client = world.connect()
    client.reply()
    client.ask(b"MAIL FROM:<a@client.test>")

    assert code == client.ask(b"RCPT TO:<%s>" % recipient)[:3]


def test_without_rcpthosts_strangers_send_to_nobody_and_the_log_says_what_to_do(world: World) -> None:
    (world.home.path / "control/rcpthosts").unlink()
    client = world.connect()
    client.reply()
    client.ask(b"MAIL FROM:<a@client.test>")
    refused = b"553 5.7.1 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)\r\n"

    assert [refused] * 2 == [client.ask(b"RCPT TO:<%s>" % each) for each in (b"bob@example.test", b"postmaster")]
    assert client.ask(b"QUIT")[:3] == b"221"
    client.code()
    assert world.log() == [
        "vq-smtpd: pid PID from 192.0.2.1 accepts no mail: there is no control/rcpthosts; "
        "put the domains to receive for into it",
        "vq-smtpd: pid PID from 192.0.2.1 refused recipient <bob@example.test> from <a@client.test>: "
        "553 5.7.1 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
        "vq-smtpd: pid PID from 192.0.2.1 refused recipient <postmaster> from <a@client.test>: "
        "553 5.7.1 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
        "vq-smtpd: pid PID from 192.0.2.1 end quit messages 0 refused 2",
    ]


@pytest.mark.parametrize(("relayclient", "recipient"), [
    ("", b"ann@elsewhere.test"), ("@gate.test", b"ann@elsewhere.test@gate.test")])
def test_relayclient_may_send_anywhere(world: World, relayclient: str, recipient: bytes) -> None:
    (world.home.path / "control/rcpthosts").unlink()
    client = world.connect(RELAYCLIENT=relayclient, **world.queue())
    client.begin(recipient=b"ann@elsewhere.test")
    client.ask(b".")
    client.code()

    assert b"Fa@client.test\0T%s\0\0" % recipient == world.queued()[1]


def test_unknown_user_is_refused_at_the_door(world: World) -> None:
    client = world.connect()
    client.reply()
    client.ask(b'MAIL FROM:<"a b"@client.test>')

    assert client.ask(b"RCPT TO:<nobody@example.test>") == b"550 5.1.1 sorry, no mailbox here by that name (#5.1.1)\r\n"
    client.code()
    assert world.log() == [
        'vq-smtpd: pid PID from 192.0.2.1 refused recipient <nobody@example.test> from <"a b"@client.test>: '
        "550 5.1.1 sorry, no mailbox here by that name (#5.1.1)",
        "vq-smtpd: pid PID from 192.0.2.1 end lost messages 0 refused 1",
    ]


def make_virtual_domain(world: World) -> None:
    """virt.test, with a bob, controlled by an owner of its own."""
    home = world.home
    uid, gid = support.single_ids()
    home.control("virtualroot", f"{home.path}/virtual\n")
    home.control("virtualdomains", "virt.test:owner\n")
    home.control("rcpthosts", "virt.test\n")
    home.write("users/assign", f"+owner-:owner:{uid}:{gid}:{home.path}/owner:-::\n.\n")
    home.write("owner/.qmail-default", f"|{home.path}/bin/virtmailfilter\n")
    home.write("virtual/virt.test/etc/passwd", f"bob:x:{uid}:{gid}::home/bob:\n")
    made = home.run(["vq-newu"])
    assert made.returncode == 0, made.stderr


def test_virtual_user_is_known_and_a_stranger_refused(world: World) -> None:
    make_virtual_domain(world)
    client = world.connect()
    client.reply()
    client.ask(b"MAIL FROM:<a@client.test>")

    assert [b"250", b"250", b"550"] == [client.ask(b"RCPT TO:<%s@virt.test>" % each)[:3] for each in (
        b"bob", b"Bob", b"bo")]


def test_broken_users_are_trouble_and_not_a_refusal(world: World) -> None:
    make_virtual_domain(world)
    cdb = world.home.path / "users/cdb"
    cdb.write_bytes(cdb.read_bytes()[:2000])
    client = world.connect()
    client.reply()
    client.ask(b"MAIL FROM:<a@client.test>")

    assert (client.ask(b"RCPT TO:<bob@virt.test>")
            == b"451 4.3.0 sorry, i cannot look for that mailbox now (#4.3.0)\r\n")
    client.ask(b"QUIT")
    client.code()
    assert "run vq-newu" in world.log()[0]
    assert str(cdb) in world.log()[0]


@pytest.mark.parametrize(("sender", "code"), [
    (b"bad@sender.test", b"553"), (b"BAD@Sender.Test", b"553"), (b"any@worse.test", b"553"),
    (b"any@Worse.test", b"553"), (b"good@sender.test", b"250"), (b"any@not.worse.test", b"250"), (b"", b"250")])
def test_badmailfrom(world: World, sender: bytes, code: bytes) -> None:
    client = world.connect()
    client.reply()
    client.ask(b"MAIL FROM:<%s>" % sender)

    assert code == client.ask(b"RCPT TO:<bob@example.test>")[:3]


@pytest.mark.parametrize(("here", "literal"), [("192.0.2.25", b"[192.0.2.25]"), ("2001:db8::1", b"[IPv6:2001:DB8::1]"),
                                               ("2001:db8::1", b"[IPv6:2001:db8:0:0:0:0:0:0001]")])
def test_address_literal_of_ours_is_localiphost(world: World, here: str, literal: bytes) -> None:
    world.home.control("localiphost", "example.test\n")
    client = world.connect(TCPLOCALIP=here, **world.queue())
    client.begin(recipient=b"bob@" + literal)
    client.ask(b".")
    client.code()

    assert world.queued()[1] == b"Fa@client.test\0Tbob@example.test\0\0"


@pytest.mark.parametrize(("control", "env", "size", "code"), [
    ("10\n", {}, 10, b"250"), ("10\n", {}, 11, b"552"), ("10\n", {"DATABYTES": "20"}, 20, b"250"),
    ("10\n", {"DATABYTES": "5"}, 6, b"552"), ("10\n", {"DATABYTES": "0"}, 1000, b"250"), ("0\n", {}, 1000, b"250")])
def test_databytes(cold: World, control: str, env: "dict[str, str]", size: int, code: bytes) -> None:
    cold.home.control("databytes", control)
    client = cold.connect(**env)
    client.begin()
    client.sock.sendall(b"x" * (size - 1) + b"\r\n.\r\n")

    assert code == client.reply()[:3]


@pytest.mark.parametrize(("hops", "code"), [(99, b"250"), (100, b"554")])
def test_hops(world: World, hops: int, code: bytes) -> None:
    client = world.connect()
    client.begin()
    client.sock.sendall((b"Received: x\r\nDELIVERED-To: x\r\n" * 50)[:-17 if hops == 99 else None])
    client.sock.sendall(b"\r\n" + b"Received: in the body\r\n" * 200 + b".\r\n")

    assert code == client.reply()[:3]


@pytest.mark.parametrize(("code", "says", "answer"), [
    (31, "", b"554 5.3.0 "), (53, "", b"451 4.3.0 "), (11, "", b"554 5.1.3 "), (91, "", b"451 4.3.0 "),
    (120, "", b"451 4.3.0 "), (1, "", b"451 4.3.0 "), (99, "", b"451 4.3.0 "),
    (82, "Dspam (#5.7.1)", b"554 5.7.1 spam (#5.7.1)\r\n"), (82, "Zlater", b"451 4.3.0 later\r\n"),
    (82, "Dtwo\r\n250 ok", b"554 5.3.0 two??250 ok\r\n"), (82, "", b"451 4.3.0 ")])
def test_refusal_of_the_queue(world: World, code: int, says: str, answer: bytes) -> None:
    client = world.connect(**world.queue(code, says))
    client.begin()
    client.sock.sendall(b"one\r\n.\r\n")
    said = client.reply()

    assert said.startswith(answer)
    assert said.count(b"\n") == 1
    client.ask(b"QUIT")
    client.code()
    assert world.log() == [
        f"vq-smtpd: pid PID from 192.0.2.1 refused message bytes 4 sender <a@client.test> recipients 1: "
        f"{said.decode().rstrip()}",
        "vq-smtpd: pid PID from 192.0.2.1 end quit messages 0 refused 0",
    ]


def test_queue_that_cannot_be_started(world: World) -> None:
    client = world.connect(QMAILQUEUE="/nonexistent/queue")
    client.begin()
    client.sock.sendall(b"one\r\n.\r\n")

    assert client.reply()[:3] == b"451"


@pytest.mark.parametrize("name", ["rcpthosts", "badmailfrom", "smtpgreeting", "databytes", "me"])
def test_unreadable_control_file_is_named_in_the_log(world: World, name: str) -> None:
    path = world.home.path / "control" / name
    path.unlink(missing_ok=True)
    path.mkdir()
    client = world.connect()

    assert client.rest() == b"421 4.3.0 unable to read controls (#4.3.0)\r\n"
    assert client.code() == 1
    assert [f"vq-smtpd: cannot read {path}: Is a directory"] == world.log()


def test_without_a_name_there_is_no_greeting(world: World) -> None:
    (world.home.path / "control/me").unlink()

    assert world.connect().rest() == b"421 4.3.0 unable to read controls (#4.3.0)\r\n"


def test_silent_client_is_told_and_left(world: World) -> None:
    world.home.control("timeoutsmtpd", "0\n")
    client = world.connect()
    client.reply()

    assert client.rest() == b"451 4.4.2 timeout (#4.4.2)\r\n"
    assert client.code() == 1
    assert world.log() == ["vq-smtpd: pid PID from 192.0.2.1 end timeout messages 0 refused 0"]


def test_client_that_never_reads_is_left(world: World) -> None:
    world.home.control("timeoutsmtpd", "1\n")
    client = world.connect()
    client.sock.settimeout(0.2)
    try:
        while True:
            client.sock.send(b"EHLO x\r\n" * 1000)
    except (TimeoutError, BrokenPipeError):
        pass

    assert client._finished() == 1
    assert world.log() == ["vq-smtpd: pid PID from 192.0.2.1 end timeout messages 0 refused 0"]


def test_long_command_is_refused_once(world: World) -> None:
    client = world.connect()
    client.reply()
    client.sock.sendall(b"MAIL FROM:<" + b"x" * 100_000 + b"@client.test>\r\nNOOP\r\n")

    assert client.lines(2) == b"500 5.5.2 command line too long (#5.5.2)\r\n250 2.0.0 ok\r\n"


def test_ten_thousand_recipients_are_one_message(world: World) -> None:
    client = world.connect(RELAYCLIENT="", **world.queue())
    client.reply()
    recipients = [b"user%d@elsewhere.test" % number for number in range(10_000)]
    client.ask(b"MAIL FROM:<>")
    for at in range(0, 10_000, 500):
        client.sock.sendall(b"".join(b"RCPT TO:<%s>\r\n" % each for each in recipients[at:at + 500]))
        assert client.lines(500) == b"250 2.1.5 ok\r\n" * 500
    client.ask(b"DATA")
    client.ask(b".")

    assert b"F\0" + b"".join(b"T%s\0" % each for each in recipients) + b"\0" == world.queued()[1]


def test_refused_recipients_do_not_fill_the_log(world: World) -> None:
    client = world.connect()
    client.reply()
    client.ask(b"MAIL FROM:<>")
    client.sock.sendall(b"RCPT TO:<x@elsewhere.test>\r\n" * 200)
    client.lines(200)
    client.ask(b"QUIT")
    client.code()

    assert len(world.log()) == 51
    assert world.log()[-1] == "vq-smtpd: pid PID from 192.0.2.1 end quit messages 0 refused 200"


def test_large_message_is_not_held_in_memory(world: World) -> None:
    world.home.control("databytes", "1000\n")
    client = world.connect()
    client.begin()
    client.sock.sendall(b"x: y\r\n" * 1000)
    before = smtp_world.peak(world.last)
    line = b"x" * 70 + b"\r\n"
    for _ in range(400):
        client.sock.sendall(line * 1400)        # 40 MB
    grown = smtp_world.peak(world.last) - before
    client.sock.sendall(b".\r\n")

    assert client.reply()[:3] == b"552"
    assert grown < 4000


def test_large_message_is_queued_whole(world: World) -> None:
    client = world.connect()
    client.begin()
    body = b"".join(b"%d %s\r\n" % (number, b"y" * 60) for number in range(100_000))
    client.sock.sendall(body + b".\r\n")
    said = client.reply()
    mess = next(each for each in (world.home.path / "queue/mess").rglob("*") if each.is_file()).read_bytes()

    assert said.startswith(b"250 2.0.0 ok ")
    assert mess.endswith(b"\n" + body.replace(b"\r\n", b"\n"))


def test_many_messages_on_one_connection_and_many_connections(world: World) -> None:
    for _ in range(3):
        client = world.connect()
        client.reply()
        for _ in range(5):
            client.sock.sendall(b"MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n")
            client.lines(3)
            client.sock.sendall(b"one\r\n.\r\n")

            assert client.reply()[:3] == b"250"
        client.ask(b"QUIT")
        assert client.code() == 0
    assert len(list((world.home.path / "queue/todo").iterdir())) == 15


def test_control_characters_cannot_forge_a_log_line(world: World) -> None:
    client = world.connect(TCPREMOTEIP="192.0.2.1\nvq-smtpd: forged")
    client.code()

    assert world.log() == ["vq-smtpd: pid PID from 192.0.2.1?vq-smtpd:?forged end lost messages 0 refused 0"]


def test_run_with_a_pipe(cold: World) -> None:
    result = cold.home.run(["vq-smtpd"], b"HELO x\nQUIT\n", smtp_world.NETWORK)

    assert result.stdout == b"220 mx.example.test ESMTP\r\n250 mx.example.test\r\n221 2.0.0 mx.example.test\r\n"
    assert result.returncode == 0


def test_under_tcpserver_with_smtplib_and_swaks(cold: World) -> None:
    port = listen(cold, cold.queue())
    with smtplib.SMTP("127.0.0.1", port, "client.test", timeout=30) as client:
        refused = client.sendmail("a@client.test", ["bob@example.test", "nobody@example.test"], "Subject: x\n\n.\n")
    message, envelope = cold.queued()
    swaks = subprocess.run(
        ["/usr/bin/swaks", "--server", f"127.0.0.1:{port}", "--from", "b@client.test", "--to", "ann@example.test",
         "--pipeline", "--helo", "swaks.test"], capture_output=True, timeout=60, check=False)

    assert refused == {"nobody@example.test": (550, b"5.1.1 sorry, no mailbox here by that name (#5.1.1)")}
    assert message.endswith(b"\nSubject: x\n\n.\n")
    assert b"(HELO client.test) (127.0.0.1)\n  by mx.example.test with ESMTP; " in message
    assert envelope == b"Fa@client.test\0Tbob@example.test\0\0"
    assert swaks.returncode == 0, swaks.stdout
    assert cold.queued()[1] == b"Fb@client.test\0Tann@example.test\0\0"
