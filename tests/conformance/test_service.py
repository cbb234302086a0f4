"""Local services come and go; what has begun is finished."""

import os
import pathlib
import shutil
import signal
import subprocess

import pytest
from system import System, wait_until

pytestmark = pytest.mark.root

MESSAGE = b"Subject: slow\n\n" + b"x" * 79 + b"\n" + b"y\n" * 100_000     # more than a pipe holds: the service has read of it


def begin(system: System) -> "tuple[subprocess.Popen, int]":
    """A vq-queue that is in the middle of a message; what its envelope is to be written to."""
    out, into = os.pipe()
    process = subprocess.Popen([system.bin("vq-queue")], stdin=subprocess.PIPE, stdout=out, env=system.env())
    os.close(out)
    process.stdin.write(MESSAGE)
    process.stdin.flush()
    return process, into


def end(process: subprocess.Popen, into: int) -> int:
    process.stdin.close()
    os.write(into, b"Fann@far.test\0Tbob@host.test\0\0")
    os.close(into)
    return process.wait(60)


def queued(system: System) -> list:
    return [each for each in (system.home / "queue/todo").rglob("*") if each.is_file()]


def test_a_service_that_is_told_to_end_takes_the_message_that_has_begun(system):
    system.start_queue()
    process, into = begin(system)
    service = system.processes["queue"]
    service.terminate()

    assert service.wait(60) == 0
    wait_until(lambda: system.inject("x@far.test", ["bob@host.test"], b"") == 61, "its door to be closed")
    assert end(process, into) == 0
    assert MESSAGE in message(system, queued(system)[0].name)


def test_a_service_that_is_started_again_and_the_one_that_still_finishes_do_not_disturb_each_other(system):
    system.start_queue()
    process, into = begin(system)
    system.processes.pop("queue").terminate()
    system.start_queue()

    assert system.inject("ann@far.test", ["bob@host.test"], b"Subject: new\n\n") == 0
    assert end(process, into) == 0
    assert sorted(b"slow" in message(system, each.name) for each in queued(system)) == [False, True]


def message(system: System, number: str) -> bytes:
    (path,) = (system.home / "queue/mess").rglob(number)
    return path.read_bytes()


@pytest.mark.parametrize("name", ["queue", "virtmailfilter"])
def test_a_renewed_library_ends_a_service(system, name):
    system.start_queue() if name == "queue" else system.start_filter()
    service = system.processes[name]
    shutil.copytree(system.home / "lib/vqmail", system.home / "lib/vqmail.new")
    shutil.rmtree(system.home / "lib/vqmail")
    (system.home / "lib/vqmail.new").rename(system.home / "lib/vqmail")

    assert service.wait(60) == 0
    assert f"vq-service: {name}: the library was renewed; leaving, to be started again\n" in system.log()


def test_a_filter_that_is_told_to_end_serves_who_is_at_the_door(system):
    system.add_domain("domain1.test", {"bob": "x"})
    system.start_all()
    service = system.processes["virtmailfilter"]
    child = int(subprocess.run(["pgrep", "-P", str(service.pid)], capture_output=True, check=True).stdout)
    os.kill(child, signal.SIGSTOP)

    assert system.inject("ann@far.test", ["bob@domain1.test"], b"Subject: slow\n\n") == 0
    wait_until(lambda: waits(system.home / "run/virtmailfilter/socket"), "the caller of the service")
    service.terminate()
    assert service.wait(60) == 0
    os.kill(child, signal.SIGCONT)

    assert b"Subject: slow" in system.wait_for_mail("domain1.test", "bob")[0].read_bytes()


def waits(path) -> bool:
    """Whether somebody has connected to the local socket: it is in the kernel's table for each connection."""
    return pathlib.Path("/proc/net/unix").read_text().count(str(path)) > 1
