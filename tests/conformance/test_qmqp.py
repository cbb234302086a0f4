"""vq-qmqpd and vq-qmqpc, with Postfix's and mailfront's programs at the other end, with each other, and with servers that
do what they should not.
"""

import os
import pathlib
import re
import socket
import subprocess
import typing

import netstring_world
import pytest
import smtp_world
import support
import system as module
from netstring_world import (  # noqa: F401
    SERVERS, Scripted, World, answering, answers, cold, dial, everything, free_port, hear, ns, qmqp, talk, world)

TEXT = b"Subject: x\n\nhello\n"
ENVELOPE = b"Fa@client.test\0Tbob@example.test\0\0"
WIRE = qmqp(TEXT, b"a@client.test", b"bob@example.test")
BAD_ADDRESS = b"Dsorry, I can't accept addresses like that (#5.1.3)"


def run(world: World, wire: bytes, **env: str) -> "subprocess.CompletedProcess[bytes]":
    """vq-qmqpd between pipes, for a machine of ours."""
    return world.home.run(["vq-qmqpd"], wire, {"RELAYCLIENT": ""} | env)


# ---- vq-qmqpd ----

def test_a_message(world: World) -> None:
    port = world.listen("vq-qmqpd", RELAYCLIENT="")
    said = talk(port, qmqp(TEXT, b"", b"x@elsewhere.test", b"bob@example.test", b"nobody@example.test"))
    world.wait_for_log("end ")

    assert answers(said) == [b"Kok"]
    assert world.messages() == [(TEXT, b"\0Tx@elsewhere.test\0Tbob@example.test\0Tnobody@example.test\0")]
    assert [each for each in world.log() if "vq-qmqpd" in each] == [
        "vq-qmqpd: pid PID from 127.0.0.1 accepted message qp QP bytes 18 sender <> recipients 3",
        "vq-qmqpd: pid PID from 127.0.0.1 end quit messages 1 refused 0"]


def test_the_answer_comes_while_the_client_still_listens(world: World) -> None:
    with dial(world.listen("vq-qmqpd", RELAYCLIENT="")) as sock:
        sock.sendall(WIRE)

        assert answers(everything(sock)) == [b"Kok"]


def test_without_relayclient_nobody_may_send(world: World) -> None:
    said = talk(world.listen("vq-qmqpd"), WIRE)
    world.wait_for_log("end ")

    assert answers(said) == [b"Dsorry, your host is not one that may send through me (#5.7.1)"]
    assert world.files_in_queue() == []
    assert 'a line such as 10.0.0.:allow,RELAYCLIENT="" in the rules of tcpserver' in world.log_path.read_text()


def test_who_is_refused_hears_it_after_a_large_message(world: World) -> None:
    with dial(world.listen("vq-qmqpd")) as sock:
        sock.sendall(qmqp(b"x" * 5_000_000, b"a@client.test", b"bob@example.test"))

        assert answers(everything(sock))[0][:1] == b"D"


def test_the_rules_of_tcpserver_say_who_may_send(world: World) -> None:
    rules = world.home.path / "scratch/rules"
    for address, expected in (("127.", b"K"), ("10.", b"D")):
        subprocess.run(["/usr/bin/tcprules", f"{rules}.cdb", f"{rules}.tmp"], check=True,
                       input=f'{address}:allow,RELAYCLIENT=""\n'.encode())
        port = world.listen("vq-qmqpd", ["-x", f"{rules}.cdb"])

        assert answers(talk(port, WIRE))[0][:1] == expected


def test_received_line_and_relayclients_value(cold: World) -> None:
    done = run(cold, WIRE, TCPREMOTEIP="192.0.2.1", TCPREMOTEHOST="client.test", TCPLOCALHOST="mx.example.test",
               RELAYCLIENT=".relay.test", **cold.queue())
    message, envelope = cold.queued()

    assert answers(done.stdout) == [b"Kok"]
    assert done.returncode == 0
    assert re.fullmatch(rb"Received: from client\.test \(192\.0\.2\.1\)\n"
                        rb"  by mx\.example\.test with QMQP; \d+ \w{3} \d{4} \d\d:\d\d:\d\d -0000\n" + TEXT, message)
    assert envelope == b"Fa@client.test\0Tbob@example.test.relay.test\0\0"


@pytest.mark.parametrize("addresses", [
    (b"x" * 1000, b"bob@example.test"), (b"a\0b", b"bob@example.test"), (b"a@b.test", b"bob@example.test", b"y" * 1000),
    (b"a@b.test", b"bo\0b@example.test"), (b"a@b.test", b""), (b"a@b.test", b"x\nRcpt: y@example.test"),
    (b"a@b.test", b"y" * 1_000_000)])
def test_bad_addresses(cold: World, addresses: "tuple[bytes, ...]") -> None:
    done = run(cold, qmqp(TEXT, *addresses))

    assert (done.returncode, answers(done.stdout)) == (0, [BAD_ADDRESS])
    assert cold.files_in_queue() == []


def test_limits_are_those_of_smtp(cold: World) -> None:
    cold.home.control("databytes", "1000\n")
    large = run(cold, qmqp(b"x" * 1001, b"a@b.test", b"bob@example.test"))
    looping = run(cold, qmqp(b"Delivered-To: x\n" * 100, b"a@b.test", b"bob@example.test"), DATABYTES="0")

    assert answers(large.stdout) == [b"Dsorry, that message size exceeds my databytes limit (#5.3.4)"]
    assert answers(looping.stdout) == [b"Dtoo many hops, this message is looping (#5.4.6)"]
    assert cold.files_in_queue() == []


@pytest.mark.parametrize(("code", "says", "expected"), [
    (31, "", b"Dmail server permanently rejected message (#5.3.0)"),
    (53, "", b"Zqueue cannot write, perhaps the disk is full (#4.3.0)"),
    (82, "Dno spam here (#5.7.1)", b"Dno spam here (#5.7.1)")])
def test_what_the_queue_says_is_the_answer(cold: World, code: int, says: str, expected: bytes) -> None:
    done = run(cold, WIRE, **cold.queue(code, says))

    assert answers(done.stdout) == [expected]


def test_a_client_that_dies_leaves_nothing_wherever_that_is(cold: World) -> None:
    for cut in range(len(WIRE)):
        done = run(cold, WIRE[:cut])

        assert (done.returncode, done.stdout) == (1, b""), cut
        assert cold.files_in_queue() == [], cut


def test_cut_anywhere(home: support.Home) -> None:
    world = World(home, "vq-tcpserver")
    try:
        port = world.listen("vq-qmqpd", RELAYCLIENT="")
        for cut in range(1, len(WIRE)):
            assert answers(talk(port, WIRE[:cut], WIRE[cut:])) == [b"Kok"], cut
        assert world.messages() == [(TEXT, b"a@client.test\0Tbob@example.test\0")] * (len(WIRE) - 1)
    finally:
        world.close()


@pytest.mark.parametrize(("wire", "code"), [
    (b"EHLO x\r\n", 100),
    (b"5:hello,", 100),
    (b"0:,", 100),
    (ns(ns(TEXT)), 100),
    (ns(ns(TEXT) + b"5:a@b"), 100),
    (ns(ns(TEXT) + ns(b"a@b") + b"99:x@y,"), 100),
    (ns(ns(TEXT) + ns(b"a@b") + b"3:x@y"), 100),
    (ns(ns(TEXT) + ns(b"a@b") + b"garbage"), 100),
    (WIRE[:-1] + b";", 100),
    (b"200000001:", 111),
    (b"2147483648:", 111),
    (b"18446744073709551616:", 111),
    (b"199999999:199999999:", 100),
    (b"199999999:4294967297:", 111),
])
def test_what_is_no_qmqp_is_not_answered(cold: World, wire: bytes, code: int) -> None:
    done = run(cold, wire)

    assert (done.returncode, done.stdout) == (code, b"")
    assert cold.files_in_queue() == []


def test_a_silent_client_is_left(world: World) -> None:
    world.home.control("timeoutsmtpd", "1\n")
    with dial(world.listen("vq-qmqpd", RELAYCLIENT="")) as sock:
        sock.sendall(WIRE[:20])

        assert everything(sock) == b""
    world.wait_for_log("end timeout")
    module.wait_until(lambda: world.files_in_queue() == [], "an empty queue")


@pytest.mark.peers
def test_postfix_qmqp_source_sends(world: World) -> None:
    port = world.listen("vq-qmqpd", RELAYCLIENT="")
    done = subprocess.run(["/usr/sbin/qmqp-source", "-s", "3", "-m", "9", "-r", "5", "-l", "30000", "-f", "a@client.test",
                           "-t", "bob@example.test", f"inet:127.0.0.1:{port}"],
                          capture_output=True, check=False, timeout=120)
    messages = world.messages()

    assert (done.returncode, done.stderr) == (0, b"")
    assert len(messages) == 9
    for text, envelope in messages:
        assert envelope == b"a@client.test\0" + b"".join(b"T%dbob@example.test\0" % each for each in range(5))
        assert len(text) in range(29_000, 31_000)


# ---- vq-qmqpc ----

def hand_over(home: support.Home, message: "bytes | typing.IO[bytes]" = TEXT, envelope: bytes = ENVELOPE,
              six: bool = False) -> "tuple[int, bytes, bytes]":
    """vq-qmqpc's exit code, what it says on 6, and the log."""
    out, into = os.pipe()
    errors, errors_in = os.pipe()
    os.write(into, envelope)                    # the pipe takes all of it
    os.close(into)
    places = {"pass_fds": (6,), "preexec_fn": lambda: os.dup2(errors_in, 6)} if six else {}
    given = {"stdin": message} if not isinstance(message, bytes) else {"input": message}
    try:
        done = subprocess.run([home.bin("vq-qmqpc")], stdout=out, stderr=subprocess.PIPE, check=False, timeout=120,
                              env={"PATH": "/usr/bin:/bin"}, **given, **places)
    finally:
        os.close(out)
        os.close(errors_in)
    with open(errors, "rb") as words:
        return done.returncode, words.read(), done.stderr


@pytest.fixture
def client(home: support.Home) -> support.Home:
    return home


def test_what_is_sent(client: support.Home) -> None:
    server = Scripted(answering(b"3:Kok,"))
    client.control("qmqpservers", f"127.0.0.1:{server.port}\n")
    code, _, log = hand_over(client, envelope=b"F\0Tbob@example.test\0Tx y@z\0\0")

    assert (code, log) == (0, b"")
    assert server.close() == [b"53:18:Subject: x\n\nhello\n,0:,16:bob@example.test,5:x y@z,,"]


def test_ipv6(client: support.Home) -> None:
    server = Scripted(answering(b"3:Kok,"), address="::1")
    client.control("qmqpservers", f"[::1]:{server.port}\n")

    assert hand_over(client)[0] == 0
    assert server.close() == [WIRE]


@pytest.mark.parametrize("size", [0, 1, 65536, (1 << 20) + 1, 5_000_000])
def test_a_file_and_a_pipe_are_sent_alike(client: support.Home, tmp_path: pathlib.Path, size: int) -> None:
    text = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    path = tmp_path / "message"
    path.write_bytes(b"skipped" + text)
    server = Scripted(answering(b"3:Kok,"), answering(b"3:Kok,"))
    client.control("qmqpservers", f"127.0.0.1:{server.port}\n")
    piped = hand_over(client, text)
    with path.open("rb") as message:
        os.lseek(message.fileno(), 7, 0)        # a caller may have read on
        from_file = hand_over(client, message)

    assert (piped[0], from_file[0]) == (0, 0)
    assert server.close() == [qmqp(text, b"a@client.test", b"bob@example.test")] * 2


@pytest.mark.parametrize(("answer", "plain", "custom"), [
    (b"Kok 123 qp 456", 0, (0, b"")),
    (b"K", 0, (0, b"")),
    (b"Dno (#5.7.1)", 31, (82, b"Dno (#5.7.1)")),
    (b"Zlater (#4.3.0)", 71, (82, b"Zlater (#4.3.0)")),
    (b"D", 31, (31, b"")),
    (b"Z", 71, (71, b"")),
    (b"D" + b"x" * 1000, 31, (82, b"D" + b"x" * 254)),
    (b"", 74, (74, b"")),
    (b"Qwhat", 74, (74, b"")),
    (b" Kok", 74, (74, b"")),
])
def test_answers(client: support.Home, answer: bytes, plain: int, custom: "tuple[int, bytes]") -> None:
    server = Scripted(answering(ns(answer)), answering(ns(answer)))
    client.control("qmqpservers", f"127.0.0.1:{server.port}\n")

    assert hand_over(client)[0] == plain
    assert hand_over(client, six=True)[:2] == custom
    server.close()


@pytest.mark.parametrize("answer", [b"", b"3", b"3:Ko", b"3:Kok", b"3:Kok;", b"Kok\n", b"250 ok\r\n", b"99999999999:K",
                                    b"20000:K" + b"x" * 20000])
def test_what_is_no_answer_is_no_success(client: support.Home, answer: bytes) -> None:
    server = Scripted(answering(answer))
    client.control("qmqpservers", f"127.0.0.1:{server.port}\n")

    assert hand_over(client)[0] == 74
    server.close()


def test_an_answer_in_pieces(client: support.Home) -> None:
    def script(sock: socket.socket) -> bytes:
        heard = hear(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"15:Kok 1 qp 234567,":
            sock.sendall(bytes([byte]))
        return heard

    server = Scripted(script)
    client.control("qmqpservers", f"127.0.0.1:{server.port}\n")

    assert hand_over(client)[0] == 0
    server.close()


def test_the_next_server_is_tried_only_without_a_connection(client: support.Home) -> None:
    good = Scripted(answering(b"3:Kok,"))
    client.control("qmqpservers", f"# ours\n127.0.0.1:{free_port()}\n[::1]:{free_port()}\nhost.test\n127.0.0.1:0\n"
                   f"127.0.0.1:{good.port}\n127.0.0.1:{free_port()}\n")
    code, _, log = hand_over(client)

    assert code == 0
    assert good.close() == [WIRE]
    assert log.count(b"no connection to") == 2
    assert log.count(b"passed over") == 2


def test_after_something_was_sent_no_other_server_is_tried(client: support.Home) -> None:
    first, second = Scripted(lambda sock: sock.recv(1)), Scripted(answering(b"3:Kok,"))
    client.control("qmqpservers", f"127.0.0.1:{first.port}\n127.0.0.1:{second.port}\n")

    assert hand_over(client)[0] == 74
    assert second.close() == []
    assert first.close() == [b"5"]


def test_a_server_that_refuses_before_it_heard_all_is_heard(client: support.Home) -> None:
    def script(sock: socket.socket) -> bytes:
        heard = sock.recv(100)
        sock.sendall(b"12:Dno (#5.7.1),")
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass
        return heard

    server = Scripted(script)
    client.control("qmqpservers", f"127.0.0.1:{server.port}\n")

    assert hand_over(client, b"x" * 3_000_000, six=True)[:2] == (82, b"Dno (#5.7.1)")
    server.close()


@pytest.mark.parametrize(("servers", "code", "words"), [
    (None, 55, b"control/qmqpservers"),
    ("", 55, b"control/qmqpservers"),
    ("# none\nmail.example.test\n", 55, b"no IP address"),
    ("127.0.0.1:{free}\n", 73, b"Connection refused"),
])
def test_no_server(client: support.Home, servers: "str | None", code: int, words: bytes) -> None:
    if servers is not None:
        client.control("qmqpservers", servers.format(free=free_port()))
    found, _, log = hand_over(client)

    assert found == code
    assert words in log


def test_servers_that_cannot_be_read(client: support.Home) -> None:
    (client.path / "control/qmqpservers").mkdir()

    assert hand_over(client)[0] == 55


@pytest.mark.slow
def test_a_server_that_does_not_answer_the_call(client: support.Home) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:                    # the queue of the port is full: further calls are not even refused
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        client.control("qmqpservers", f"127.0.0.1:{port}\n")
        code, _, log = hand_over(client)
        for each in waiting:
            each.close()

    assert code == 72
    assert b"did not answer in 10 seconds" in log


@pytest.mark.parametrize(("envelope", "code"), [
    (b"", 54), (b"F", 54), (b"Fa@b\0", 54), (b"Fa@b\0Tc@d\0", 54), (b"Fa@b\0Tc@d", 54),
    (b"Xa@b\0Tc@d\0\0", 91), (b"Fa@b\0Xc@d\0\0", 91), (b"F" + b"x" * 1003 + b"\0Tc@d\0\0", 11),
    (b"Fa@b\0T" + b"x" * 1003 + b"\0\0", 11)])
def test_without_a_good_envelope_nothing_is_sent(client: support.Home, envelope: bytes, code: int) -> None:
    server = Scripted(answering(b"3:Kok,"))
    client.control("qmqpservers", f"127.0.0.1:{server.port}\n")

    assert hand_over(client, envelope=envelope)[0] == code
    assert server.close() == []


def test_memory_does_not_grow_with_the_message(client: support.Home) -> None:
    peaks = []

    def script(sock: socket.socket) -> bytes:
        size = 0
        while size < 60_000_000:
            size += len(sock.recv(1 << 20))
        found = [each for each in pathlib.Path("/proc").glob("[0-9]*/cmdline")
                 if b"vq-qmqpc" in (words := _read(each)) and os.fsencode(client.path) in words]
        peaks.extend(int(re.search(r"VmHWM:\s+(\d+)", (each.parent / "status").read_text())[1]) for each in found)
        sock.sendall(b"3:Kok,")
        return b""

    server = Scripted(script)
    client.control("qmqpservers", f"127.0.0.1:{server.port}\n")

    assert hand_over(client, b"x" * 60_000_000)[0] == 0
    server.close()
    assert len(peaks) == 1
    assert peaks[0] < 40_000                    # kB


# ---- vq-qmqpc and the others' servers ----

@pytest.mark.peers
def test_postfix_qmqp_sink_takes_it(client: support.Home, tmp_path: pathlib.Path) -> None:
    port = free_port()
    client.control("qmqpservers", f"127.0.0.1:{port}\n")
    sink = subprocess.Popen(["/usr/sbin/qmqp-sink", "-4", f"127.0.0.1:{port}", "10"])
    try:
        module.wait_until(lambda: _listens(port), "qmqp-sink")
        recipients = b"".join(b"T%d@example.test\0" % each for each in range(1000))

        assert hand_over(client, b"x" * 3_000_000, b"Fa@client.test\0" + recipients + b"\0")[0] == 0
        assert hand_over(client, b"", b"F\0Tx\0\0")[0] == 0
    finally:
        sink.kill()
        sink.wait()


@pytest.mark.peers
def test_mailfront_takes_it_and_refuses_it(cold: World) -> None:
    server = cold.listen("/usr/sbin/qmqpfront-qmail", QMAILHOME=str(cold.home.path), **cold.queue())
    cold.home.control("qmqpservers", f"127.0.0.1:{server}\n")

    assert hand_over(cold.home)[0] == 0

    message, envelope = cold.queued()

    assert message.endswith(b"\n" + TEXT)
    assert envelope == ENVELOPE
    code, words, _ = hand_over(cold.home, envelope=b"Fa@client.test\0Tx@elsewhere.test\0\0", six=True)

    assert (code, words[:1]) == (82, b"D")


@pytest.mark.parametrize("server", SERVERS)
def test_ours_to_ours(tmp_path: pathlib.Path, server: str) -> None:
    world = World(support.make_home(tmp_path / "server"), server)
    null = support.make_home(tmp_path / "null")
    try:
        null.control("qmqpservers", f"127.0.0.1:{world.listen('vq-qmqpd', RELAYCLIENT='')}\n")

        assert hand_over(null, b"x" * 2_000_000)[0] == 0
        assert world.messages() == [(b"x" * 2_000_000, b"a@client.test\0Tbob@example.test\0")]
    finally:
        world.close()


def test_a_null_client_refuses_at_the_door_what_the_server_refuses(tmp_path: pathlib.Path) -> None:
    hub = World(support.make_home(tmp_path / "hub"))
    hub.home.control("databytes", "1000\n")
    (tmp_path / "b").mkdir()
    null = smtp_world.World(support.make_home(tmp_path / "b/null"), warm=False)
    try:
        null.home.control("qmqpservers", f"127.0.0.1:{hub.listen('vq-qmqpd', RELAYCLIENT='')}\n")
        client = null.connect(QMAILQUEUE=null.home.bin("vq-qmqpc"))
        client.begin()
        client.sock.sendall(b"Subject: x\r\n\r\nhello\r\n.\r\n")

        assert client.reply()[:3] == b"250"
        for command, code in ((b"MAIL FROM:<a@client.test>", b"250"), (b"RCPT TO:<bob@example.test>", b"250"),
                              (b"DATA", b"354")):
            assert client.ask(command)[:3] == code
        client.sock.sendall(b"x" * 1000 + b"\r\n.\r\n")

        assert client.reply() == b"554 5.3.4 sorry, that message size exceeds my databytes limit (#5.3.4)\r\n"
        assert client.ask(b"QUIT")[:3] == b"221"
        (text, envelope), = hub.messages()

        assert text.count(b" with ESMTP; ") == 1
        assert text.endswith(b"\nSubject: x\n\nhello\n")
        assert envelope == b"a@client.test\0Tbob@example.test\0"
        assert null.files_in_queue() == []
    finally:
        null.close()
        hub.close()


@pytest.mark.root
def test_from_the_door_of_one_machine_into_a_mailbox_of_another(tmp_path: pathlib.Path) -> None:
    (tmp_path / "hub").mkdir()
    hub = module.System(tmp_path / "hub")
    null = World(support.make_home(tmp_path / "null"), "vq-tcpserver")
    try:
        hub.add_domain("example.test", {"bob": "one"})
        hub.start_all()
        port = hub.serve("qmqp", True, [], [hub.bin("vq-qmqpd")], {"RELAYCLIENT": ""})
        null.home.control("qmqpservers", f"127.0.0.1:{port}\n")
        smtp = null.listen("vq-smtpd", QMAILQUEUE=null.home.bin("vq-qmqpc"))
        said = talk(smtp, b"EHLO x\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<bob@example.test>\r\n",
                    b"DATA\r\n", b"Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n")
        path, = hub.wait_for_mail("example.test", "bob")

        assert said.count(b"\r\n250 2.0.0 ok") == 1
        assert path.read_bytes().endswith(b"\nSubject: x\n\nhello\n")
        assert path.read_bytes().count(b" with QMQP; ") == 1
        assert path.read_bytes().count(b" with ESMTP; ") == 1
    finally:
        null.close()
        hub.stop()


def _read(path: pathlib.Path) -> bytes:
    """A file of /proc; b"" if its process has ended."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _listens(port: int) -> bool:
    try:
        netstring_world.dial(port).close()
    except ConnectionRefusedError:
        return False
    return True
