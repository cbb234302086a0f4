"""vq-autorespond by itself, cold: its arguments, what it remembers, and what it does when something is in the way."""

import os
import pathlib
import subprocess

import pytest
import support

MESSAGE = b"To: bob@d.test\nMessage-ID: <1@x.test>\n\nare you there?\n"
QUEUE = """\
#!/bin/sh
cd {scratch} || exit 81
cat >message
cat <&1 >envelope
exit ${{QUEUE_EXIT-0}}
"""


class Desk:
    """A directory with a message file, and a queue that keeps what it is given."""

    def __init__(self, home: support.Home) -> None:
        self.home = home
        home.control("locals", "host.test\n")
        home.control("virtualdomains", "d.test:owner\n")
        self.scratch = home.write("desk/message.txt", "I am away.\n").parent
        home.write("desk/queue", QUEUE.format(scratch=self.scratch), 0o755)

    def run(self, *arguments: str, message: bytes = MESSAGE, **env: str) -> "subprocess.CompletedProcess[bytes]":
        self.home.write("desk/input", message)
        known = {"SENDER": "ann@x.test", "RECIPIENT": "owner-bob@d.test", "QMAILQUEUE": str(self.scratch / "queue")}
        who = {"user": support.SINGLE[0], "group": support.SINGLE[1], "extra_groups": []} if os.geteuid() == 0 else {}
        with (self.scratch / "input").open("rb") as file:
            return subprocess.run([self.home.bin("vq-autorespond"), *arguments], stdin=file, capture_output=True, check=False,
                                  cwd=self.scratch, env={k: v for k, v in (known | env).items() if v != "UNSET"}, timeout=60, **who)

    def queued(self) -> bytes:
        """The envelope that was queued last, b"" if there was none since; and forget it."""
        path = self.scratch / "envelope"
        if not path.exists():
            return b""
        found = path.read_bytes()
        path.unlink()
        return found


@pytest.fixture
def desk(home: support.Home) -> Desk:
    return Desk(home)


def test_the_answer_goes_from_nobody_to_the_sender_and_only_once(desk: Desk) -> None:
    first, second = desk.run("message.txt", "memory"), desk.run("message.txt", "memory")

    assert (first.returncode, second.returncode) == (0, 0)
    assert desk.queued() == b"F\0Tann@x.test\0\0"
    assert b"no answer: its sender has got one" in second.stderr
    text = (desk.scratch / "message").read_bytes()

    assert b"\nFrom: <bob@d.test>\nTo: <ann@x.test>\nSubject: Re: your message\nAuto-Submitted: auto-replied\n" in text
    assert text.endswith(b"\n\nI am away.\n")


def test_a_queue_that_is_not_ready_leaves_no_memory_of_an_answer(desk: Desk) -> None:
    refused = desk.run("message.txt", "memory", QUEUE_EXIT="53")
    desk.queued()
    again = desk.run("message.txt", "memory")

    assert (refused.returncode, again.returncode, desk.queued()) == (111, 0, b"F\0Tann@x.test\0\0")
    assert desk.run("message.txt", "memory", SENDER="carl@x.test", QUEUE_EXIT="31").returncode == 100


@pytest.mark.parametrize("change", ["message", "memory"])
def test_what_is_missing_is_trouble_for_later_and_says_which(desk: Desk, change: str) -> None:
    arguments = {"message": ("none.txt", "memory"), "memory": ("message.txt", "none/memory")}[change]
    found = desk.run(*arguments)

    assert (found.returncode, desk.queued()) == (111, b"")
    assert b"none" in found.stderr


@pytest.mark.parametrize("arguments", [(), ("message.txt",), ("-t", "x", "message.txt", "m"), ("-x", "1", "message.txt", "m"),
                                       ("-f", "a b@x", "message.txt", "m"), ("-a", "bob", "message.txt", "m"), ("", "m"),
                                       ("1", "2", "message.txt"), ("1", "2", "3", "message.txt", "m", "+", "x"), ("m", "")])
def test_wrong_usage(desk: Desk, arguments: "tuple[str, ...]") -> None:
    found = desk.run(*arguments)

    assert (found.returncode, desk.queued()) == (100, b"")
    assert b"usage: vq-autorespond" in found.stderr


@pytest.mark.parametrize("name", ["SENDER", "RECIPIENT"])
def test_without_its_environment_it_gives_up(desk: Desk, name: str) -> None:
    assert desk.run("message.txt", "memory", **{name: "UNSET"}).returncode == 100


@pytest.mark.parametrize(("arguments", "answered"), [
    (("-n", "2", "message.txt", "m"), 2), (("-t", "0", "message.txt", "m"), 3), (("-n", "0", "message.txt", "m"), 0),
    (("3600", "2", "message.txt", "m"), 2), (("3600", "2", "message.txt", "m", "1", "$"), 2)])
def test_how_often_and_how_long_can_be_said(desk: Desk, arguments: "tuple[str, ...]", answered: int) -> None:
    found = []
    for _ in range(3):
        assert desk.run(*arguments).returncode == 0
        found.append(desk.queued())

    assert found == [b"F\0Tann@x.test\0\0"] * answered + [b""] * (3 - answered)


def test_another_address_may_be_ours_and_the_one_in_from(desk: Desk) -> None:
    message = MESSAGE.replace(b"bob@d.test", b"sales@d.test")
    assert desk.run("message.txt", "m", message=message).returncode == 0
    assert desk.queued() == b""
    assert desk.run("-a", "Sales@d.test", "-f", "team@d.test", "message.txt", "m", message=message).returncode == 0

    assert desk.queued() == b"F\0Tann@x.test\0\0"
    assert b"\nFrom: <team@d.test>\n" in (desk.scratch / "message").read_bytes()


def test_a_header_without_an_end_and_a_body_that_looks_like_one(desk: Desk) -> None:
    for message in (b"To: bob@d.test", b"To: bob@d.test\n\nList-Id: <x>\nPrecedence: bulk\n"):
        assert desk.run("message.txt", "m", "-t", "0") .returncode == 100
        assert desk.run("-t", "0", "message.txt", "m", message=message).returncode == 0
        assert desk.queued() == b"F\0Tann@x.test\0\0"


def test_two_at_once_answer_once(desk: Desk) -> None:
    desk.home.write("desk/input", MESSAGE)
    who = {"user": support.SINGLE[0], "group": support.SINGLE[1], "extra_groups": []} if os.geteuid() == 0 else {}
    env = {"SENDER": "ann@x.test", "RECIPIENT": "owner-bob@d.test", "QMAILQUEUE": str(desk.scratch / "queue")}
    with pathlib.Path(desk.scratch / "input").open("rb") as file:
        both = [subprocess.Popen([desk.home.bin("vq-autorespond"), "message.txt", "memory"], stdin=file, env=env, cwd=desk.scratch,
                                 stderr=subprocess.PIPE, **who) for _ in range(4)]
        said = [each.communicate(timeout=60)[1] for each in both]

    assert sum(b"no answer" in each for each in said) == 3
    assert (desk.scratch / "memory/answered").read_text().split()[1::2] == ["ann@x.test"]
