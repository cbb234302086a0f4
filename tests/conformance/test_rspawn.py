"""vq-rspawn as vq-send speaks to it: messages go out, connections are kept, and one bad host holds up nobody."""

import os
import re
import signal
import socket
import subprocess
import threading
import typing

import oddservers
import pytest
import support
import system

WHO: "dict[str, typing.Any]" = (
    {"user": support.SINGLE[0], "group": support.SINGLE[1], "extra_groups": []} if os.geteuid() == 0 else {})
TEXT = "Received: (qmail 1 invoked by uid 0); 1 Jan 2026 00:00:00 -0000\nSubject: x\n\nhi\n"


class Spawner:
    """A running vq-rspawn, and a message in the queue for it."""

    def __init__(self, home: support.Home, **env: str) -> None:
        self.home = home
        draft = home.write("queue/pid/1", TEXT)
        number = draft.stat().st_ino
        draft.rename(home.path / "queue/mess" / str(number % 23) / str(number))
        self.message = b"%d/%d" % (number % 23, number)
        self.process = subprocess.Popen(
            [home.bin("vq-rspawn")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
            cwd=home.path / "queue/mess", env={"PATH": f"{home.path}/bin:/usr/bin:/bin"} | env, **WHO)

        assert self.process.stdout.read(1) == b"\x78"

    def ask(self, slot: int, recipient: bytes, sender: bytes = b"s@x") -> None:
        self.process.stdin.write(b"%c%s\0%s\0%s\0" % (slot, self.message, sender, recipient))

    def report(self) -> bytes:
        """The next report, without its NUL."""
        said = b""
        while not said.endswith(b"\0") or len(said) < 2:
            byte = self.process.stdout.read(1)
            assert byte, self.process.stderr.read()
            said += byte
        return said[:-1]

    def send(self, slot: int, recipient: bytes) -> bytes:
        self.ask(slot, recipient)
        return self.report()

    def couriers(self) -> "list[int]":
        """The processes that do its work."""
        return system.children(self.process.pid)

    def close(self) -> None:
        self.process.stdin.close()
        for each in (self.process.stdout, self.process.stderr):
            each.read()
            each.close()
        assert self.process.wait(60) == 0


@pytest.fixture
def hosts(home: support.Home) -> "typing.Iterator[dict[str, oddservers.Server]]":
    """A good host and an odd one, to which smtproutes leads."""
    made = {}
    routes = ""
    for name, kind in (("good.test", oddservers.Server), ("silent.test", Silent)):
        listener = socket.create_server(("127.0.0.1", 0))
        routes += f"{name}:127.0.0.1:{listener.getsockname()[1]}\n"
        made[name] = kind(listener, name)
    home.write("control/smtproutes", routes)
    yield made
    for each in made.values():
        each.close()


class Silent(oddservers.Server):
    """Says nothing until it may."""

    def __init__(self, listener: socket.socket, name: str) -> None:
        self.may = threading.Event()
        self.asked = threading.Event()
        super().__init__(listener, name)

    def mail(self, session: oddservers.Session) -> "str | None":
        self.asked.set()
        self.may.wait(60)
        return super().mail(session)


@pytest.fixture
def spawner(home: support.Home, hosts: "dict[str, oddservers.Server]") -> "typing.Iterator[Spawner]":
    it = Spawner(home)
    yield it
    it.close()


def test_a_message_goes_out_and_the_report_says_who_took_it(spawner: Spawner, hosts) -> None:
    assert spawner.send(5, b"joe@good.test") == (
        b"\x05K127.0.0.1 accepted message.\nRemote host said: 250 2.0.0 taken\n")
    letter, = hosts["good.test"].letters
    assert (letter.sender, letter.recipients) == ("s@x", ["joe@good.test"])
    assert letter.data == TEXT.replace("\n", "\r\n").encode()


def test_what_has_no_host_is_refused_at_once(spawner: Spawner) -> None:
    assert spawner.send(6, b"nohost") == b"\x06DSorry, address must include host name. (#5.1.3)\n"
    assert spawner.send(120, b"joe@good.test") == b"\x78ZInternal error: delnum too big. (#4.3.5)\n"


def test_the_next_message_to_a_host_goes_over_the_same_connection(spawner: Spawner, hosts) -> None:
    for slot in range(3):
        assert spawner.send(slot, b"joe@good.test")[:2] == b"%cK" % slot

    assert len(hosts["good.test"].letters) == 3
    assert len(hosts["good.test"].sessions) == 1


def test_a_connection_without_work_is_given_up_politely(spawner: Spawner, hosts) -> None:
    spawner.send(0, b"joe@good.test")

    system.wait_until(lambda: hosts["good.test"].sessions[0][-1:] == ["QUIT"], "QUIT after some seconds without work")
    assert spawner.send(1, b"joe@good.test")[:2] == b"\x01K"
    assert len(hosts["good.test"].sessions) == 2


def test_a_host_that_is_slow_holds_up_no_other(spawner: Spawner, hosts) -> None:
    spawner.ask(0, b"ann@silent.test")
    hosts["silent.test"].asked.wait(60)
    for slot in range(1, 4):
        assert spawner.send(slot, b"joe@good.test")[:2] == b"%cK" % slot
    hosts["silent.test"].may.set()

    assert spawner.report()[:2] == b"\x00K"


def test_a_courier_that_is_killed_defers_its_message_and_no_other(spawner: Spawner, hosts) -> None:
    spawner.ask(0, b"ann@silent.test")
    hosts["silent.test"].asked.wait(60)
    for each in spawner.couriers():
        os.kill(each, signal.SIGKILL)

    assert spawner.report() == b"\x00Zvq-remote crashed. (#4.3.0)\n"
    assert spawner.send(1, b"joe@good.test")[:2] == b"\x01K"
    hosts["silent.test"].may.set()


def test_what_runs_is_finished_when_vq_send_is_gone(home: support.Home, hosts) -> None:
    it = Spawner(home)
    it.ask(0, b"ann@silent.test")
    hosts["silent.test"].asked.wait(60)
    it.process.stdin.close()
    hosts["silent.test"].may.set()

    assert it.report()[:2] == b"\x00K"
    assert it.process.wait(60) == 0
    assert len(hosts["silent.test"].letters) == 1
    it.process.stdout.close()
    it.process.stderr.close()


def test_a_courier_holds_neither_end_of_the_channel_to_vq_send(home: support.Home, hosts) -> None:
    """Or vq-send would not see that vq-rspawn was killed, and a courier that was taken over could forge reports."""
    spawner = Spawner(home)
    spawner.ask(0, b"ann@silent.test")
    hosts["silent.test"].asked.wait(60)
    courier, = spawner.couriers()
    links = [os.readlink(f"/proc/{courier}/fd/{each}") for each in (0, 1)]
    spawner.process.kill()
    said = spawner.process.stdout.read()
    hosts["silent.test"].may.set()
    system.wait_until(lambda: not system.runs(courier), "the end of the courier")
    for each in (spawner.process.stdin, spawner.process.stdout, spawner.process.stderr):
        each.close()
    spawner.process.wait(60)

    assert links == ["/dev/null", "/dev/null"]
    assert said == b""


def test_a_qmailremote_gets_the_message_and_the_report_and_no_other_descriptor(home: support.Home) -> None:
    program = home.write("remote", '#!/usr/bin/python3 -IS\nimport os\nopen_now = os.listdir("/proc/self/fd")\n'
                         'os.write(1, b"r\\0K%s\\0" % " ".join(open_now).encode())\n', 0o755)
    it = Spawner(home, QMAILREMOTE=str(program))
    try:
        text = it.send(9, b"joe@far.test")
    finally:
        it.close()

    assert text == b"\x09K0 1 2 3"              # 3 is the directory that it lists


@pytest.mark.parametrize("argv", [["vq-rspawn"], ["vq-lspawn", "./Mailbox"]])
@pytest.mark.parametrize("limit", range(6, 14))
def test_without_descriptors_deliveries_wait_and_the_spawner_lives(home: support.Home, hosts, argv: "list[str]", limit: int) -> None:
    """If it died vq-send would end with it, and all that runs would be tried again."""
    draft = home.write("queue/pid/1", TEXT)
    number = draft.stat().st_ino
    draft.rename(home.path / "queue/mess" / str(number % 23) / str(number))
    asked = b"".join(b"%c%d/%d\0s@x\0joe@good.test\0" % (slot, number % 23, number) for slot in (1, 2, 3))
    done = subprocess.run(
        ["/bin/sh", "-c", f'ulimit -n {limit} && exec "$@"', "sh", home.bin(argv[0]), *argv[1:]], input=asked,
        capture_output=True, timeout=60, check=False, cwd=home.path / "queue/mess", env={"PATH": f"{home.path}/bin:/usr/bin:/bin"}, **WHO)

    assert (done.returncode, b"internal error" in done.stderr) == (0, False), done.stderr
    assert sorted(re.findall(rb"([\x01-\x03])[ZKD][^\0]*\0", done.stdout)) == [b"\x01", b"\x02", b"\x03"]


@pytest.mark.parametrize(("script", "report"), [
    ('printf "r\\0Ktaken: $*, %s\\n\\0" "$(grep -c Subject)"', b"Ktaken: far.test s@x joe@Far.Test, 1\n"),
    ('printf "hno such user\\n\\0DGiving up\\n\\0"', b"Dno such user\nGiving up\n"),
    ("exit 111", b"Zvq-remote had trouble and ended with 111. (#4.3.0)\n"),
    ("exit 0", b"Zvq-remote said nothing. (#4.3.0)\n"),
    ("kill -9 $$", b"Zvq-remote crashed. (#4.3.0)\n"),
])
def test_qmailremote_names_the_program_to_run(home: support.Home, script: str, report: bytes) -> None:
    program = home.write("remote", f"#!/bin/sh\n{script}\n", 0o755)
    it = Spawner(home, QMAILREMOTE=str(program))
    try:
        assert it.send(9, b"joe@Far.Test") == b"\x09" + report
    finally:
        it.close()


def test_a_qmailremote_that_cannot_be_run_defers(home: support.Home) -> None:
    it = Spawner(home, QMAILREMOTE="/nonexistent/remote")
    try:
        assert it.send(9, b"joe@far.test")[:2] == b"\x09Z"
    finally:
        it.close()


def test_it_says_at_the_start_what_is_wrong_with_a_file(home: support.Home) -> None:
    home.write("control/smtproutes", "a.test:relay.test\nnocolon\n")
    done = subprocess.run([home.bin("vq-rspawn")], input=b"", capture_output=True, timeout=60, check=False,
                          cwd=home.path / "queue/mess", **WHO)

    assert done.stderr.startswith(b"vq-remote: control/smtproutes, line 2: it has no colon")
