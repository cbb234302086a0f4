"""vq-qmtpd under the real tcpserver and under ours, with clients that are polite and not, and beside mailfront's."""

import os
import pathlib
import re
import subprocess
import time
import typing

import pytest
import support
from netstring_world import (  # noqa: F401
    World, answers, cold, dial, everything, ns, qmtp, talk, world)

TEXT = b"Subject: x\n\nhello\n"
ENVELOPE = b"a@client.test\0Tbob@example.test\0"
NO_GATEWAY = b"Dsorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"
NO_MAILBOX = b"Dsorry, no mailbox here by that name (#5.1.1)"
BAD_RECIPIENT = b"Dsorry, I can't handle that recipient (#5.1.3)"
BAD_SENDER = b"Dunacceptable sender (#5.1.7)"


def run(world: World, wire: bytes, **env: str) -> "subprocess.CompletedProcess[bytes]":
    """vq-qmtpd between pipes."""
    return world.home.run(["vq-qmtpd"], wire, env)


def test_several_messages_in_one_connection(world: World) -> None:
    port = world.listen("vq-qmtpd")
    said = talk(port, qmtp(b"\n" + TEXT, b"a@client.test", b"bob@example.test")
                + qmtp(b"\rSubject: y\r\n\r\ntwo\r\n", b"", b"ann@example.test", b"bob@example.test"))
    world.wait_for_log("end ")

    assert answers(said) == [b"Kok", b"Kok", b"Kok"]
    assert sorted(world.messages()) == [
        (TEXT, ENVELOPE), (b"Subject: y\n\ntwo\n", b"\0Tann@example.test\0Tbob@example.test\0")]
    assert [each for each in world.log() if "vq-qmtpd" in each] == [
        "vq-qmtpd: pid PID from 127.0.0.1 accepted message qp QP bytes 18 sender <a@client.test> recipients 1",
        "vq-qmtpd: pid PID from 127.0.0.1 accepted message qp QP bytes 16 sender <> recipients 2",
        "vq-qmtpd: pid PID from 127.0.0.1 end quit messages 2 refused 0"]


def test_the_answer_comes_before_the_next_message_is_sent(world: World) -> None:
    with dial(world.listen("vq-qmtpd")) as sock:
        for number in range(3):
            sock.sendall(qmtp(b"\n%d" % number, b"a@client.test", b"bob@example.test"))

            assert re.fullmatch(rb"\d\d:Kok \d+ qp \d+,", sock.recv(1000))
            assert len(world.messages()) == number + 1


def test_one_answer_for_each_recipient_in_order(world: World) -> None:
    port = world.listen("vq-qmtpd")
    said = talk(port, qmtp(
        b"\n" + TEXT, b"a@client.test", b"x@elsewhere.test", b"bob@example.test", b"nobody@example.test", b"",
        b"a\0b@example.test", b"a\nb@example.test", b"x" * 988 + b"@example.test", b"ann@sub.sub.example.test",
        b"x" * 100_000, b"ann@EXAMPLE.test"))

    assert answers(said) == [NO_GATEWAY, b"Kok", NO_MAILBOX, BAD_RECIPIENT, BAD_RECIPIENT, BAD_RECIPIENT, BAD_RECIPIENT,
                             b"Kok", BAD_RECIPIENT, b"Kok"]
    assert world.messages() == [(TEXT, b"a@client.test\0Tbob@example.test\0Tann@sub.sub.example.test\0"
                                 b"Tann@EXAMPLE.test\0")]


def test_the_answers_are_qmails_to_the_byte(cold: World) -> None:
    done = run(cold, qmtp(b"\n" + TEXT, b"a@client.test", b"x@elsewhere.test", b"a\0b"))

    assert done.stdout == (b"66:Dsorry, that domain isn't in my list of allowed rcpthosts (#5.7.1),"
                           b"46:Dsorry, I can't handle that recipient (#5.1.3),")
    assert done.returncode == 0
    assert cold.files_in_queue() == []


def test_received_line(cold: World) -> None:
    done = run(cold, qmtp(b"\n" + TEXT, b"a@client.test", b"bob@example.test"), TCPREMOTEIP="192.0.2.1",
               TCPREMOTEHOST="client.test", TCPREMOTEINFO="joe", TCPLOCALHOST="mx.example.test", **cold.queue())
    message, envelope = cold.queued()

    assert answers(done.stdout) == [b"Kok"]
    assert re.fullmatch(rb"Received: from client\.test \(joe@192\.0\.2\.1\)\n"
                        rb"  by mx\.example\.test with QMTP; \d+ \w{3} \d{4} \d\d:\d\d:\d\d -0000\n" + TEXT, message)
    assert envelope == b"F" + ENVELOPE + b"\0"


def test_relayclient_may_send_anywhere_and_is_appended(cold: World) -> None:
    wire = qmtp(b"\n" + TEXT, b"a@client.test", b"x@elsewhere.test", b"nobody@example.test", b"y" * 999,
                b"y" * 983 + b"@elsewhere.test")
    plain = run(cold, wire, RELAYCLIENT="")

    assert answers(plain.stdout) == [b"Kok", NO_MAILBOX, b"Kok", b"Kok"]
    assert cold.messages() == [(TEXT, b"a@client.test\0Tx@elsewhere.test\0T" + b"y" * 999 + b"\0T"
                                + b"y" * 983 + b"@elsewhere.test\0")]
    suffixed = run(cold, wire, RELAYCLIENT=".relay.test", **cold.queue())

    assert answers(suffixed.stdout) == [b"Kok", b"Kok", BAD_RECIPIENT, BAD_RECIPIENT]
    assert cold.queued()[1] == b"Fa@client.test\0Tx@elsewhere.test.relay.test\0Tnobody@example.test.relay.test\0\0"


def test_without_rcpthosts_nobody_may_send(cold: World) -> None:
    (cold.home.path / "control/rcpthosts").unlink()
    done = run(cold, qmtp(b"\n" + TEXT, b"a@client.test", b"bob@example.test"))

    assert answers(done.stdout) == [NO_GATEWAY]
    assert b"there is no control/rcpthosts" in done.stderr


@pytest.mark.parametrize("sender", [b"x" * 1000, b"x" * 70_000, b"a\0b@client.test", b"a\nFrom: b@client.test"])
def test_bad_sender(cold: World, sender: bytes) -> None:
    done = run(cold, qmtp(b"\n" + TEXT, sender, b"bob@example.test", b"ann@example.test")
               + qmtp(b"\n" + TEXT, b"a@client.test", b"bob@example.test"))

    assert answers(done.stdout) == [BAD_SENDER, BAD_SENDER, b"Kok"]
    assert cold.messages() == [(TEXT, ENVELOPE)]


def test_sender_in_badmailfrom(cold: World) -> None:
    done = run(cold, qmtp(b"\n" + TEXT, b"x@worse.test", b"bob@example.test"))

    assert answers(done.stdout) == [b"Dsorry, your envelope sender is in my badmailfrom list (#5.7.1)"]


@pytest.mark.parametrize(("size", "expected"), [(1000, b"Kok"), (1001, b"Dsorry, that message size exceeds my databytes "
                                                                         b"limit (#5.3.4)")])
def test_databytes(cold: World, size: int, expected: bytes) -> None:
    cold.home.control("databytes", "1000\n")
    done = run(cold, qmtp(b"\r" + b"x" * (size - 1) + b"\r\n", b"a@client.test", b"bob@example.test"))

    assert answers(done.stdout) == [expected]
    assert len(cold.messages()) == (expected == b"Kok")


def test_a_message_that_loops(cold: World) -> None:
    text = b"Received: x\n" * 100 + b"\nx\n"
    done = run(cold, qmtp(b"\n" + text, b"a@client.test", b"bob@example.test"))

    assert answers(done.stdout) == [b"Dtoo many hops, this message is looping (#5.4.6)"]
    assert cold.files_in_queue() == []


@pytest.mark.parametrize(("code", "says", "expected"), [
    (31, "", b"Dmail server permanently rejected message (#5.3.0)"),
    (53, "", b"Zqueue cannot write, perhaps the disk is full (#4.3.0)"),
    (82, "Dno spam here (#5.7.1)", b"Dno spam here (#5.7.1)"),
    (82, "Zlater", b"Zlater"),
    (120, "", b"Zcannot run the queue program (#4.3.0)"),
])
def test_what_the_queue_says_is_the_answer(cold: World, code: int, says: str, expected: bytes) -> None:
    done = run(cold, qmtp(b"\n" + TEXT, b"a@client.test", b"bob@example.test", b"x@elsewhere.test", b"ann@example.test"),
               **cold.queue(code, says))

    assert answers(done.stdout) == [expected, NO_GATEWAY, expected]


def test_no_queue_at_all(cold: World) -> None:
    done = run(cold, qmtp(b"\n" + TEXT, b"a@client.test", b"bob@example.test"), QMAILQUEUE="/nonexistent")

    assert answers(done.stdout)[0][:1] == b"Z"
    assert done.returncode == 0


def test_a_resolver_that_cannot_tell_now_says_later(cold: World) -> None:
    cold.home.write("users/cdb", b"this is no cdb", 0o644)
    done = run(cold, qmtp(b"\n" + TEXT, b"a@client.test", b"bob@example.test"))

    assert answers(done.stdout) == [b"Zsorry, i cannot look for that mailbox now (#4.3.0)"]


def test_controls_that_cannot_be_read(cold: World) -> None:
    (cold.home.path / "control/rcpthosts").unlink()
    (cold.home.path / "control/rcpthosts").mkdir()
    done = run(cold, qmtp(b"\n" + TEXT, b"a@client.test", b"bob@example.test"))

    assert (done.returncode, done.stdout) == (111, b"")
    assert b"cannot read" in done.stderr


# ---- what is not QMTP ----

WIRE = qmtp(b"\nx\n", b"a@b.test", b"bob@example.test")


def test_a_client_that_dies_leaves_nothing_wherever_that_is(cold: World) -> None:
    for cut in range(1, len(WIRE)):
        done = run(cold, WIRE[:cut])

        assert (done.returncode, done.stdout) == (1, b""), cut
        assert cold.files_in_queue() == [], cut


def test_cut_anywhere(home: support.Home) -> None:
    world = World(home, "vq-tcpserver")
    try:
        port = world.listen("vq-qmtpd")
        for cut in range(1, len(WIRE)):
            with dial(port) as sock:
                sock.sendall(WIRE[:cut])
                time.sleep(0.002)
                sock.sendall(WIRE[cut:])
                sock.shutdown(1)

                assert answers(everything(sock)) == [b"Kok"], cut
        assert world.messages() == [(b"x\n", b"a@b.test\0Tbob@example.test\0")] * (len(WIRE) - 1)
    finally:
        world.close()


@pytest.mark.parametrize(("wire", "code"), [
    (b"", 0),
    (b"EHLO client.test\r\n", 100),
    (b"GET / HTTP/1.0\r\n\r\n", 100),
    (b":\n,", 100),
    (b"0:," + ns(b"a@b.test") + ns(ns(b"bob@example.test")), 100),              # no first byte
    (b"5:hello," + ns(b"a@b.test") + ns(ns(b"bob@example.test")), 100),         # neither LF nor CR
    (b"2:\nx;" + ns(b"a@b.test") + ns(ns(b"bob@example.test")), 100),
    (b"2:\nxyz," + ns(b"a@b.test"), 100),
    (ns(b"\nx") + b"8:a@b.test;" + ns(ns(b"bob@example.test")), 100),
    (ns(b"\nx") + ns(b"a@b.test") + ns(b"bob@example.test"), 100),
    (ns(b"\nx") + ns(b"a@b.test") + b"19:16:bob@example.test,,", 100),
    (ns(b"\nx") + ns(b"a@b.test") + b"21:16:bob@example.test,,,", 100),
    (ns(b"\nx") + ns(b"a@b.test") + b"20:17:bob@example.test,,", 100),
    (ns(b"\nx") + ns(b"a@b.test") + ns(ns(b"bob@example.test"))[:-1] + b";", 100),
    (b"200000001:\n", 111),
    (b"2147483648:\n", 111),
    (b"4294967297:\n", 111),
    (b"99999999999999999999:\n", 111),
    (b"200000000:\nx", 1),
    (ns(b"\nx") + b"2147483648:", 111),
    (ns(b"\nx") + ns(b"a@b.test") + b"2147483648:", 111),
    (ns(b"\nx") + ns(b"a@b.test") + b"100:2147483648:", 111),
    (ns(b"\nx") + ns(b"a@b.test") + ns(b"0:," * 100_001), 111),
    (b"-5:\nx", 100),
])
def test_what_is_no_qmtp_ends_the_session_and_leaves_nothing(cold: World, wire: bytes, code: int) -> None:
    done = run(cold, wire)

    assert (done.returncode, done.stdout) == (code, b"")
    assert cold.files_in_queue() == []


def test_a_good_message_before_nonsense_stays_accepted(cold: World) -> None:
    done = run(cold, WIRE + b"QUIT\r\n")

    assert (done.returncode, answers(done.stdout)) == (100, [b"Kok"])
    assert len(cold.messages()) == 1


def test_no_recipients(cold: World) -> None:
    done = run(cold, qmtp(b"\nx", b"a@b.test") + WIRE)

    assert (done.returncode, answers(done.stdout)) == (0, [b"Kok"])
    assert len(cold.messages()) == 1


def test_a_claim_of_200_megabytes_takes_no_memory(cold: World) -> None:
    port = cold.listen("vq-qmtpd")
    with dial(port) as sock:
        sock.sendall(b"200000000:\n" + b"x" * 30_000_000)
        sock.shutdown(1)

        assert everything(sock) == b""
    cold.wait_for_log("end lost")
    assert cold.files_in_queue() == []


def test_a_large_message_takes_no_memory(cold: World) -> None:
    peak = cold.home.path / "scratch/peak"
    program = cold.home.write("scratch/watch", f"#!/bin/sh\ncat >/dev/null\ncat <&1 >/dev/null\n"
                              f"grep VmHWM /proc/$PPID/status >{peak}\n", 0o755)
    done = run(cold, ns(b"\n" + b"x" * 50_000_000) + ns(b"a@b.test") + ns(ns(b"bob@example.test")),
               QMAILQUEUE=str(program))

    assert answers(done.stdout) == [b"Kok"]
    assert int(peak.read_text().split()[1]) < 40_000                # kB


def test_many_recipients_are_asked_to_come_again(cold: World) -> None:
    cold.home.control("locals", "")
    done = run(cold, qmtp(b"\nx\n", b"a@b.test", *[b"%d@example.test" % each for each in range(20_010)]), **cold.queue())
    said = answers(done.stdout)

    assert said[:20_000] == [b"Kok"] * 20_000
    assert said[20_000:] == [b"Ztoo many recipients, send the others in another message (#4.5.3)"] * 10
    assert cold.queued()[1].count(b"\0T") == 20_000


def test_a_silent_client_is_left(world: World) -> None:
    world.home.control("timeoutsmtpd", "1\n")
    with dial(world.listen("vq-qmtpd")) as sock:
        sock.sendall(WIRE[:20])

        assert everything(sock) == b""
    world.wait_for_log("end timeout messages 0 refused 0")
    assert world.files_in_queue() == []


def test_slow_is_not_silent(world: World) -> None:
    world.home.control("timeoutsmtpd", "2\n")
    with dial(world.listen("vq-qmtpd")) as sock:
        for at in range(len(WIRE)):
            sock.sendall(WIRE[at:at + 1])
            time.sleep(0.06)
        sock.shutdown(1)

        assert answers(everything(sock)) == [b"Kok"]


def test_killed_clients_leave_nothing_under_way(world: World) -> None:
    port = world.listen("vq-qmtpd")
    for cut in (1, 5, 10, len(WIRE) // 2, len(WIRE) - 1):
        with dial(port) as sock:
            sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")             # SO_LINGER 0: the end is a reset
            sock.sendall(WIRE[:cut])
    deadline = time.monotonic() + 100
    while world.log_path.read_text().count("end lost") < 5:
        assert time.monotonic() < deadline
        time.sleep(0.01)

    assert world.files_in_queue() == []


# ---- beside mailfront's ----

@pytest.mark.peers
@pytest.mark.parametrize("wire", [
    WIRE,
    WIRE + qmtp(b"\nx", b"a@b.test", b"x@elsewhere.test") + WIRE,
    qmtp(b"\nx\n", b"a@b.test", b"ANN@EXAMPLE.TEST"),
])
def test_mailfront_answers_with_the_same_letters(cold: World, wire: bytes) -> None:
    # one recipient each, for mailfront answers a message, not its recipients; it does not know lines that end in CR LF
    ours = run(cold, wire)
    queue = cold.home.write("scratch/any", "#!/bin/sh\ncat >/dev/null; cat <&1 >/dev/null\n", 0o755)
    theirs = subprocess.run(["/usr/sbin/qmtpfront-qmail"], input=wire, capture_output=True, check=False, timeout=60, env={
        "PATH": "/usr/bin:/bin", "PROTO": "TCP", "TCPLOCALIP": "127.0.0.1", "TCPREMOTEIP": "127.0.0.1",
        "QMAILHOME": str(cold.home.path), "QMAILQUEUE": str(queue)})

    assert [each[:1] for each in answers(ours.stdout)] == [each[:1] for each in answers(theirs.stdout)]


def test_warm_and_cold_leave_no_descriptor_open(home: support.Home) -> None:
    world = World(home, "vq-tcpserver")
    try:
        port = world.listen("vq-qmtpd", ["-v", "-c", "1"])
        for _ in range(20):
            assert answers(talk(port, WIRE)) == [b"Kok"]
        pids = set(re.findall(r"ok (\d+)", world.log_path.read_text()))
        worker, = pids
        status = pathlib.Path(f"/proc/{worker}/fd")

        assert len(os.listdir(status)) < 12
    finally:
        world.close()
