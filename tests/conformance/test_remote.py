"""vq-remote against smtp-sink with its faults, servers that follow a script, mailfront, and our own vq-smtpd."""

import socket
import subprocess
import time
import typing

import pytest
import support
from remote_script import (
    CLOSING, DIED, DUPLICATE, HARD, HELLO, MAIL, OFFER_TLS, SOFT, TAKE, TAKEN, disliked, failed, greeting, rejected)
from remote_script import authority, home, world  # noqa: F401
from remote_world import CLOSE, SILENCE, TEXT, World, free_port, wait_for

# ---- calling it ----


@pytest.mark.parametrize("argv", [[], ["x.test"], ["x.test", "ann@a.test"]])
def test_too_few_arguments_are_a_failure_that_is_reported(home: support.Home, argv: "list[str]") -> None:
    done = home.run(["vq-remote", *argv])

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"Dvq-remote was invoked improperly: it wants host sender recipient... (#5.3.5)\n\0"


@pytest.mark.parametrize(("sender", "recipient"), [
    ("a\nb@a.test", "bob@x.test"), ("ann@a.test", "bob@x.test>\r\nRCPT TO:<eve@x.test"), ("ann@a.test", "bob@x y"),
    ("ann@a.test", "bob@x>y"), ("ann@a.test", "b\x7fb@x.test")])
def test_an_address_that_would_be_another_command_is_not_sent(world: World, sender: str, recipient: str) -> None:
    server = world.serve([])

    assert world.send(sender=sender, recipients=[recipient]) == (
        b"DAn address has a character that SMTP cannot carry. (#5.1.3)\n\0")
    assert server.peers == []


def test_a_control_file_that_cannot_be_read_is_temporary(world: World) -> None:
    (world.home.path / "control/helohost").mkdir()
    world.serve(HELLO)

    assert world.send() == f"Zcannot read {world.home.path}/control/helohost: Is a directory (#4.3.0)\n\0".encode()


def test_under_qmail_rspawn_only_the_report_is_on_its_pipe(world: World) -> None:
    world.serve([*OFFER_TLS, b"220 go\r\n", b"no TLS\r\n", CLOSE], [*HELLO, *TAKE])
    text = _with_one_pipe(world)

    assert text == TAKEN


def _with_one_pipe(world: World) -> bytes:
    uid, gid = support.single_ids()
    return subprocess.run([world.home.bin("vq-remote"), "x.test", "a@b.test", "bob@x.test"], input=b"x\n", stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, check=True, user=uid, group=gid, extra_groups=[]).stdout


# ---- the message ----

@pytest.mark.parametrize(("message", "text"), [
    (b"", b".\r\n"),
    (b"a\n\nb\n", b"a\r\n\r\nb\r\n.\r\n"),
    (b"a\n\nno newline", b"a\r\n\r\nno newline\r\n.\r\n"),
    (b"a\n\n.\n..\nfoo\r.\r\nbar\r", b"a\r\n\r\n..\r\n...\r\nfoo\r\n..\r\nbar\r\n.\r\n"),
    (b"\x00\xff\n", b"\x00\xff\r\n.\r\n"),
])
def test_the_message_as_it_goes_over_the_line(world: World, message: bytes, text: bytes) -> None:
    server = world.serve([*HELLO, *TAKE])

    assert world.send(message) == TAKEN
    world.close()
    assert server.peers[0].texts == [text]
    assert server.peers[0].lines == ["EHLO host.test", "MAIL FROM:<ann@a.test>", "RCPT TO:<bob@x.test>", "DATA", "QUIT"]


def test_a_large_message_from_a_file_and_from_a_pipe(world: World) -> None:
    message = b"Subject: x\n\n" + b"".join(b".%d\n" % each for each in range(400_000))
    server = world.serve([*HELLO, *TAKE])
    path = world.home.write("scratch/large", message)
    with path.open("rb") as file:
        file.seek(100)                          # whoever had it before us may have read in it
        uid, gid = support.single_ids()
        first = subprocess.run([world.home.bin("vq-remote"), "x.test", "", "bob@x.test"], stdin=file, capture_output=True, timeout=60,
                               check=True, user=uid, group=gid, extra_groups=[])

    assert (first.stdout, first.stderr) == (TAKEN, b"")
    assert world.send(message) == TAKEN
    world.close()
    expected = message.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n") + b".\r\n"
    assert [each.texts == [expected] for each in server.peers] == [True, True]


@pytest.mark.parametrize(("message", "size", "body"), [
    (b"a\n", 3, ""), (b"a", 3, ""), (b".\n\xe9\n", 6, " BODY=8BITMIME")])
def test_size_and_eight_bits_are_said_where_they_are_understood(world: World, message: bytes, size: int, body: str) -> None:
    server = world.serve([b"220 mx\r\n", "EHLO", b"250-mx\r\n250-SIZE 1000\r\n250 8BITMIME\r\n", *TAKE])

    assert world.send(message) == TAKEN
    world.close()
    assert server.peers[0].lines[1] == f"MAIL FROM:<ann@a.test> SIZE={size}{body}"


def test_a_message_that_the_host_says_is_too_large_is_not_sent(world: World) -> None:
    server = world.serve([b"220 mx\r\n", "EHLO", b"250-mx\r\n250 SIZE 5\r\n", SILENCE])

    assert world.send(b"abcd\n") == b"DConnected to 127.0.0.1 but it takes no message of 6 bytes, only up to 5. (#5.3.4)\n\0"
    world.close()
    assert server.peers[0].lines == ["EHLO host.test", "QUIT"]


# ---- smtp-sink with its faults ----

SUNK = b"r\0K127.0.0.1 accepted message.\nRemote host said: 250 2.0.0 Ok\n\0"
SINKS = [
    ([], SUNK), (["-e"], SUNK), (["-p"], SUNK), (["-8"], SUNK), (["-P"], SUNK), (["-F"], SUNK), (["-T", "100"], SUNK),
    (["-w", "1"], SUNK),
    (["-f", "CONNECT"], greeting(HARD)), (["-r", "CONNECT"], greeting(SOFT)), (["-Q", "CONNECT"], greeting(CLOSING)),
    (["-q", "CONNECT"], DIED),
    (["-f", "EHLO"], SUNK), (["-f", "EHLO,HELO"], rejected(b"Z", b"my name", HARD)),
    (["-r", "EHLO"], rejected(b"Z", b"my name", SOFT)), (["-Q", "EHLO"], rejected(b"Z", b"my name", CLOSING)), (["-q", "EHLO"], DIED),
    (["-f", "MAIL"], rejected(b"D", b"sender", HARD)), (["-r", "MAIL"], rejected(b"Z", b"sender", SOFT)),
    (["-Q", "MAIL"], rejected(b"Z", b"sender", CLOSING)), (["-q", "MAIL"], DIED),
    (["-f", "RCPT"], disliked(b"h", HARD)), (["-r", "RCPT"], disliked(b"s", SOFT)), (["-Q", "RCPT"], disliked(b"s", CLOSING)),
    (["-q", "RCPT"], DIED),
    (["-f", "DATA"], failed(b"D", b"on DATA command", HARD)), (["-r", "DATA"], failed(b"Z", b"on DATA command", SOFT)),
    (["-Q", "DATA"], failed(b"Z", b"on DATA command", CLOSING)), (["-q", "DATA"], DIED),
    (["-f", "."], failed(b"D", b"after I sent the message", HARD)), (["-r", "."], failed(b"Z", b"after I sent the message", SOFT)),
    (["-Q", "."], failed(b"Z", b"after I sent the message", CLOSING)), (["-q", "."], DUPLICATE),
    (["-f", "QUIT"], SUNK), (["-q", "QUIT"], SUNK), (["-f", "RSET"], SUNK),
]


@pytest.mark.parametrize(("switches", "report"), SINKS, ids=[" ".join(each[0]) or "none" for each in SINKS])
def test_smtp_sink(world: World, switches: "list[str]", report: bytes) -> None:
    port = free_port()
    world.start(["smtp-sink", "-u", "nobody", *switches, f"127.0.0.1:{port}", "10"])
    wait_for(port)
    world.route(port)

    assert report == world.send(b"Subject: x\n\n" + b"x" * 70 + b"\n")


def test_a_server_that_says_no_in_the_middle_of_the_text(world: World) -> None:
    def stop(peer: "typing.Any") -> None:
        peer.sock.recv(1000)
        peer.sock.sendall(b"552 5.3.4 that is enough\r\n")
        peer.sock.shutdown(socket.SHUT_WR)
        while peer.sock.recv(65536):            # so that the answer is not lost in a reset
            pass

    world.serve([*HELLO, *MAIL, "DATA", b"354 go\r\n", stop])

    assert world.send(b"x" * 70 + b"\n") == (
        b"r\0D127.0.0.1 failed after I sent the message.\nRemote host said: 552 5.3.4 that is enough\n\0")


# ---- replies ----

@pytest.mark.parametrize("said", [
    b"220-mx\r\n220-takes\r\n220 mail\r\n", b"220 mx\n", b"220\r\n", b"220 m\x00x\r\n", b"220-" + b"x" * 4000 + b"\r\n220 mx\r\n",
    b"220-mx\r\n" * 99 + b"220 mx\r\n"])
def test_greetings_of_all_shapes(world: World, said: bytes) -> None:
    world.serve([said, *HELLO[1:], *TAKE])

    assert world.send() == TAKEN


@pytest.mark.parametrize(("said", "why"), [
    (b"SSH-2.0-OpenSSH_9.2\r\n", b"not a reply: b'SSH-2.0-OpenSSH_9.2'"),
    (b"220 " + b"x" * 5000, b"a line of more than 4096 bytes"),
    (b"220-x\r\n" * 200, b"a reply of more than 100 lines")])
def test_what_does_not_speak_smtp_gets_no_mail(world: World, said: bytes, why: bytes) -> None:
    world.serve([said, SILENCE])

    assert world.send() == b"ZConnected to 127.0.0.1 but it does not speak SMTP: %s. (#4.5.0)\n\0" % why


def test_lines_that_end_in_lf_alone(world: World) -> None:
    world.serve([each.replace(b"\r\n", b"\n") if isinstance(each, bytes) else each for each in [*HELLO, *TAKE]])

    assert world.send() == TAKEN


def test_what_the_host_said_is_shown_up_to_5000_bytes(world: World) -> None:
    world.serve([*HELLO, "MAIL", b"550-" + b"x" * 3000 + b"\r\n550-a\x1b\x00b\r\n550 " + b"y" * 3000 + b"\r\n"])
    shown = b"550-" + b"x" * 3000 + b"\n550-a??b\n550 " + b"y" * 1981 + b"\n"

    assert len(shown) == 5000
    assert world.send() == b"DConnected to 127.0.0.1 but sender was rejected.\nRemote host said: " + shown + b"\0"


def test_an_endless_reply_ends(world: World) -> None:
    def talk(peer: "typing.Any") -> None:
        while True:
            peer.sock.sendall(b"250-and another thing\r\n" * 1000)

    world.serve([b"220 mx\r\n", "EHLO", talk])

    assert world.send() == (
        b"ZConnected to 127.0.0.1 but it does not speak SMTP: a reply of more than 100 lines. (#4.5.0)\n\0")


def test_a_reply_that_drips_must_be_there_in_the_time_of_one(world: World) -> None:
    def drip(peer: "typing.Any") -> None:
        while True:
            peer.sock.sendall(b"2")
            time.sleep(0.2)

    world.home.control("timeoutremote", "1\n")
    world.serve([b"220 mx\r\n", "EHLO", b"250 mx\r\n", "MAIL", drip])

    assert world.send() == DIED


def test_a_host_that_is_slow_with_every_answer_is_given_up(world: World) -> None:
    def drawl(peer: "typing.Any") -> None:
        time.sleep(0.8)

    world.home.control("timeoutremote", "1\n")
    script = [step for each in HELLO + [*MAIL, *MAIL, *MAIL] for step in ((drawl, each) if isinstance(each, bytes) else (each,))]
    world.serve(script)

    assert world.send(recipients=["bob@x.test"] * 9) == DIED


def test_silence_ends_after_timeoutremote(world: World) -> None:
    world.home.control("timeoutremote", "1\n")
    world.serve([*HELLO, SILENCE])

    assert world.send() == DIED


def test_silence_after_the_final_dot_may_be_a_duplicate(world: World) -> None:
    world.home.control("timeoutremote", "1\n")
    world.serve([*HELLO, *TAKE[:-1], SILENCE])

    assert world.send() == DUPLICATE


def test_a_host_that_does_not_take_the_text(world: World) -> None:
    world.home.control("timeoutremote", "1\n")
    world.serve([*HELLO, *MAIL, "DATA", b"354 go\r\n", lambda peer: time.sleep(3), CLOSE])

    assert world.send(b"x" * 30_000_000) == DIED


# ---- recipients ----

def test_each_recipient_has_a_report(world: World) -> None:
    server = world.serve([*HELLO, "MAIL", b"250 ok\r\n", "RCPT", b"250 ok\r\n", "RCPT", b"550-who\r\n550 is that\r\n",
                          "RCPT", b"450 later\r\n", *TAKE[4:]])

    assert world.send(recipients=["a@x.test", "b c@x.test", "d@x.test"]) == (
        b"r\0h127.0.0.1 does not like recipient.\nRemote host said: 550-who\n550 is that\n\0"
        b"s127.0.0.1 does not like recipient.\nRemote host said: 450 later\n\0"
        b"K127.0.0.1 accepted message.\nRemote host said: 250 ok 12\n\0")
    world.close()
    assert server.peers[0].lines[2:5] == ["RCPT TO:<a@x.test>", 'RCPT TO:<"b c"@x.test>', "RCPT TO:<d@x.test>"]


def test_pipelining_to_a_server_that_takes_data_for_nobody(world: World) -> None:
    server = world.serve([b"220 mx\r\n", "EHLO", b"250-mx\r\n250 PIPELINING\r\n", "MAIL", "RCPT", "DATA",
                          b"250 ok\r\n550 who\r\n354 go\r\n", TEXT, b"250 thanks for nothing\r\n"])

    assert world.send() == disliked(b"h", b"550 who\n")
    world.close()
    assert server.peers[0].texts == [b".\r\n"]
    assert server.peers[0].lines[-1] == "QUIT"


def test_hundreds_of_recipients_in_groups(world: World) -> None:
    def accept(peer: "typing.Any") -> None:
        for _ in range(300):
            peer.lines.append(peer.line())
            peer.sock.sendall(b"250 ok\r\n")

    world.serve([b"220 mx\r\n", "EHLO", b"250-mx\r\n250 PIPELINING\r\n", "MAIL", b"250 ok\r\n", accept, "DATA", b"354 go\r\n", TEXT,
                 b"250 ok 12\r\n"])

    assert world.send(recipients=["u%d@x.test" % each for each in range(300)]) == b"r\0" * 299 + TAKEN


# ---- real peers ----

KEEP = """\
#!/bin/sh
cd {scratch} || exit 81
cat >message.new
cat <&1 >envelope
mv message.new message
"""
HARD_MESSAGE = b"Subject: x\n\n.\n..\nfoo\r.\r\nMAIL FROM:<eve@x.test>\r.\r\n\xe9\x00\n\n.x\nlast"
LINES = b"Subject: x\n\n.\n..\nfoo\n.\nMAIL FROM:<eve@x.test>\n.\n\xe9\x00\n\n.x\nlast\n"


def keeper(world: World) -> str:
    """A queue program that keeps what it gets."""
    return str(world.home.write("scratch/keep", KEEP.format(scratch=world.home.path / "scratch"), 0o755))


def test_to_mailfront(world: World) -> None:
    world.tcpserver(["smtpfront-qmail"], QMAILQUEUE=keeper(world), RELAYCLIENT="", MAXHOPS="50")
    said = world.send(HARD_MESSAGE)

    assert said.startswith(b"r\0K127.0.0.1 accepted message.\nRemote host said: 250 ")
    assert (world.home.path / "scratch/message").read_bytes().endswith(LINES)


def test_to_our_own_server(world: World) -> None:
    world.tcpserver(["vq-smtpd"], QMAILQUEUE=keeper(world), RELAYCLIENT="")
    said = world.send(HARD_MESSAGE, sender='a "b"@a.test', recipients=["bob@x.test", "c d@x.test"])

    assert said.startswith(b"r\0r\0K127.0.0.1 accepted message.\nRemote host said: 250 2.0.0 ok ")
    assert (world.home.path / "scratch/message").read_bytes().endswith(LINES)
    assert (world.home.path / "scratch/envelope").read_bytes() == b'Fa "b"@a.test\0Tbob@x.test\0Tc d@x.test\0\0'
