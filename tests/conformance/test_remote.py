"""vq-remote against smtp-sink with its faults, servers that follow a script, mailfront, and our own vq-smtpd."""

import socket
import ssl
import subprocess
import time
import typing

import pytest
import support
from certificates import Authority
from remote_world import CLOSE, SILENCE, TEXT, Server, World, free_port, wait_for

IP = b"127.0.0.1"
HELLO: "list[typing.Any]" = [b"220 mx ESMTP\r\n", "EHLO", b"250 mx\r\n"]
MAIL: "list[typing.Any]" = ["MAIL", b"250 ok\r\n", "RCPT", b"250 ok\r\n"]
TAKE: "list[typing.Any]" = [*MAIL, "DATA", b"354 go\r\n", TEXT, b"250 ok 12\r\n"]
TAKEN = b"r\0K127.0.0.1 accepted message.\nRemote host said: 250 ok 12\n\0"
DIED = b"ZConnected to 127.0.0.1 but connection died. (#4.4.2)\n\0"
DUPLICATE = b"ZConnected to 127.0.0.1 but connection died. Possible duplicate! (#4.4.2)\n\0"
OFFER_TLS: "list[typing.Any]" = [b"220 mx ESMTP\r\n", "EHLO", b"250-mx\r\n250 STARTTLS\r\n", "STARTTLS"]
HARD, SOFT = b"500 5.3.0 Error: command failed\n", b"450 4.3.0 Error: command failed\n"
CLOSING = b"421 4.0.0 Server closing connection\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> support.Home:
    """One for all tests: to install it takes longer than all that a test does."""
    return support.make_home(tmp_path_factory.mktemp("home") / "home")


@pytest.fixture
def world(home: support.Home) -> "typing.Iterator[World]":
    made = World(home)
    yield made
    made.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    path = tmp_path_factory.mktemp("authority")
    for parent in (path, path.parent):
        parent.chmod(0o755)
    return Authority(path / "ca")


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

def greeting(said: bytes) -> bytes:
    return b"ZConnected to %s but greeting failed.\nRemote host said: %s\0" % (IP, said)


def rejected(letter: bytes, what: bytes, said: bytes) -> bytes:
    return b"%sConnected to %s but %s was rejected.\nRemote host said: %s\0" % (letter, IP, what, said)


def disliked(letter: bytes, said: bytes) -> bytes:
    return b"%s%s does not like recipient.\nRemote host said: %s\0DGiving up on %s.\n\0" % (letter, IP, said, IP)


def failed(letter: bytes, when: bytes, said: bytes) -> bytes:
    return b"r\0%s%s failed %s.\nRemote host said: %s\0" % (letter, IP, when, said)


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


# ---- TLS ----

def secure(authority: Authority, name: str) -> "list[typing.Any]":
    return [*OFFER_TLS, b"220 go\r\n", authority.server(name), *HELLO[1:]]


def test_tls_is_used_where_it_is_offered(world: World, authority: Authority) -> None:
    server = world.serve([*secure(authority, "other.test"), *TAKE])

    assert world.send(b"x" * 200_000) == TAKEN
    world.close()
    assert (server.peers[0].tls, server.peers[0].lines[:3]) == (True, ["EHLO host.test", "STARTTLS", "EHLO host.test"])
    assert server.peers[0].texts == [b"x" * 200_000 + b"\r\n.\r\n"]


@pytest.mark.parametrize("lie", [
    [b"454 not now\r\n", *TAKE],
    [b"502 what\r\n", *TAKE],
])
def test_who_offers_tls_and_says_no_gets_the_mail_in_the_same_connection(world: World, lie: "list[typing.Any]") -> None:
    server = world.serve([*OFFER_TLS, *lie])

    assert world.send() == TAKEN
    world.close()
    assert len(server.peers) == 1


LIES = [[CLOSE], [b"220 go\r\n", CLOSE], [b"220 go\r\n", b"220 this is no TLS\r\n", CLOSE], [b"220 go\r\n250 injected\r\n", CLOSE],
        [b"hm\r\n", CLOSE]]


@pytest.mark.parametrize("lie", LIES)
def test_broken_tls_is_not_tried_twice(world: World, lie: "list[typing.Any]") -> None:
    server = world.serve([*OFFER_TLS, *lie], [b"220 mx\r\n", "EHLO", b"250-mx\r\n250 STARTTLS\r\n", *TAKE])
    done = world.home.run(["vq-remote", "x.test", "ann@a.test", "bob@x.test"], b"x\n")

    assert done.stdout == TAKEN
    assert done.stderr.startswith(b"vq-remote: 127.0.0.1 (127.0.0.1): TLS failed, sending in the clear: ")
    world.close()
    assert (len(server.peers), "STARTTLS" in server.peers[1].lines) == (2, False)


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("files", [
    {"tlshosts": "x.test\n"},
    {"smtproutes": ":127.0.0.1:%d|ann|tea\n"},
])
def test_mail_that_must_be_secured_waits_when_tls_is_broken(world: World, lie: "list[typing.Any]", files: "dict[str, str]") -> None:
    server = world.serve([*OFFER_TLS, *lie])
    for name, text in files.items():
        world.home.control(name, text.replace("%d", str(server.port)))
    said = world.send()

    assert said.startswith(b"ZConnected to 127.0.0.1 but TLS failed: ")
    assert said.endswith(b". (#4.7.5)\n\0")
    world.close()
    assert [each.texts for each in server.peers] == [[]]


def test_a_host_in_tlshosts_that_proves_its_name(world: World, authority: Authority) -> None:
    world.home.control("tlscafile", str(authority.ca) + "\n")
    server = world.serve([*secure(authority, "127.0.0.1"), *TAKE])
    world.home.control("tlshosts", "x.test\n")

    assert world.send() == TAKEN
    world.close()
    assert server.peers[0].tls


@pytest.mark.parametrize(("name", "believed", "why"), [
    ("other.test", True, b"ip address mismatch, certificate is not valid for '127.0.0.1'"),
    ("127.0.0.1", False, b"unable to get local issuer certificate"),
])
def test_a_host_in_tlshosts_that_does_not(world: World, authority: Authority, name: str, believed: bool, why: bytes) -> None:
    if believed:
        world.home.control("tlscafile", str(authority.ca) + "\n")
    server = world.serve([*secure(authority, name), *TAKE])
    world.home.control("tlshosts", "x.test\n")

    assert world.send() == b"ZConnected to 127.0.0.1 but TLS failed: %s. (#4.7.5)\n\0" % why
    world.close()
    assert [each.texts for each in server.peers] == [[]]


@pytest.mark.parametrize(("script", "report"), [
    (HELLO, b"ZConnected to 127.0.0.1 but it offers no TLS, without which it gets no mail: see control/tlshosts. (#4.7.0)\n\0"),
    ([*OFFER_TLS, b"454 not now\r\n"],
     b"ZConnected to 127.0.0.1 but it would not start TLS. (#4.7.0)\nRemote host said: 454 not now\n\0"),
])
def test_a_host_in_tlshosts_without_tls(world: World, script: "list[typing.Any]", report: bytes) -> None:
    world.serve(script)
    world.home.control("tlshosts", "x.test\n")

    assert report == world.send()


def test_authorities_that_cannot_be_read_are_trouble(world: World, authority: Authority) -> None:
    world.home.control("tlscafile", "/nonexistent\n")
    world.home.control("tlshosts", "x.test\n")
    server = world.serve([*secure(authority, "127.0.0.1"), *TAKE])

    assert world.send() == (b"Zcannot use the authorities in /nonexistent, which control/tlscafile names: "
                            b"No such file or directory (#4.3.0)\n\0")
    world.close()
    assert server.peers[0].texts == []


def test_tls_older_than_1_2_is_none(world: World, authority: Authority) -> None:
    old = authority.server("127.0.0.1")
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    world.serve([*OFFER_TLS, b"220 go\r\n", old, *HELLO[1:], *TAKE])
    world.home.control("tlshosts", "x.test\n")
    world.home.control("tlscafile", str(authority.ca) + "\n")

    assert world.send().startswith(b"ZConnected to 127.0.0.1 but TLS failed: ")


def test_tls_from_the_first_byte(world: World, authority: Authority) -> None:
    server = world.serve([authority.server("other.test"), *HELLO, *TAKE, *TAKE])

    assert [TAKEN] * 2 == world.send_all((ONE, b"1\n"), (ONE, b"2\n"), smtps=True)
    world.close()
    assert [(each.tls, len(each.texts)) for each in server.peers] == [(True, 2)]


def test_tls_from_the_first_byte_or_not_at_all(world: World) -> None:
    server = world.serve([b"220 mx\r\n", CLOSE])
    said = world.send_all((ONE, b"x\n"), smtps=True)[0]

    assert said.startswith(b"ZConnected to 127.0.0.1 but TLS failed: ")
    assert len(server.peers) == 1


def test_tls_from_the_first_byte_and_a_name_to_prove(world: World, authority: Authority) -> None:
    world.home.control("tlscafile", str(authority.ca) + "\n")
    world.home.control("tlshosts", "mx1.x.test\nmx2.x.test\n")
    one, other = two(world, [[authority.server("mx2.x.test"), *HELLO, *TAKE]],
                     [[authority.server("mx2.x.test"), *HELLO, *TAKE]])

    assert [TAKEN_BY_2] == world.send_all((BOTH, b"x\n"), smtps=True)
    world.close()
    assert one.peers[0].texts == []


# ---- AUTH ----

AUTH: "list[typing.Any]" = [b"220 mx\r\n", "EHLO", b"250-mx\r\n250 AUTH LOGIN PLAIN\r\n", "AUTH PLAIN AGFubgB0ZWE="]


def test_the_relay_wants_a_login(world: World) -> None:
    server = world.serve([*AUTH, b"235 hello\r\n", *TAKE])
    world.home.control("authsenders", f"ann@a.test:127.0.0.1:{server.port}|ann|tea\n")

    assert world.send() == TAKEN


def test_a_wrong_password_is_temporary(world: World) -> None:
    server = world.serve([*AUTH, b"535 5.7.8 no\r\n"])
    world.home.control("authsenders", f"ann@a.test:127.0.0.1:{server.port}|ann|tea\n")

    assert world.send() == (b"ZConnected to 127.0.0.1 but authentication was rejected; see control/authsenders and smtproutes. "
                            b"(#4.7.8)\nRemote host said: 535 5.7.8 no\n\0")


def test_a_login_in_tls(world: World, authority: Authority) -> None:
    server = world.serve([*secure(authority, "x.test")[:-1], b"250-mx\r\n250 AUTH PLAIN\r\n", "AUTH PLAIN AGFubgB0ZWE=",
                          b"235 hello\r\n", *TAKE])
    world.home.control("smtproutes", f":127.0.0.1:{server.port}|ann|tea\n")

    assert world.send() == TAKEN


# ---- one host after another ----

def test_nobody_listens(world: World) -> None:
    world.route(free_port())

    assert world.send() == b"ZCould not connect to 127.0.0.1: Connection refused. (#4.4.1)\n\0"


def test_a_host_that_does_not_answer_is_remembered(world: World) -> None:
    world.home.control("timeoutconnect", "1\n")
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = []
        for _ in range(4):                      # its queue is full: it answers no more
            each = socket.socket()
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
            waiting.append(each)
        world.route(port)

        assert world.send() == b"ZCould not connect to 127.0.0.1: it did not answer in 1 seconds. (#4.4.1)\n\0"
        for each in waiting:
            each.close()
    record = (world.home.path / "queue/lock/tcpto").read_bytes()[:16]
    assert (record[:4], record[4]) == (bytes([127, 0, 0, 1]), 1)


def two(world: World, first: "list[list[typing.Any]]", second: "list[list[typing.Any]]") -> "tuple[Server, Server]":
    """Two hosts on one port of two addresses."""
    one = world.serve(*first)
    other = world.serve(*second, address="127.0.0.2", port=one.port)
    world.route(one.port)
    return one, other


BOTH = [("127.0.0.1", "mx1.x.test"), ("127.0.0.2", "mx2.x.test")]
TAKEN_BY_2 = TAKEN.replace(b"127.0.0.1", b"127.0.0.2")


@pytest.mark.parametrize("script", [
    [CLOSE], [b"554 no\r\n"], [b"421 busy\r\n"], [b"450 greylisted\r\n"], [b"nonsense\r\n"],
    [b"220 mx\r\n", "EHLO", CLOSE], [b"220 mx\r\n", "EHLO", b"421 bye\r\n", CLOSE], [b"220 mx\r\n", "EHLO", b"500 no\r\n", "HELO", b"500 no\r\n"],
    [*HELLO, "MAIL", CLOSE], [*HELLO, "MAIL", b"421 bye\r\n", CLOSE], [*HELLO, "MAIL", b"450 later\r\n"],
    [*HELLO, "MAIL", b"250 ok\r\n", "RCPT", CLOSE], [*HELLO, "MAIL", b"250 ok\r\n", "RCPT", b"450 greylisted\r\n"],
    [*HELLO, *MAIL, "DATA", CLOSE],
])
def test_the_next_host_is_tried(world: World, script: "list[typing.Any]") -> None:
    one, other = two(world, [script], [[*HELLO, *TAKE]])

    assert [TAKEN_BY_2] == world.send_all((BOTH, b"x\n"))
    world.close()
    assert [len(one.peers), len(other.peers)] == [1, 1]


@pytest.mark.parametrize(("script", "report"), [
    ([*HELLO, "MAIL", b"550 no\r\n"], rejected(b"D", b"sender", b"550 no\n")),
    ([*HELLO, "MAIL", b"250 ok\r\n", "RCPT", b"550 no\r\n"], disliked(b"h", b"550 no\n")),
    ([*HELLO, *MAIL, "DATA", b"451 no\r\n"], failed(b"Z", b"on DATA command", b"451 no\n")),
    ([*HELLO, *MAIL, "DATA", b"354 go\r\n", CLOSE], DUPLICATE),
    ([*HELLO, *TAKE[:-1], CLOSE], DUPLICATE),
    ([*HELLO, *TAKE[:-1], b"nonsense\r\n"], DUPLICATE),
    ([*HELLO, *TAKE[:-1], b"451 disk full\r\n"], failed(b"Z", b"after I sent the message", b"451 disk full\n")),
    ([*HELLO, *TAKE[:-1], b"354 what\r\n"], failed(b"Z", b"after I sent the message", b"354 what\n")),
])
def test_no_other_host_is_tried(world: World, script: "list[typing.Any]", report: bytes) -> None:
    _, other = two(world, [script], [[*HELLO, *TAKE]])

    assert [report] == world.send_all((BOTH, b"x\n"))
    world.close()
    assert other.peers == []


def test_what_a_host_said_is_reported_rather_than_that_another_is_down(world: World) -> None:
    one, _ = two(world, [[b"450 greylisted\r\n"]], [[b"450 greylisted, too\r\n"]])
    down = [("127.0.0.3", "mx3.x.test")]

    assert [greeting(b"450 greylisted\n")] == world.send_all((BOTH[:1] + down, b"x\n"))
    assert [greeting(b"450 greylisted, too\n").replace(b"127.0.0.1", b"127.0.0.2")] == world.send_all((down + BOTH, b"x\n"))
    del one


def test_the_next_host_when_one_cannot_prove_its_name(world: World, authority: Authority) -> None:
    world.home.control("tlscafile", str(authority.ca) + "\n")
    world.home.control("tlshosts", "x.test\n")
    one, other = two(world, [[*secure(authority, "other.test"), *TAKE]], [[*secure(authority, "mx2.x.test"), *TAKE]])

    assert [TAKEN_BY_2] == world.send_all((BOTH, b"x\n"))
    world.close()
    assert [one.peers[0].texts, other.peers[0].tls] == [[], True]


def test_one_mx_that_is_in_tlshosts_must_prove_its_name_and_the_other_need_not(world: World, authority: Authority) -> None:
    world.home.control("tlshosts", "mx1.x.test\n")
    two(world, [[*secure(authority, "other.test"), *TAKE]], [[*secure(authority, "other.test"), *TAKE]])

    assert [TAKEN_BY_2] == world.send_all((BOTH, b"x\n"))


def test_ipv6(world: World) -> None:
    server = world.serve([*HELLO, *TAKE], address="::1")

    assert world.send() == TAKEN.replace(b"127.0.0.1", b"::1")
    assert len(server.peers) == 1


def test_mail_leaves_from_the_address_of_its_senders_domain(world: World) -> None:
    world.home.control("outgoingip", "127.0.0.5\na.test:127.0.0.6\n")
    server = world.serve([*HELLO, *TAKE])
    sources = []
    for sender in ("ann@a.test", "ann@c.test"):
        world.send(sender=sender)
    world.close()
    sources = [each.source for each in server.peers]

    assert sources == ["127.0.0.6", "127.0.0.5"]


def test_at_each_address_we_say_the_name_that_we_have_there(world: World) -> None:
    world.home.control("outgoingip", "127.0.0.5\na.test:127.0.0.6\n")
    world.home.control("hostnames", "127.0.0.6 mail.a.test\n")
    world.home.control("helohost", "helo.test\n")
    server = world.serve([*HELLO, *TAKE])
    for sender in ("ann@a.test", "ann@c.test"):
        world.send(sender=sender)
    world.close()

    assert [each.lines[0] for each in server.peers] == ["EHLO mail.a.test", "EHLO helo.test"]


def test_an_address_that_is_not_ours_is_no_source(world: World) -> None:
    world.home.control("outgoingip", "192.0.2.1\n")
    world.serve([*HELLO, *TAKE])

    assert world.send() == (
        b"ZCould not connect to 127.0.0.1: 192.0.2.1 in control/outgoingip is no address of this machine. (#4.4.1)\n\0")


# ---- kept connections ----

ONE = BOTH[:1]


def test_three_messages_over_one_connection(world: World) -> None:
    server = world.serve([*HELLO, *TAKE, *TAKE, *TAKE])

    assert [TAKEN] * 3 == world.send_all((ONE, b"1\n"), (ONE, b"2\n"), (ONE, b"3\n"))
    world.close()
    assert [each.texts for each in server.peers] == [[b"1\r\n.\r\n", b"2\r\n.\r\n", b"3\r\n.\r\n"]]
    assert server.peers[0].lines.count("QUIT") == 1


def test_three_messages_over_one_tls_connection(world: World, authority: Authority) -> None:
    server = world.serve([*secure(authority, "mx1.x.test"), *TAKE, *TAKE, *TAKE])

    assert [TAKEN] * 3 == world.send_all((ONE, b"1\n"), (ONE, b"2\n"), (ONE, b"3\n"))
    world.close()
    assert [len(each.texts) for each in server.peers] == [3]


@pytest.mark.parametrize(("idle", "uses", "connections"), [(30, 2, 2), (0, 100, 3), (30, 0, 3), (30, 1, 3)])
def test_a_connection_is_used_only_so_often(world: World, idle: int, uses: int, connections: int) -> None:
    server = world.serve([*HELLO, *TAKE, *TAKE, *TAKE])

    assert [TAKEN] * 3 == world.send_all((ONE, b"1\n"), (ONE, b"2\n"), (ONE, b"3\n"), idle=idle, uses=uses)
    world.close()
    assert connections == len(server.peers)


@pytest.mark.parametrize("end", [
    [CLOSE], [b"421 idle for too long\r\n", CLOSE], ["MAIL", CLOSE], ["MAIL", b"421 enough\r\n", CLOSE], ["MAIL", b"452 enough\r\n"],
    ["MAIL", b"550 enough\r\n"], ["MAIL", b"503 sender is given already\r\n"], ["MAIL", b"nonsense\r\n"]])
def test_a_kept_connection_that_is_good_for_nothing_is_replaced(world: World, end: "list[typing.Any]") -> None:
    server = world.serve([*HELLO, *TAKE, *end], [*HELLO, *TAKE])

    assert [TAKEN] * 2 == world.send_all((ONE, b"1\n"), (ONE, b"2\n"))
    world.close()
    assert [each.texts for each in server.peers] == [[b"1\r\n.\r\n"], [b"2\r\n.\r\n"]]


@pytest.mark.parametrize("more", [b"250 ok\r\n250 ok\r\n354 go\r\n250 taken, too\r\n", b"2", b"421 bye\r\n"])
@pytest.mark.parametrize("tls", [False, True])
def test_what_a_host_said_unasked_is_no_answer_to_the_next_message(world: World, authority: Authority, more: bytes, *,
                                                                   tls: bool) -> None:
    begin = secure(authority, "mx1.x.test") if tls else HELLO
    server = world.serve([*begin, *TAKE[:-1], TAKE[-1] + more], [*begin, *TAKE])

    assert [TAKEN] * 2 == world.send_all((ONE, b"1\n"), (ONE, b"2\n"))
    world.close()
    assert [each.texts for each in server.peers] == [[b"1\r\n.\r\n"], [b"2\r\n.\r\n"]]


def test_a_kept_connection_that_dies_with_a_message_is_not_replaced(world: World) -> None:
    server = world.serve([*HELLO, *TAKE, *TAKE[:-1], CLOSE], [*HELLO, *TAKE])

    assert [TAKEN, DUPLICATE] == world.send_all((ONE, b"1\n"), (ONE, b"2\n"))
    assert len(server.peers) == 1


@pytest.mark.parametrize("answers", [[b"500 what?\r\n", "MAIL", b"503 nested MAIL\r\n"], [b"421 bye\r\n"], [b"451 no\r\n"], [CLOSE]])
def test_a_host_that_will_not_forget_a_message_gets_the_next_on_a_new_connection(world: World, answers: "list[typing.Any]") -> None:
    server = world.serve([*HELLO, "MAIL", b"250 ok\r\n", "RCPT", b"550 who\r\n", "RSET", *answers], [*HELLO, *TAKE])

    assert [disliked(b"h", b"550 who\n"), TAKEN] == world.send_all((ONE, b"1\n"), (ONE, b"2\n"))
    world.close()
    assert [each.texts for each in server.peers] == [[], [b"2\r\n.\r\n"]]


def test_a_sender_refused_on_a_new_connection_too_is_refused(world: World) -> None:
    server = world.serve([*HELLO, *TAKE, "MAIL", b"550 you?\r\n"], [*HELLO, "MAIL", b"550 you!\r\n"])

    assert [TAKEN, b"DConnected to 127.0.0.1 but sender was rejected.\nRemote host said: 550 you!\n\0"] == world.send_all(
        (ONE, b"1\n"), (ONE, b"2\n"))
    world.close()
    assert len(server.peers) == 2


def test_a_refused_recipient_does_not_end_the_connection(world: World) -> None:
    server = world.serve([*HELLO, "MAIL", b"250 ok\r\n", "RCPT", b"550 who\r\n", "RSET", b"250 ok\r\n", *TAKE])

    assert [disliked(b"h", b"550 who\n"), TAKEN] == world.send_all((ONE, b"1\n"), (ONE, b"2\n"))
    world.close()
    assert len(server.peers) == 1


def test_connections_to_two_hosts_are_kept(world: World) -> None:
    one, other = two(world, [[*HELLO, *TAKE, *TAKE]], [[*HELLO, *TAKE, *TAKE]])

    assert [TAKEN, TAKEN_BY_2, TAKEN, TAKEN_BY_2] == world.send_all(
        (ONE, b"1\n"), (BOTH[1:], b"2\n"), (ONE, b"3\n"), (BOTH[1:], b"4\n"))
    world.close()
    assert [len(one.peers), len(other.peers)] == [1, 1]


def test_a_thousand_messages_leave_nothing_behind(world: World) -> None:
    script = [b"220 mx\r\n", "EHLO", b"250-mx\r\n250 PIPELINING\r\n",
              *["MAIL", "RCPT", "DATA", b"250 ok\r\n250 ok\r\n354 go\r\n", TEXT, b"250 ok 12\r\n"] * 100]
    server = world.serve(script)

    assert [TAKEN] * 1000 == world.send_all(*[(ONE, b"x\n")] * 1000)
    world.close()
    assert [len(each.texts) for each in server.peers] == [100] * 10


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
