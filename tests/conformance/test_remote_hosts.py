"""vq-remote with more than one host, address or message: which is tried next, and which connection is kept."""

import socket
import typing

import pytest
from certificates import Authority
from remote_script import (
    BOTH, DUPLICATE, HELLO, MAIL, ONE, TAKE, TAKEN, TAKEN_BY_2, disliked, failed, greeting, rejected, secure, two)
from remote_script import authority, home, world  # noqa: F401
from remote_world import CLOSE, TEXT, World, free_port

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
