"""Mail through a little internet: from host to host, past servers that are down, strange or broken."""

import collections
import itertools
import pathlib
import os
import re
import shutil
import subprocess
import sys
import typing

import internet
import pytest
import system as module
from internet_world import Log, World, message
import oddservers

pytestmark = [pytest.mark.root, pytest.mark.peers, pytest.mark.slow]


@pytest.fixture(scope="module")
def only_world(tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[World]":
    world = World(tmp_path_factory.mktemp("internet"))
    yield world
    world.close()


@pytest.fixture
def world(only_world: World) -> "typing.Iterator[World]":
    yield only_world
    only_world.tidy()


# from each to each

@pytest.mark.parametrize(("here", "there"), list(itertools.permutations("abc", 2)))
def test_mail_from_each_to_each(world: World, here: str, there: str) -> None:
    token = world.token()
    world.hosts[here].send(f"bob@{here}.test", [f"ann@{there}.test"], message(token, sender=f"bob@{here}.test"))
    letter = world.arrives(world.hosts[there], "ann", token)

    assert letter.startswith(b"Return-Path: <bob@%s.test>\n" % here.encode())
    assert letter.endswith(b"\n\nhello\n")
    assert re.search(rb"\nReceived: from [^\n]*mail\.%s\.test" % here.encode(), letter)


def test_the_internet_is_what_it_is_meant_to_be(world: World) -> None:
    # Postfix is the judge: what it does not get through, nobody has to
    ways = {"taker": "taker", "greylist": "greylist", "full": "taker", "busy": "taker", "dies": "dies", "tls": "tls",
            "garbage": "garbage", "liar": "liar", "two": "taker", "dual": "taker", "implicit": "taker", "cname": "taker",
            "mxcname": "taker", "six": "six"}
    tokens = {domain: world.token() for domain in (*ways, "refuse", "nowhere", "nullmx", "nothing", "loop")}
    for domain, token in tokens.items():
        world.c.send("bob@c.test", [f"x@{domain}.test"], message(token, sender="bob@c.test"))
    for domain, server in ways.items():
        world.is_taken(server, tokens[domain])
    for domain in tokens.keys() - ways.keys():
        world.is_bounced(world.c, "bob", tokens[domain])


# what a message may look like

BODIES = {
    "dots": b".\n..\n.x\n\n.\n" * 3 + b"end\n",
    "eight bits": bytes(range(128, 256)) + b"\n" + "größe\n".encode(),
    "long lines": b"x" * 900 + b"\n" + b"y" * 989 + b"\n",
    "large": b"a line of a large message\n" * 40_000,
    "bare CR": b"one\rtwo\r.\rthree\n",
}


@pytest.mark.parametrize("body", BODIES)
def test_a_message_arrives_as_it_was_sent(world: World, body: str) -> None:
    token = world.token()
    world.a.send("bob@a.test", ["ann@b.test", "x@taker.test"], message(token, BODIES[body]))
    # RFC 5321 2.3.8: a CR that no LF follows has no place on the wire
    expected = BODIES[body] if body != "bare CR" else b"one\ntwo\n.\nthree\n"

    assert world.arrives(world.b, "ann", token).partition(b"\n\n")[2] == expected
    assert world.is_taken("taker", token).data.partition(b"\r\n\r\n")[2] == expected.replace(b"\n", b"\r\n")


def test_a_message_without_a_last_newline_is_sent(world: World) -> None:
    token = world.token()
    world.a.send("bob@a.test", ["ann@c.test", "ann@b.test"], message(token, b"not ended"))

    assert world.arrives(world.c, "ann", token).endswith(b"\n\nnot ended\n")
    assert world.arrives(world.b, "ann", token).endswith(b"\n\nnot ended\n")


def test_one_message_to_many_everywhere(world: World) -> None:
    token = world.token()
    world.a.send("bob@a.test", [f"{user}@{host}.test" for host in "abc" for user in ("bob", "ann")] + ["nobody@b.test"],
                 message(token))
    for host in world.hosts.values():
        for user in ("bob", "ann"):
            world.arrives(host, user, token)
    bounce = world.is_bounced(world.a, "bob", token)

    assert re.findall(rb"\n<([^>\n]*)>:\n", bounce) == [b"nobody@b.test"]


# servers that do not want it now, or not at all

def test_a_greylisted_message_is_tried_again_and_comes_once(world: World) -> None:
    token, log = world.token(), Log(world.a)
    world.a.send("bob@a.test", ["x@greylist.test", "y@greylist.test"], message(token))
    log.wait_for(r"deferral: [^\n]*192\.0\.2\.21[^\n]*451_4\.7\.1_greylisted,_come_again", 2)

    assert world.servers["greylist"].seen(token) == []

    world.a.retry()
    module.wait_until(lambda: len(world.servers["greylist"].taken(token)) == 2, "both letters")
    world.settle()

    assert sorted(each.recipients for each in world.servers["greylist"].taken(token)) == [["x@greylist.test"], ["y@greylist.test"]]
    assert world.bounces(world.a, "bob", token) == []


def test_who_is_refused_is_named_in_the_bounce_and_the_others_get_it(world: World) -> None:
    token = world.token()
    world.a.send("bob@a.test", ["good@refuse.test", "nobody@refuse.test"], message(token))
    bounce = world.is_bounced(world.a, "bob", token)

    assert re.findall(rb"\n<([^>\n]*)>:\n", bounce) == [b"nobody@refuse.test"]
    assert b"192.0.2.22 does not like recipient.\nRemote host said: 550 5.1.1 nobody of that name here\n" in bounce
    assert world.is_taken("refuse", token).recipients == ["good@refuse.test"]


@pytest.mark.parametrize("name", ["full", "busy"])
def test_a_host_that_greets_with_a_refusal_is_passed_over(world: World, name: str) -> None:
    token = world.token()
    before = len(world.servers[name].sessions)
    world.a.send("bob@a.test", [f"x@{name}.test"], message(token))

    assert world.is_taken("taker", token).recipients == [f"x@{name}.test"]
    assert len(world.servers[name].sessions) == before + 1


@pytest.mark.parametrize(("domain", "greeting"), [("allfull", "554_5.3.2_no_room"), ("allbusy", "421_4.3.2_too_many")])
def test_when_all_greet_with_a_refusal_the_mail_waits(world: World, domain: str, greeting: str) -> None:
    token, log = world.token(), Log(world.a)
    world.a.send("bob@a.test", [f"x@{domain}.test"], message(token))
    log.wait_for(rf"deferral: [^\n]*{greeting}")

    assert world.bounces(world.a, "bob", token) == []


def test_a_host_that_dies_after_the_final_dot_gets_it_again(world: World) -> None:
    token, log = world.token(), Log(world.a)
    world.a.send("bob@a.test", ["x@dies.test"], message(token))
    for times in (1, 2):
        log.wait_for(r"deferral: [^\n]*connection_died\._Possible_duplicate!", times)

        assert len(world.servers["dies"].seen(token)) == times

        world.a.retry()
    world.is_taken("dies", token)

    assert len(world.servers["dies"].seen(token)) == 3


# connections that are kept for the next message

def test_the_next_message_to_a_host_uses_the_same_connection(world: World) -> None:
    tokens = [world.token() for _ in range(5)]
    before = len(world.servers["taker"].sessions)
    for token in tokens:
        world.a.send("bob@a.test", ["x@taker.test"], message(token))
        world.is_taken("taker", token)
    used = world.servers["taker"].sessions[before:]

    assert len(used) < len(tokens)


def test_who_has_enough_after_one_message_is_called_again_at_once(world: World) -> None:
    tokens, log = [world.token() for _ in range(5)], Log(world.a)
    for token in tokens:
        world.a.send("bob@a.test", ["x@oneeach.test"], message(token))
        world.is_taken("oneeach", token)

    assert "deferral" not in log.text()


def test_a_host_that_was_started_anew_meanwhile_is_called_again_at_once(world: World) -> None:
    log = Log(world.a)
    for _ in range(3):
        token = world.token()
        world.place("closed", "192.0.2.30", oddservers.Server)
        world.a.send("bob@a.test", ["x@[192.0.2.30]"], message(token))
        world.is_taken("closed", token)
        world.servers.pop("closed").close()

    assert "deferral" not in log.text()


# TLS

def test_tls_is_used_where_it_is_offered(world: World) -> None:
    token = world.token()
    world.a.send("bob@a.test", ["x@tls.test", "bob@c.test"], message(token))

    assert world.is_taken("tls", token).tls
    assert b"using TLSv1.3 with cipher" in world.arrives(world.c, "bob", token)


@pytest.mark.parametrize("name", ["garbage", "liar"])
def test_a_host_that_lies_about_starttls_gets_it_in_clear(world: World, name: str) -> None:
    token = world.token()
    world.a.send("bob@a.test", [f"x@{name}.test"], message(token))

    assert not world.is_taken(name, token).tls


@pytest.fixture
def proof(world: World) -> "typing.Iterator[World]":
    """Hosts that must prove their names to a.test, by certificates of the test's authority."""
    world.a.control("tlscafile", f"{world.authority.ca}\n")
    world.a.control("tlshosts", "tls.test\nimpostor.test\nstranger.test\ntaker.test\n")
    yield world
    world.a.control("tlshosts", "")


def test_a_host_that_proves_its_name_gets_it(proof: World) -> None:
    token = proof.token()
    proof.a.send("bob@a.test", ["x@tls.test"], message(token))

    assert proof.is_taken("tls", token).tls


@pytest.mark.parametrize("name", ["impostor", "stranger", "taker"])
def test_a_host_that_cannot_prove_its_name_gets_it_only_when_it_need_not(proof: World, name: str) -> None:
    token, log = proof.token(), Log(proof.a)
    proof.a.send("bob@a.test", [f"x@{name}.test"], message(token))
    log.wait_for(r"deferral: [^\n]*\(#4\.7\.[05]\)/\n")

    assert proof.servers[name].seen(token) == []

    proof.a.control("tlshosts", "")
    proof.a.retry()

    assert proof.is_taken(name, token).recipients == [f"x@{name}.test"]


# ways to a host

@pytest.mark.parametrize("domain", ["two", "hole", "dual", "implicit", "cname", "mxcname"])
def test_a_host_is_found_past_what_is_down(world: World, domain: str) -> None:
    token = world.token()
    world.a.send("bob@a.test", [f"x@{domain}.test"], message(token))
    letter = world.is_taken("taker", token)

    assert letter.recipients == [f"x@{domain}.test"]
    assert letter.sender == "bob@a.test"


def test_a_host_with_an_ipv6_address_only(world: World) -> None:
    token = world.token()
    world.a.send("bob@a.test", ["x@six.test"], message(token))

    assert world.is_taken("six", token).client == "2001:db8::10"


@pytest.mark.parametrize("literal", ["[192.0.2.20]", "[IPv6:2001:db8::26]"])
def test_an_address_literal(world: World, literal: str) -> None:
    token = world.token()
    world.a.send("bob@a.test", [f"x@{literal}"], message(token))

    assert world.is_taken("six" if "v6" in literal else "taker", token).recipients == [f"x@{literal}"]


@pytest.mark.parametrize(("recipient", "reason"), [
    ("x@nowhere.test", b"#5.1.2"), ("x@nullmx.test", b"#5.1.10"), ("x@nothing.test", b"#5.4.4"), ("x@loop.test", b"#5.4.6"),
])
def test_where_no_mail_can_go_it_comes_back_at_once(world: World, recipient: str, reason: bytes) -> None:
    token = world.token()
    world.a.send("bob@a.test", [recipient], message(token))
    bounce = world.is_bounced(world.a, "bob", token)
    told = bounce[bounce.index(b"\n<%s>:\n" % recipient.encode()):].partition(b"\n\n")[0]

    assert reason in told


def test_the_backup_mx_does_not_go_behind_itself(world: World) -> None:
    # mail.a.test is 20 of 10, 20 and 30: only 10 may have it, and 10 is down
    token, log = world.token(), Log(world.a)
    world.a.send("bob@a.test", ["x@backup.test"], message(token))
    log.wait_for(r"deferral: [^\n]*#4\.4\.1")

    assert world.servers["taker"].seen(token) == []

    # a day later it is up
    world.place("closed", "192.0.2.30", oddservers.Server)
    world.a.retry()

    assert world.is_taken("closed", token).recipients == ["x@backup.test"]
    world.servers.pop("closed").close()


def test_somebody_else_s_mail_is_not_taken_by_the_mx_that_does_not_know_it(world: World) -> None:
    token = world.token()
    world.b.send("bob@b.test", ["x@loop.test"], message(token))

    assert b"192.0.2.10 does not like recipient." in world.is_bounced(world.b, "bob", token)


def test_trouble_with_dns_defers(world: World) -> None:
    token, log = world.token(), Log(world.a)
    world.a.send("bob@a.test", ["x@servfail.test"], message(token))
    log.wait_for(r"deferral: [^\n]*#4\.1\.2")
    world.net.mend_dns("servfail.test", "mail IN A 192.0.2.20\n@ IN MX 10 mail\n")
    world.a.retry()

    assert world.is_taken("taker", token).recipients == ["x@servfail.test"]


def test_mail_for_a_host_that_is_down_waits_for_it(world: World) -> None:
    token, log = world.token(), Log(world.a)
    world.a.send("bob@a.test", ["x@late.test"], message(token))
    log.wait_for(r"deferral: [^\n]*#4\.4\.1")
    world.a.retry()
    log.wait_for(r"deferral: [^\n]*#4\.4\.1", 2)
    world.place("late", "192.0.2.31", oddservers.Server)
    world.a.retry()

    assert world.is_taken("late", token).recipients == ["x@late.test"]
    assert world.bounces(world.a, "bob", token) == []


# what a postmaster may set

@pytest.mark.parametrize("relay", ["192.0.2.32", "[2001:db8::32]", "mail.relay.test"])
def test_a_route_with_a_port(world: World, relay: str) -> None:
    servers = [world.place(f"relay{address}", address, oddservers.Server, port=2525) for address in ("192.0.2.32", "2001:db8::32")]
    world.a.control("smtproutes", f"routed.test:{relay}:2525\n")
    token = world.token()
    world.a.send("bob@a.test", ["x@routed.test"], message(token))
    module.wait_until(lambda: any(each.taken(token) for each in servers), f"mail {token} at the relay")
    world.settle()
    taken = [each.recipients for server in servers for each in server.taken(token)]
    world.a.control("smtproutes", "")
    for each in ("relay192.0.2.32", "relay2001:db8::32"):
        world.servers.pop(each).close()

    assert taken == [["x@routed.test"]]


def test_each_sender_s_domain_has_its_own_address(world: World) -> None:
    world.a.control("outgoingip", "a.test:192.0.2.110\n")
    tokens = world.token(), world.token()
    world.a.send("bob@a.test", ["x@taker.test"], message(tokens[0]))
    world.a.send("bob@other.test", ["x@taker.test"], message(tokens[1]))
    clients = [world.is_taken("taker", token).client for token in tokens]
    world.a.control("outgoingip", "")

    assert clients == ["192.0.2.110", "192.0.2.10"]


@pytest.mark.parametrize(("port", "at_once"), [(587, False), (465, True)])
def test_a_smart_host_that_wants_a_password(world: World, port: int, at_once: bool) -> None:
    relay = world.place("relay", "192.0.2.32", lambda listener, name: oddservers.Submission(
        listener, name, world.authority.certify("mail.relay.test"), "ann", "se cret", at_once=at_once), port=port)
    world.a.control("authsenders", f"ann@a.test:mail.relay.test:{port}|ann|se cret\n")
    (world.a.home / "control/authsenders").chmod(0o640)
    shutil.chown(world.a.home / "control/authsenders", group="qmail")
    tokens = world.token(), world.token()
    world.a.send("ann@a.test", ["x@taker.test"], message(tokens[0], sender="ann@a.test"))
    world.a.send("bob@a.test", ["x@taker.test"], message(tokens[1]))
    through_the_relay, directly = world.is_taken("relay", tokens[0]), world.is_taken("taker", tokens[1])
    world.a.control("authsenders", "")
    world.servers.pop("relay").close()

    assert through_the_relay.tls
    assert relay.logins == 1
    assert directly.sender == "bob@a.test"
    assert "se_cret" not in world.a.log()
    assert "se cret" not in world.a.log()


# bounces that come from elsewhere, and bounces of bounces

def test_a_bounce_of_another_host_comes_home(world: World) -> None:
    token = world.token()
    world.a.send("bob@a.test", ["broken@c.test"], message(token))

    assert b"this mailbox is broken" in world.is_bounced(world.a, "bob", token)


def test_our_bounce_goes_home_to_another_host(world: World) -> None:
    token = world.token()
    world.a.dotqmail("a.test", "fragile", "|exit 100\n")
    world.c.send("bob@c.test", ["fragile@a.test"], message(token))
    bounce = world.is_bounced(world.c, "bob", token)

    assert b"\n<fragile@a.test>:\n" in bounce


def test_the_bounce_of_a_bounce_goes_to_the_postmaster_and_no_further(world: World) -> None:
    token = world.token()
    world.a.send("nobody@c.test", ["nobody@b.test"], message(token))
    mailbox = world.a.home / "alias/Mailbox"
    module.wait_until(lambda: mailbox.exists() and token.encode() in mailbox.read_bytes(), "the double bounce")
    world.settle()

    assert mailbox.read_bytes().count(b"Subject: " + token.encode()) == 1
    assert b"\n<nobody@c.test>:\n" in mailbox.read_bytes()


# many, and power cuts

def copies(world: World, host: "typing.Any", user: str, tokens: "list[str]") -> "collections.Counter[str]":
    """How often each of these messages is there."""
    found: collections.Counter[str] = collections.Counter()
    for path in host.mail(user):
        subject = re.search(rb"\nSubject: (token\d+x)\n", path.read_bytes().partition(b"\n\n")[0] + b"\n")
        if subject and subject[1].decode() in tokens:
            found[subject[1].decode()] += 1
    return found


def test_a_hundred_messages_while_the_door_is_broken_and_mended(world: World) -> None:
    log = Log(world.a)
    tokens = [world.token() for _ in range(100)]
    for number, token in enumerate(tokens):
        world.a.send("bob@a.test", [f"bob@{'bc'[number % 2]}.test"], message(token, b"line\n" * 500))
        if number == 50:
            module.wait_until(lambda: len(copies(world, world.b, "bob", tokens)) >= 5, "a few of them")
            world.b.kill("smtp0")
            world.b.kill("smtp::")
    log.wait_for("deferral:")
    world.b.open_door(warm=True)
    world.b.open_door(warm=True, address="::")

    def all_gone() -> bool:
        world.a.retry()
        return world.a.queue_is_empty()

    module.wait_until(all_gone, "an empty queue")
    world.settle()
    there, here = copies(world, world.b, "bob", tokens[::2]), copies(world, world.c, "bob", tokens[1::2])
    extra = sum(there.values()) - 50

    assert (len(there), len(here)) == (50, 50), "nothing is lost"
    assert set(here.values()) == {1}
    # the protocol knows no better: who died after the dot may have taken it
    assert extra <= log.text().count("Possible_duplicate")


def test_a_hundred_messages_and_kill_9_of_the_sender(world: World) -> None:
    tokens = [world.token() for _ in range(100)]
    world.a.stop("send")
    for token in tokens:
        world.a.send("bob@a.test", ["ann@c.test"], message(token))
    numbers = {each.name: re.search(rb"token\d+x", each.read_bytes())[0].decode()
               for each in (world.a.home / "queue/mess").glob("*/*")}
    log = Log(world.a)
    world.a.start_send()
    module.wait_until(lambda: len(copies(world, world.c, "ann", tokens)) >= 20, "a few of them")
    world.a.kill("send")
    ended = {numbers[each] for each in re.findall(r"\nend msg (\d+)\n", log.text())}
    world.a.start_send()
    module.wait_until(lambda: len(copies(world, world.c, "ann", tokens)) == 100, "all of them")
    module.wait_until(world.a.nothing_waits, "the end of it")
    module.wait_until(world.c.queue_is_empty, "an empty queue")
    twice = {token for token, count in copies(world, world.c, "ann", tokens).items() if count > 1}

    assert len(numbers) == 100
    # only what was under way may come again: nobody could write down in time that it was gone
    assert twice & ended == set()


# the internet itself

KILLED = """
import os, pathlib, signal, subprocess, sys
sys.path[:0] = sys.argv[1:3]
import internet
host = internet.Namespace("host.test", pathlib.Path("/etc/hosts"))
stays = subprocess.Popen([*host.enter, "sh", "-c", "echo inside; exec setsid sleep 1000"], stdout=subprocess.PIPE)
stays.stdout.readline()
print(host.pid, stays.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_leaves_nothing_behind() -> None:
    tests = pathlib.Path(internet.__file__).parent
    mark = f"VQ_MARK={os.urandom(9).hex()}"     # the number of a namespace may be another one's as soon as this one is gone
    done = subprocess.run([sys.executable, "-c", KILLED, str(tests), str(tests.parent)], check=False, capture_output=True,
                          text=True, timeout=60, env=os.environ | dict([mark.split("=")]))

    def left() -> "list[str]":
        found = []
        for each in pathlib.Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark.encode() in each.read_bytes():
                    found.append(each.parent.name)
            except OSError:                     # it has ended meanwhile
                pass
        return found

    assert len(done.stdout.split()) == 2, done.stderr
    module.wait_until(lambda: left() == [], "the end of all that ran in the namespace")
