"""How many constant databases a lookup opens: two at most, whoever asks, as strace sees it.

There are more of them in the installation: old login names, further domains, the other domain's files.  control/
morercpthosts.cdb answers another question, and before: whether mail for a domain is taken at all; it is opened for those
domains only that rcpthosts does not have.
"""

import os
import pathlib
import re
import subprocess
import typing

import pytest
import system as module

pytestmark = [pytest.mark.root, pytest.mark.peers]
A, B = "a.test", "b.test"
OPENED = re.compile(r'^\d+ +open(?:at|at2)?\((?:AT_FDCWD, )?"([^"]*(?:/|\.)cdb)"')
TRACE = ("strace", "-f", "-qq", "-s", "4096", "-e", "trace=open,openat,openat2", "-e", "signal=none")
USERS, OLD_NAMES = "home/users/cdb", "home/users/logins.cdb"
A_USERS, A_HASHES = f"virtual/{A}/etc/users.cdb", f"virtual/{A}/etc/passwd.cdb"


class World(module.System):
    """An installation that has every kind of constant database."""

    def opened(self, trace: pathlib.Path) -> "set[str]":
        """The constant databases in a trace."""
        found = (OPENED.match(line) for line in trace.read_text(errors="replace").splitlines())
        return {os.path.relpath(each[1], self.path) for each in found if each}

    def opens(self, name: str, *argv: str, **options: typing.Any) -> "set[str]":
        """The constant databases that a program opens, run to its end as root, cold."""
        trace = self.path / "trace"
        done = subprocess.run([*TRACE, "-o", str(trace), "--", self.bin(name), *argv], capture_output=True, check=False,
                              timeout=60, env=self.env() | options.pop("env", {}), **options)
        self.said = done.stdout
        return self.opened(trace)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[World]":
    each = World(tmp_path_factory.mktemp("cdb"))
    try:
        for domain in (A, B):
            each.add_domain(domain, {"bob": "secret", "ann": "secret"})
        each.control("morercpthosts", "far.test\n")
        (each.home / "users/logins").write_text(f"dom1bob:bob@{A}\n")
        assert [0, 0] == [each.run(name).returncode for name in ("vq-newmrh", "vq-newu")]
        assert (each.home / "users/logins.cdb").exists()
        login(each, f"bob@{A}", "secret")       # makes the weak hash of the tests anew, and compiles: only the first one
        yield each
    finally:
        each.remove()


def login(world: World, name: str, password: str) -> "set[str]":
    """The constant databases that vq-checkpassword opens; it becomes a program that says who was let in."""
    out, into = os.pipe()
    os.write(into, b"%s\0%s\0stamp\0" % (name.encode(), password.encode()))
    os.close(into)
    try:
        return world.opens("vq-checkpassword", "/bin/sh", "-c", "echo $USER", preexec_fn=lambda: os.dup2(out, 3),
                           pass_fds=[3])
    finally:
        os.close(out)


def test_a_login(world: World) -> None:
    assert {A_USERS, A_HASHES} == login(world, f"bob@{A}", "secret")
    assert world.said == f"bob@{A}\n".encode()
    assert {A_USERS, A_HASHES} == login(world, f"bob@{A}", "wrong")
    assert {A_USERS, A_HASHES} == login(world, f"bob%{A}", "secret")
    assert world.said == f"bob@{A}\n".encode()


def test_only_who_logs_in_by_an_old_name_needs_the_table_of_those(world: World) -> None:
    assert {OLD_NAMES, A_USERS, A_HASHES} == login(world, "dom1bob", "secret")
    assert world.said == f"bob@{A}\n".encode()


@pytest.mark.parametrize(("recipient", "answer", "files"), [
    (f"bob@{A}", b"250 2.1.5", {USERS, A_USERS}),
    (f"bob-lists@{A}", b"250 2.1.5", {USERS, A_USERS}),
    (f"nobody@{A}", b"550 5.1.1", {USERS, A_USERS}),
    ("postmaster@host.test", b"250 2.1.5", {USERS}),
    ("ann@far.test", b"250 2.1.5", {"home/control/morercpthosts.cdb"}),
])
def test_a_recipient_of_smtp(world: World, recipient: str, answer: bytes, files: "set[str]") -> None:
    said = b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<%s>\r\nQUIT\r\n" % recipient.encode()

    assert files == world.opens("vq-smtpd", input=said, env={"TCPREMOTEIP": "192.0.2.1"})
    assert b"\r\n" + answer in world.said


def test_vq_explain(world: World) -> None:
    assert {USERS, A_USERS} == world.opens("vq-explain", f"bob@{A}")
    assert b"\n  delivered: the user bob of a.test " in world.said

    # who is no user may be an old name to log in with, which it explains, too
    assert {USERS, A_USERS, OLD_NAMES} == world.opens("vq-explain", f"nobody@{A}")
    assert b"\n  not delivered: no mailbox here by that name: " in world.said


def test_a_delivery(world: World) -> None:
    filtering, sending = world.path / "filtering", world.path / "sending"
    world.start_queue()
    try:
        for path, start in ((filtering, world.start_filter), (sending, world.start_send)):
            world.prefix = (*TRACE, "-I", "1", "-o", str(path), "--")
            start()
        world.prefix = ()
        assert 0 == world.inject("", [f"bob@{A}"], b"Subject: one\n\nhello\n")
        world.wait_for_mail(A, "bob")
    finally:
        world.prefix = ()
        world.stop()

    assert {USERS, A_USERS} == world.opened(sending) | world.opened(filtering)
