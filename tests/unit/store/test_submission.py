"""As whom a login may send, how much, and what is completed for him."""

import os
import pathlib
import re

import host_world
import pytest

from vqmail import codes
from vqmail.formats import objection
from vqmail.store import resolver, sendcount, submission, virtual, virtualcompile

BOB = b"bob@a.test"


class World(host_world.World):
    """a.test with bob and ann, and some dot-qmail files of its owner; other.test is another name of it.
    c.test has bob, too, and a catch-all."""

    def __init__(self, path: pathlib.Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(path, patch, owners="ac", virtual="ac")
        (path / "run/smtpd").mkdir(parents=True)
        patch.setattr(sendcount, "PATH", bytes(path / "run/smtpd/sent"))
        self.write("control/virtualdomains", "a.test:a\nother.test:a\nc.test:c\n")
        (path / "virtual/other.test").symlink_to("a.test")
        for name, text in {
                "default": "| virtmailfilter\n", "info": "&bob@a.test\n", "far": "&info@other.test\n",
                "dotted:name": "bob@a.test\n", "ext": "&bob-x@a.test\n", "sales": "&bob@a.test\n&ann@a.test\n",
                "away": "&bob@else.test\n", "program": "|true\n", "nobody": "#\n", "loop": "&loop@a.test\n",
                "any-default": "&bob@a.test\n", "bob-taken": "&ann@a.test\n", "broken": "\n&bob@a.test\n"}.items():
            self.write(f"a/.qmail-{name}", text)
        self.write("c/.qmail-default", "| virtmailfilter\n")
        for name in ("a", "c"):
            self.write(f"virtual/{name}.test/etc/passwd",
                       "bob:x:1001:1001::/home/bob:\nann:x:1002:1002::/home/ann:\n")
        self.write("virtual/c.test/etc/options", "@:catchall=bob:extensions=+\n")


@pytest.fixture
def world(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


@pytest.mark.parametrize(("login", "sender", "may"), [
    # himself
    (BOB, b"bob@a.test", True),
    (BOB, b"Bob@A.Test", True),
    (b"Bob@A.test", b"bob@a.test", True),
    (BOB, b"bob", True),                        # completed with his domain
    (BOB, b"", True),                           # receipts
    (BOB, b"ann@a.test", False),
    (BOB, b"ann", False),
    (BOB, b"bob@else.test", False),
    (BOB, b"bob@host.test", False),
    (BOB, b"bob@c.test", False),
    # extensions
    (BOB, b"bob-lists@a.test", True),
    (BOB, b"bob+x-y@a.test", True),
    (BOB, b"bob_x@a.test", False),
    (BOB, b"bob-taken@a.test", False),
    (b"bob@c.test", b"bob+x@c.test", True),
    (b"bob@c.test", b"bob-x@c.test", False),    # of that domain a - is none
    # other names of his domain
    (BOB, b"bob@other.test", True),
    (BOB, b"bob-x@other.test", True),
    (BOB, b"info@other.test", True),
    (b"bob@other.test", b"bob@a.test", True),
    (b"bob@other.test", b"info@a.test", True),
    # aliases
    (BOB, b"info@a.test", True),
    (BOB, b"INFO@a.test", True),
    (BOB, b"far@a.test", True),
    (BOB, b"dotted.name@a.test", True),
    (BOB, b"ext@a.test", True),
    (b"ann@a.test", b"info@a.test", False),
    (BOB, b"sales@a.test", False),              # it is ann's, too
    (BOB, b"away@a.test", False),
    (BOB, b"program@a.test", False),
    (BOB, b"nobody@a.test", False),
    (BOB, b"loop@a.test", False),
    (BOB, b"any-thing@a.test", False),
    (BOB, b"broken@a.test", False),
    # a catch-all brings mail, but no addresses
    (b"bob@c.test", b"boss@c.test", False),
    (b"bob@c.test", b"bob@c.test", True),
    # a user of the host
    (b"joe@host.test", b"joe@host.test", True),
    (b"joe", b"joe", True),
    (b"joe", b"joe@host.test", True),
    (b"joe", b"joe@a.test", False),
    (b"joe", b"postmaster@host.test", False),
    (BOB, b"joe@host.test", False),
    # whom only an external program knows
    (b"eve@far.test", b"eve@far.test", True),
    (b"eve@far.test", b"bob@a.test", False),
    (b"eve@far.test", b"eva@far.test", False),
])
def test_as_whom(world: World, login: bytes, sender: bytes, may: bool) -> None:
    shared = resolver.Resolver()
    try:
        for settings in (None, submission.Settings(shared)):
            said = submission.Policy(login, {}, settings).sender(sender)
            assert said == (b"" if may else objection.NOT_YOURS + (
                login if b"@" in login else login + b"@host.test").lower())
    finally:
        shared.close()


def test_a_user_of_the_host_has_his_extensions(world: World) -> None:
    world.write("joe/.qmail-x", "./Mailbox\n")

    assert submission.Policy(b"joe", {}).sender(b"joe-x@host.test") == b""
    assert submission.Policy(b"joe", {}).sender(b"joe-y@host.test") == objection.NOT_YOURS + b"joe@host.test"


@pytest.mark.parametrize("login", [b"bob@a.test\nx", b"bob@../a", b"bob@", b"@a.test", b"@", b"", b"b\0b@a.test", b"\xff@a.test"])
def test_who_was_let_in_by_an_odd_name_is_nobody_else(world: World, login: bytes) -> None:
    policy = submission.Policy(login, {})

    assert all(policy.sender(each).startswith(objection.NOT_YOURS) for each in (BOB, b"ann@a.test", b"joe@host.test"))
    assert policy.client({}, b"")[0][b"TCPREMOTEINFO"] == policy.login


def test_what_is_listed(world: World) -> None:
    world.write("control/senders", "# a comment\nbob@a.test:Sales@a.test\nbob@a.test:@else.test\n@other.test:ann@a.test\n")

    may = [submission.Policy(login, {}).sender(sender) == b"" for login, sender in (
        (BOB, b"sales@a.test"), (BOB, b"x@else.test"), (BOB, b"ann@a.test"), (b"bob@other.test", b"ann@a.test"),
        (b"bob@other.test", b"sales@a.test"), (b"ann@a.test", b"sales@a.test"))]

    assert may == [True, True, False, True, True, False]


def test_strict_choices(world: World) -> None:
    strict = submission.Policy(BOB, {b"FORCEAUTHMAILFROM": b""})
    world.write("control/senders", "bob@a.test:*\n")

    assert strict.sender(b"bob@a.test") == b""
    assert strict.sender(b"BOB") == b""
    assert strict.sender(b"bob-x@a.test") == objection.FORCED_SENDER + BOB
    assert strict.sender(b"") == objection.NULL_SENDER + BOB
    assert submission.Policy(BOB, {b"REJECTNULLSENDERS": b"1"}).sender(b"") == objection.NULL_SENDER + BOB
    assert submission.Policy(BOB, {b"REJECTNULLSENDERS": b"1"}).sender(b"bob-x@a.test") == b""


@pytest.mark.parametrize(("options", "login", "suspended"), [
    ("bob:suspended=send\n", BOB, True),
    ("bob:suspended=login,receive\n", BOB, False),
    ("ann:suspended=send\n", BOB, False),
    ("*:suspended=send\n", BOB, True),
    ("@:suspended=send\n", BOB, True),
    ("@:suspended=send\n", b"bob@other.test", True),
    ("@:suspended=send\n", b"gone@a.test", True),
    ("bob:suspended=send\n", b"bob@c.test", False),
])
def test_suspended(world: World, options: str, login: bytes, suspended: bool) -> None:
    world.write("virtual/a.test/etc/options", options)

    assert submission.Policy(login, {}).sender(login) == (objection.SENDING_SUSPENDED + login if suspended else b"")


def test_who_was_suspended_after_his_login_may_not_send_either(world: World) -> None:
    policy = submission.Policy(BOB, {})
    assert policy.sender(BOB) == b""

    world.write("virtual/a.test/etc/options", "bob:suspended=send\n")

    assert policy.sender(b"") == objection.SENDING_SUSPENDED + BOB


@pytest.mark.parametrize("suspended", [True, False])
def test_while_a_change_is_not_compiled_yet_what_was_compiled_before_counts(
        world: World, monkeypatch: pytest.MonkeyPatch, suspended: bool) -> None:
    world.write("virtual/a.test/etc/options", "bob:suspended=send\n" if suspended else "#\n")
    virtualcompile.compile_domain(b"a.test")
    world.write("virtual/a.test/etc/passwd", "bob:y:1001:1001::/home/bob:\n")

    def hidden(*_: object) -> None:             # as for qmaild
        raise virtual.Stale("passwd changed")
    monkeypatch.setattr(virtual, "_in_text", hidden)
    monkeypatch.setattr(virtual.Table, "_texts", hidden)

    said = [submission.Policy(BOB, {}).sender(each) for each in (BOB, b"bob-x@a.test", b"ann@a.test")]

    assert said == ([objection.SENDING_SUSPENDED + BOB] * 3 if suspended else [b"", b"", objection.NOT_YOURS + BOB])


def test_limits(world: World) -> None:
    world.write("control/submissionlimits", "0 3\nc.test:1 0\nann@a.test:0 0\n")
    bob, ann, other = (submission.Policy(each, {}) for each in (BOB, b"ann@a.test", b"bob@c.test"))

    assert [bob.room(2), bob.room(2), bob.room(1), bob.room(1)] == [
        b"", b"too-many 3 recipients for bob@a.test", b"", b"too-many 3 recipients for bob@a.test"]
    assert bob.sender(BOB) == b"too-many 3 recipients for bob@a.test"
    assert ann.room(1000) == b""
    assert [other.sender(b"bob@c.test"), other.room(1000), other.room(1), other.sender(b"bob@c.test")] == [
        b"", b"", b"too-many 1 messages for bob@c.test", b"too-many 1 messages for bob@c.test"]


def test_another_name_of_the_domain_is_no_way_around_the_limit(world: World) -> None:
    world.write("control/submissionlimits", "1 0\n")

    assert submission.Policy(BOB, {}).room(1) == b""
    assert submission.Policy(b"bob@other.test", {}).room(1) == b"too-many 1 messages for bob@other.test"


@pytest.mark.parametrize(("name", "text", "words"), [
    ("senders", "bob@a.test\n", "control/senders: bob@a.test: write login:sender"),
    ("submissionlimits", "many\n", "control/submissionlimits: many: write messages and recipients"),
])
def test_a_file_that_makes_no_sense_is_trouble(world: World, name: str, text: str, words: str) -> None:
    world.write("control/" + name, text)

    with pytest.raises(codes.TryLater, match=words):
        submission.Policy(BOB, {})


@pytest.mark.parametrize(("login", "address", "expected"), [
    (BOB, b"alice", b"alice@a.test"),
    (b"BOB@A.test", b"Alice", b"Alice@a.test"),
    (BOB, b"alice@c.test", b"alice@c.test"),
    (BOB, b"", b""),
    (b"joe", b"alice", b"alice@host.test"),
    (b"odd@name@a.test", b"alice", b"alice@a.test"),
    (b"bob@a.test\nx", b"alice", b"alice@host.test"),
    (b"bob@../a", b"alice", b"alice@host.test"),
    (b"bob@", b"alice", b"alice@host.test"),
])
def test_bare_names_are_of_the_logins_domain(world: World, login: bytes, address: bytes, expected: bytes) -> None:
    assert submission.Policy(login, {}).complete(address) == expected
    assert submission.Policy(login, {}).recipient(address) == expected


def test_a_header_is_completed_in_the_name_of_the_domain(world: World) -> None:
    policy = submission.Policy(BOB, {})
    said = []
    for _ in range(2):
        each = policy.header()
        said.append(each.feed(b"Subject: x\n\nbody\n") + each.end())

    found = re.fullmatch(
        rb"Subject: x\nDate: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000\n"
        rb"Message-ID: <\d{14}\.\d+\.[0-9a-f]{12}@a\.test>\n\nbody\n", said[0])

    assert found
    assert said[0].partition(b"Message-ID")[2] != said[1].partition(b"Message-ID")[2]


def test_where_he_is_is_hidden_by_choice(world: World) -> None:
    env = {b"TCPREMOTEIP": b"192.0.2.1", b"TCPREMOTEHOST": b"home.test", b"X": b"y"}
    open_, login = submission.Policy(BOB, {}), {b"TCPREMOTEINFO": BOB}
    assert (open_.hides_address, open_.client(env, b"laptop")) == (False, ({**env, **login}, b"laptop"))

    world.write("control/hideclient", "1\n")
    hidden = submission.Policy(BOB, {})

    assert (hidden.hides_address, hidden.client(env, b"laptop")) == (True, (
        {b"TCPREMOTEIP": b"a.test", b"TCPREMOTEHOST": b"a.test", b"TCPREMOTEINFO": b"bob", b"X": b"y"}, b""))


def test_no_descriptor_stays_open(world: World) -> None:
    world.write("control/submissionlimits", "1 0\n")
    before = os.listdir("/proc/self/fd")
    policy = submission.Policy(BOB, {})
    for sender in (BOB, b"ann@a.test", b"info@a.test"):
        policy.sender(sender)
    policy.room(1)
    policy.room(1)

    assert len(os.listdir("/proc/self/fd")) == len(before)
