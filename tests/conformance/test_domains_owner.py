"""vq-domain by way of the admin service: what the owner of a domain may do, and what he cannot make of it; passwords asked for."""

import json
import os
import pty
import signal
import socket
import subprocess
import termios

import pytest
import system
from domains_world import done, refused
from domains_world import site  # noqa: F401

pytestmark = [pytest.mark.root, pytest.mark.peers]


def test_the_owner_may_do_some_things_in_his_domain_and_nothing_elsewhere(site: "system.System") -> None:
    done(site, "vq-domain", "add", "his.example", "--owner=3001:3001")
    done(site, "vq-domain", "add", "hers.example", "--owner=3002:3002")
    site.start_admin()

    assert done(site, "vq-domain", "list", uid=3001) == "his.example\n"
    assert json.loads(done(site, "vq-domain", "info", "his.example", "--json", uid=3001))["uid"] == 3001
    done(site, "vq-domain", "set", "his.example", "catchall=delete", uid=3001)
    assert (site.virtual / "his.example/etc/options").read_text().endswith("\n@:catchall=delete\n")
    for argv in (["info", "hers.example"], ["set", "hers.example", "catchall=x"], ["info", "nosuch.example"]):
        assert "is no domain of yours (you are uid 3001)" in refused(site, "vq-domain", *argv, uid=3001)
    for argv in (["add", "x.example"], ["delete", "his.example"], ["rename", "his.example", "x.example"],
                 ["alias", "x.example", "his.example"], ["unalias", "x.example"], ["suspend", "his.example"],
                 ["resume", "his.example"], ["set", "his.example", "mailboxes=1000"], ["set", "his.example", "forwarding=yes"],
                 ["set", "his.example", "--users", "dotqmail=programs"], ["trash"], ["restore", "x.example"], ["purge", "--all"]):
        assert "only the postmaster (root) may" in refused(site, "vq-domain", *argv, uid=3001)
    assert done(site, "vq-domain", "list", uid=3003) in ("", "\n")


def test_without_the_service_nobody_is_served_but_root(site: "system.System") -> None:
    ended = site.run("vq-domain", "list", uid=3001)

    assert (ended.returncode, b"is the service `admin` up?" in ended.stderr) == (111, True)


def test_what_an_owner_puts_in_the_way_is_not_followed(site: "system.System") -> None:
    done(site, "vq-domain", "add", "his.example", "--owner=3001:3001")
    secret = site.path / "secret"
    secret.write_text("@:catchall=secret\n")
    secret.chmod(0o600)
    site.start_admin()
    directory = site.virtual / "his.example"

    def as_owner(script: str) -> None:
        subprocess.run(["/bin/sh", "-c", script], cwd=directory, check=True, user=3001, group=3001, extra_groups=[])

    as_owner("mv etc was; mkdir etc; cp was/options etc/passwd 2>/dev/null; echo '#' > etc/passwd; "
             f"ln -s {secret} etc/options")
    assert b"secret" not in site.run("vq-domain", "info", "his.example", uid=3001).stdout
    site.run("vq-domain", "set", "his.example", "catchall=delete", uid=3001)
    assert secret.read_text() == "@:catchall=secret\n"

    as_owner(f"rm -r etc; ln -s {site.home}/control etc")
    ended = site.run("vq-domain", "set", "his.example", "catchall=delete", uid=3001)
    assert ended.returncode == 111
    assert not (site.home / "control/options").exists()

    as_owner("rm etc; mkfifo etc")
    assert site.run("vq-domain", "set", "his.example", "catchall=delete", uid=3001, timeout=60).returncode == 111

    done(site, "vq-domain", "add", "next.example")                      # nobody else is held up
    done(site, "vq-domain", "delete", "his.example")
    done(site, "vq-domain", "purge", "--all")
    assert secret.read_text() == "@:catchall=secret\n"
    assert list((site.virtual / ".trash").iterdir()) == []


def test_a_caller_who_hangs_keeps_nobody_waiting(site: "system.System") -> None:
    done(site, "vq-domain", "add", "his.example", "--owner=3001:3001")
    site.start_admin()
    full, into = os.pipe()
    os.set_blocking(into, False)
    try:
        while True:
            os.write(into, b"x" * 4096)
    except BlockingIOError:
        pass
    os.set_blocking(into, True)
    hanging: list[subprocess.Popen] = []

    def refused_now() -> bool:
        """Whether there are as many as one may have; the question itself may have taken the place of one who hangs."""
        hanging.append(subprocess.Popen([site.bin("vq-domain"), "--help"], stdout=into, stderr=into, user=3001, group=3001,
                                        stdin=subprocess.DEVNULL, extra_groups=[], env=site.env()))
        return site.run("vq-domain", "list", uid=3001).returncode == 111

    try:
        system.wait_until(refused_now, "the limit of one caller", 120)

        assert done(site, "vq-domain", "list", uid=3002) in ("", "\n")
        done(site, "vq-domain", "set", "his.example", "catchall=delete")
    finally:
        for each in hanging:
            each.kill()
            each.wait()
        os.close(full)
        os.close(into)


def on_a_terminal(argv: "list[str]", env: "dict[str, str]", uid: int, lines: "list[str]") -> "tuple[int, str]":
    """(exit code, all that appeared) of a program on a terminal of its own, where `lines` are typed, each when asked."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        os.execve(argv[0], argv, env)
    seen = b""
    for line in lines:
        asked = seen.count(b": ")
        while seen.count(b": ") == asked:
            seen += os.read(terminal, 1000)
        os.write(terminal, line.encode() + b"\n")
    try:
        while piece := os.read(terminal, 1000):
            seen += piece
    except OSError:                             # it has ended
        pass
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode()


def test_passwords_are_asked_for_on_the_terminal_here_and_by_the_service(site: "system.System") -> None:
    code, seen = on_a_terminal([site.bin("vq-domain"), "add", "a.example", "--owner=3001:3001", "--mailbox"], site.env(), 0,
                               ["first secret", "first secret"])

    assert (code, "first secret" in seen) == (0, False), seen

    site.start_admin()
    code, seen = on_a_terminal([site.bin("vq-passwd"), "postmaster@a.example"], site.env(), 3001,
                               ["second secret", "second secret"])

    assert (code, "second secret" in seen) == (0, False), seen
    port = site.start_pop3()
    assert [subprocess.run(["curl", "-s", "-u", f"postmaster@a.example:{word} secret", f"pop3://127.0.0.1:{port}/"],
                           check=False).returncode for word in ("first", "second")] == [67, 0]


@pytest.mark.parametrize("packet", [b"", b"x", b"1\0000,1,2\0/bin/sh", b"1\0000,1,2\0vq-newu", b"1\0000,1\0vq-domain",
                                    b"1\0000,1,2,200\0vq-domain", b"9\0000,1,2\0vq-domain", b"\xff" * 1000])
def test_the_service_does_nothing_it_does_not_know(site: "system.System", packet: bytes) -> None:
    site.start_admin()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.connect(str(site.home / "run/admin/socket"))
        socket.send_fds(client, [packet], [0, 1, 2])
        client.settimeout(60)

        assert client.recv(100) == b"111"
    assert done(site, "vq-domain", "list", uid=3001) in ("", "\n")


def test_a_prompt_that_is_left_by_control_c_is_left_by_the_service_too(site: "system.System") -> None:
    done(site, "vq-domain", "add", "a.example", "--owner=3001:3001", "--generate")
    site.start_admin()
    before = (site.virtual / "a.example/etc/passwd").read_bytes()
    for uid in (0, 3001):
        pid, terminal = pty.fork()
        if pid == 0:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os.execve(site.bin("vq-passwd"), ["vq-passwd", "postmaster@a.example"], site.env())
        seen = b""
        while b": " not in seen:
            seen += os.read(terminal, 1000)
        os.write(terminal, b"\x03")

        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 111
        if uid:
            system.wait_until(lambda: "uid 3001: vq-passwd postmaster@a.example: 111" in site.log(), "the end of the job")
        assert termios.tcgetattr(terminal)[3] & termios.ECHO
        os.close(terminal)
    assert (site.virtual / "a.example/etc/passwd").read_bytes() == before


def test_an_owner_who_exchanges_directories_all_the_time_gets_nothing_written_elsewhere(site: "system.System") -> None:
    done(site, "vq-domain", "add", "his.example", "--owner=3001:3001")
    done(site, "vq-domain", "add", "hers.example", "--owner=3002:3002")
    site.start_admin()

    def elsewhere() -> "dict[str, tuple]":
        return {str(each): (each.lstat().st_mode, each.lstat().st_uid, each.read_bytes() if each.is_file() else b"")
                for place in (site.home / "control", site.virtual / "hers.example") for each in place.rglob("*")}

    before = elsewhere()
    script = (f"while :; do mv etc was; ln -s {site.home}/control etc; rm etc; ln -s ../hers.example/etc etc; rm etc; "
              f"mv was etc; mv home old; ln -s {site.home}/control home; rm home; mv old home; done 2>/dev/null")
    racing = subprocess.Popen(["/bin/sh", "-c", script], cwd=site.virtual / "his.example", user=3001, group=3001,
                              extra_groups=[], start_new_session=True)
    try:
        outcomes = []
        for number in range(40):
            argv = (["vq-domain", "set", "his.example", f"warn={number}"], ["vq-user", "add", f"u{number}@his.example", "--no-password"],
                    ["vq-user", "delete", f"u{number - 1}@his.example"], ["vq-alias", "add", f"a{number}@his.example", "x@y.example"])
            outcomes.append(site.run(*argv[number % 4], uid=3001).returncode)
    finally:
        os.killpg(racing.pid, signal.SIGKILL)
        racing.wait()

    assert set(outcomes) <= {0, 100, 111}
    assert elsewhere() == before
    done(site, "vq-domain", "suspend", "hers.example", "--send")
