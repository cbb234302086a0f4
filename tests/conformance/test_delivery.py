"""Mail for virtual users through every program, under real uids."""

import os
import pathlib
import pwd
import stat

import pytest
import system as module

pytestmark = pytest.mark.root
MESSAGE = b"From: a@far.test\nSubject: hello\n\nFrom here on\n\x00\xff \r bytes\nno newline at the end"


@pytest.fixture
def two(system: module.System) -> module.System:
    """Two domains with a bob each."""
    system.add_domain("domain1.test", {"bob": "one", "ann": "x"})
    system.add_domain("domain2.test", {"bob": "two"})
    system.start_all()
    return system


def test_each_bob_gets_his_own(two: module.System) -> None:
    assert two.inject("a@far.test", ["bob@domain1.test"], MESSAGE) == 0
    assert two.inject("a@far.test", ["BOB@Domain2.TEST"], MESSAGE + b" 2") == 0

    first, = two.wait_for_mail("domain1.test", "bob")
    second, = two.wait_for_mail("domain2.test", "bob")

    for path, domain, body in ((first, "domain1.test", MESSAGE), (second, "domain2.test", MESSAGE + b" 2")):
        uid = two.domains[domain]["bob"]
        lines = path.read_bytes().split(b"\n", 3)

        assert (path.stat().st_uid, path.stat().st_gid, stat.S_IMODE(path.stat().st_mode)) == (uid, uid, 0o600)
        assert lines[0] == b"Return-Path: <a@far.test>"
        assert lines[1].lower() == b"delivered-to: bob@%s" % domain.encode()
        assert lines[2].startswith(b"Received: (qmail ")
        assert lines[3] == body
    module.wait_until(two.queue_is_empty, "an empty queue")


def test_one_bob_cannot_read_the_other(two: module.System) -> None:
    two.inject("a@far.test", ["bob@domain2.test"], MESSAGE)
    path, = two.wait_for_mail("domain2.test", "bob")
    pid = os.fork()
    if pid == 0:
        uid = two.domains["domain1.test"]["bob"]
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        try:
            path.read_bytes()
        except PermissionError:
            os._exit(0)
        os._exit(1)

    assert os.waitpid(pid, 0)[1] == 0


def test_an_owner_cannot_deliver_into_anothers_domain(two: module.System) -> None:
    owner = two.owner("domain1.test")
    done = two.run("virtmailfilter", uid=owner, input=MESSAGE, env={
        "EXT": "bob", "HOST": "domain2.test", "DTLINE": "Delivered-To: x\n", "RPLINE": "Return-Path: <>\n"})

    assert done.returncode == 111
    assert b"belongs to uid %d, but uid %d asks" % (two.owner("domain2.test"), owner) in done.stdout
    assert two.mailbox("domain2.test", "bob") == []


def test_an_unknown_user_bounces_with_the_standard_words(two: module.System) -> None:
    two.inject("a@far.test", ["nobody@domain1.test"], MESSAGE)
    module.wait_until(lambda: "bounce msg" in two.log(), "a bounce")

    assert "failure: user_nobody:_not_exist._Sorry,_no_mailbox_here_by_that_name._(#5.1.1)/" in two.log()


def test_owners_alias_and_extension_files_are_obeyed(two: module.System) -> None:
    two.dotqmail("domain1.test", "sales", "&bob@domain1.test\n&bob@domain2.test\n")
    two.inject("a@far.test", ["sales@domain1.test"], MESSAGE)

    assert len(two.wait_for_mail("domain1.test", "bob")) == 1
    assert len(two.wait_for_mail("domain2.test", "bob")) == 1


def test_a_bounce_to_the_owner_of_a_virtual_list_reaches_him(two: module.System) -> None:
    two.dotqmail("domain1.test", "list", "&nobody-here@domain2.test\n")
    two.dotqmail("domain1.test", "list-owner", "&bob@domain1.test\n")
    two.inject("a@far.test", ["list@domain1.test"], MESSAGE)
    bounce, = two.wait_for_mail("domain1.test", "bob")

    assert b"\nTo: list-owner@domain1.test\n" in bounce.read_bytes()
    assert b"\n<nobody-here@domain2.test>:\n" in bounce.read_bytes()


def test_without_its_service_the_filter_defers_and_nothing_is_lost(two: module.System) -> None:
    two.stop("virtmailfilter")
    two.inject("a@far.test", ["bob@domain1.test"], MESSAGE)
    module.wait_until(lambda: "deferral: virtmailfilter:_no_service" in two.log(), "a deferral")
    two.start_filter()
    two.processes["send"].send_signal(module.signal.SIGALRM)

    assert two.wait_for_mail("domain1.test", "bob")[0].read_bytes().endswith(MESSAGE)


def test_programs_run_as_design_says(two: module.System) -> None:
    two.start_smtp(warm=False)
    expected = {"vq-send": "qmails", "vq-clean": "qmailq", "vq-rspawn": "qmailr", "vq-lspawn": "root"}

    for name, user in expected.items():
        entry = pwd.getpwnam(user)
        gid = entry.pw_gid
        # between fork and exec a child is called as its parent is
        pid, = module.wait_until(lambda name=name: _pids(str(two.home / "bin" / name), two), name)
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
        status = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

        assert set(status["Uid"].split()) == {str(entry.pw_uid)}, name
        if user != "root":
            assert set(status["Gid"].split()) == {str(gid)}, name
            assert status["Groups"].split() == [str(gid)], name


def _pids(program: str, two: module.System) -> "list[int]":
    found = []
    for each in os.listdir("/proc"):
        if each.isdigit():
            try:
                words = pathlib.Path(f"/proc/{each}/cmdline").read_text(errors="replace").split("\0")
                parent = pathlib.Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if program in words and parent == str(two.processes["send"].pid) or (
                    program in words and int(each) == two.processes["send"].pid):
                found.append(int(each))
    return found
