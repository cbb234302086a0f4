"""vq-maildirsmtp: mail waits in a maildir until the line is up, and then goes to the provider's host."""

import email
import pathlib
import pwd
import re
import socket
import subprocess
import typing

import oddservers
import pytest
import system as module
from system import wait_until

pytestmark = [pytest.mark.root, pytest.mark.peers]
TEXT = b"From: bob@host.test\nSubject: %s\n\n.dot\nno end \xc3\xa9"


class Provider(oddservers.Server):
    """Refuses some for ever, and some for now."""

    def rcpt(self, session: "oddservers.Session", recipient: str) -> str:
        return {"never": "550 5.1.1 nobody here", "later": "450 4.2.0 not now"}.get(recipient.partition("@")[0], "250 2.1.5 ok")


class Line:
    """An installation of which all mail for elsewhere goes into alias/pppdir, as the HOWTO has it."""

    def __init__(self, system: module.System) -> None:
        self.system = system
        self.alias = pwd.getpwnam("alias")
        self.pppdir = system.home / "alias/pppdir"
        subprocess.run([system.bin("maildirmake"), self.pppdir], check=True, cwd="/", **self.who())
        system.alias("ppp-default", "./pppdir/\n")
        system.alias("bob", "./Maildir/\n")
        subprocess.run([system.bin("maildirmake"), system.home / "alias/Maildir"], check=True, cwd="/", **self.who())
        system.control("virtualdomains", ":alias-ppp\n")
        # what /etc/passwd says of alias belongs to another home here
        (system.home / "users/assign").write_text(
            f"+alias-:alias:{self.alias.pw_uid}:{self.alias.pw_gid}:{system.home}/alias:-::\n.\n")
        assert system.run("vq-newu").returncode == 0
        self.port = module.free_port()
        system.control("smtproutes", f"127.0.0.1:127.0.0.1:{self.port}\n")
        system.start_all()

    def who(self) -> "dict[str, typing.Any]":
        return {"user": self.alias.pw_uid, "group": self.alias.pw_gid, "extra_groups": []}

    def send(self, recipient: str, subject: str, sender: str = "bob@host.test") -> None:
        before = len(self.waiting())
        assert self.system.inject(sender, [recipient], TEXT % subject.encode()) == 0
        wait_until(lambda: len(self.waiting()) > before, "a message in pppdir")

    def waiting(self) -> "list[pathlib.Path]":
        return sorted(each for folder in ("new", "cur") for each in (self.pppdir / folder).iterdir())

    def up(self, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        """What /etc/ppp/ip-up runs."""
        return subprocess.run([self.system.bin("vq-maildirsmtp"), "pppdir", *(
            arguments or ("alias-ppp-", "127.0.0.1", "dial.host.test"))], cwd=self.system.home / "alias", env=self.system.env(),
            capture_output=True, check=False, timeout=60, **self.who())

    def provider(self) -> Provider:
        return Provider(socket.create_server(("127.0.0.1", self.port)), "provider.test")


@pytest.fixture
def line(system: module.System) -> Line:
    return Line(system)


def test_while_the_line_is_down_mail_stays(line: Line) -> None:
    line.send("ann@far.test", "waits")
    done = line.up()

    assert done.returncode == 111
    assert b"for <ann@far.test>: Z" in done.stderr
    assert len(line.waiting()) == 1


def test_when_it_is_up_each_goes_to_whom_it_was_for(line: Line) -> None:
    line.send("ann@far.test", "one")
    line.send("Carl.B@other.test", "two", "bob+x@host.test")
    line.send("dora@far.test", "three", "")
    provider = line.provider()
    try:
        done = line.up()
        assert (done.returncode, line.waiting()) == (0, [])
        assert {(each.sender, *each.recipients) for each in provider.letters} == {
            ("bob@host.test", "ann@far.test"), ("bob+x@host.test", "Carl.B@other.test"), ("", "dora@far.test")}
        assert len(provider.sessions) == 1
        assert any("dial.host.test" in each for each in provider.sessions[0])
        for letter in provider.letters:
            assert not re.search(rb"^(Return-Path|Delivered-To):", letter.data, re.MULTILINE)
            assert letter.data.startswith(b"Received: (qmail ")
            assert letter.data.replace(b"\r\n", b"\n").endswith(b"\n\n.dot\nno end \xc3\xa9\n")
        assert line.up().returncode == 0
        assert len(provider.letters) == 3
    finally:
        provider.close()


def test_what_is_refused_for_now_stays_and_for_ever_goes_back(line: Line) -> None:
    for recipient in ("never@far.test", "later@far.test", "ann@far.test"):
        line.send(recipient, f"for {recipient}")
    provider = line.provider()
    try:
        assert line.up().returncode == 111
        assert [each.recipients for each in provider.letters] == [["ann@far.test"]]
    finally:
        provider.close()
    stays, = line.waiting()
    assert b"\nDelivered-To: alias-ppp-later@far.test\n" in stays.read_bytes()
    mailbox = line.system.home / "alias/Maildir/new"
    wait_until(lambda: list(mailbox.iterdir()), "a bounce")
    path, = mailbox.iterdir()
    bounce = email.message_from_bytes(path.read_bytes())
    people, status, original = bounce.get_payload()

    assert bounce["Return-Path"] == "<>"
    assert "<never@far.test>:\n" in people.get_payload(decode=True).decode()
    assert "550 5.1.1 nobody here" in people.get_payload(decode=True).decode()
    assert status.get_payload()[1]["Final-Recipient"] == "rfc822; never@far.test"
    assert original.get_payload()[0]["Subject"] == "for never@far.test"


def test_what_is_not_for_there_stays_and_is_named(line: Line) -> None:
    line.send("ann@far.test", "x")
    provider = line.provider()
    try:
        done = line.up("alias-uucp-", "127.0.0.1", "dial.host.test")
        assert (done.returncode, len(line.waiting()), provider.letters) == (111, 1, [])
        assert b"stays: alias-ppp-ann@far.test does not begin with alias-uucp-" in done.stderr
        (line.pppdir / "new/1.x").write_bytes(b"Subject: not delivered by anybody\n\n")
        assert b"1.x stays: it does not begin with Return-Path and Delivered-To" in line.up().stderr
        assert (line.pppdir / "cur").is_dir()
        assert len(line.waiting()) == 1
        assert len(provider.letters) == 1
    finally:
        provider.close()


def test_a_bounce_that_cannot_be_queued_keeps_its_message(line: Line) -> None:
    line.send("never@far.test", "x")
    line.system.stop("queue")
    provider = line.provider()
    try:
        assert line.up().returncode == 111
        assert len(line.waiting()) == 1
        line.system.start_queue()
        assert line.up().returncode == 0
        assert line.waiting() == []
    finally:
        provider.close()


@pytest.mark.parametrize("arguments", [(), ("alias-ppp-",), ("alias-ppp-", "127.0.0.1"), ("a", "b", "c", "d")])
def test_wrong_usage(line: Line, arguments: "tuple[str, ...]") -> None:
    done = line.system.run("vq-maildirsmtp", "pppdir", *arguments)

    assert (done.returncode, done.stderr) == (100, b"vq-maildirsmtp: usage: vq-maildirsmtp maildir prefix host helo\n")


def test_a_second_one_leaves_it_to_the_first(line: Line) -> None:
    line.send("ann@far.test", "x")
    holder = subprocess.Popen(["flock", line.pppdir / "seriallock", "sh", "-c", "echo held; read x"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, **line.who())
    try:
        assert holder.stdout.readline() == b"held\n"
        assert line.up().returncode == 0
        assert len(line.waiting()) == 1
    finally:
        holder.communicate(b"\n", timeout=60)
