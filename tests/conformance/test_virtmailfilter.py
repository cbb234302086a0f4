"""virtmailfilter: the promises of the HOWTO's program, and its defects (REQUIREMENTS 0.6) as tests, under real uids."""

import contextlib
import os
import pathlib
import re
import subprocess

import pytest
import system as module

pytestmark = pytest.mark.root
MESSAGE = b"Subject: x\n\nFrom here\nno end"
LINES = {"DTLINE": "Delivered-To: d@x\n", "RPLINE": "Return-Path: <s@x>\n"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory):
    """Two domains, and the service."""
    system = module.System(tmp_path_factory.mktemp("filter"))
    system.add_domain("domain1.test", {"bob": "x", "ann": "x"})
    system.add_domain("domain2.test", {"bob": "x"})
    system.start_filter()
    yield system
    system.stop()


def deliver(world: module.System, ext: "str | None" = "bob", host: "str | None" = "domain1.test", uid: "int | None" = None,
            **env: str):
    """Run virtmailfilter as the owner of domain1."""
    names = {name: value for name, value in (("EXT", ext), ("HOST", host)) if value is not None}
    return world.run("virtmailfilter", uid=world.owner("domain1.test") if uid is None else uid, input=MESSAGE,
                     env=names | LINES | env)


def passwd(world: module.System, domain: str = "domain1.test") -> pathlib.Path:
    return world.virtual / domain / "etc/passwd"


@pytest.fixture
def edited(world: module.System):
    """The passwd file of domain1, put back afterwards."""
    path = passwd(world)
    before = path.read_text()
    yield path
    path.write_text(before)
    world.run("vq-newu")


def test_delivers_as_the_user_with_groups_of_his_own_only(world: module.System) -> None:             # D9
    before = len(world.mailbox("domain1.test", "bob"))
    done = deliver(world, "BOB", "DOMAIN1.test")

    assert (done.returncode, done.stdout) == (0, b"")
    path = world.mailbox("domain1.test", "bob")[before]
    assert path.read_bytes() == b"Return-Path: <s@x>\nDelivered-To: d@x\n" + MESSAGE
    assert path.stat().st_uid == world.domains["domain1.test"]["bob"]
    for pid in os.listdir("/proc"):
        try:
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if re.search(rf"^Uid:\t{path.stat().st_uid}\t", status, re.MULTILINE) and b"virtmailfilter" in command:
            assert re.search(rf"^Groups:\t{path.stat().st_gid} $", status, re.MULTILINE)
            break
    else:
        raise AssertionError("no process of bob's is there")


@pytest.mark.parametrize(("ext", "host", "words"), [
    (None, "domain1.test", b"environment variable EXT not set"),
    ("bob", None, b"environment variable HOST not set"),
    ("bob", "domain1..test", b"environment variable HOST has .."),
    ("bob", "../domain2.test", b"environment variable HOST has .."),
    ("bob", "domain1.test/x", b"environment variable HOST has /"),
    ("bob", ".", b"domain failed: ."),                                                              # D14
    ("bob", ".domain1.test", b"domain failed: .domain1.test"),
    ("bob", "", b"domain failed: "),                                                                # D13
])
def test_first_words_of_trouble_and_111(world: module.System, ext, host, words: bytes) -> None:
    done = deliver(world, ext, host)

    assert done.returncode == 111
    assert done.stdout.startswith(words)


@pytest.mark.parametrize("ext", ["nobody", "", ".", "..", "bob/x", "../bob", "/etc/passwd", "bob\x01", "bob\n"])    # D12
def test_no_such_user_is_100_with_the_standard_words(world: module.System, ext: str) -> None:
    done = deliver(world, ext)

    assert done.returncode == 100
    assert re.match(rb"user \S*: not exist\. Sorry, no mailbox here by that name\. \(#5\.1\.1\)\n$", done.stdout)  # D20


def test_a_parent_domain_does_not_answer_for_its_children(world: module.System) -> None:             # D13
    done = deliver(world, "bob", "mail.domain1.test")

    assert done.returncode == 100
    assert done.stdout.startswith(b"domain failed: mail.domain1.test")


def test_uid_0_and_small_uids_are_refused(world: module.System, edited: pathlib.Path) -> None:       # D10
    for uid in ("0", "1", "99"):
        edited.write_text(re.sub(r"bob:([^:]*):\d+:\d+:", rf"bob:\1:{uid}:{uid}:", edited.read_text()))
        done = deliver(world)

        assert done.returncode == 111
        assert b"not allowed" in done.stdout


def test_the_uid_of_another_domains_user_is_refused(world: module.System, edited: pathlib.Path) -> None:     # D10
    other = world.domains["domain2.test"]["bob"]
    edited.write_text(re.sub(r"bob:([^:]*):\d+:\d+:", rf"bob:\1:{other}:{other}:", edited.read_text()))
    done = deliver(world)

    assert done.returncode == 111
    assert b"belongs to" in done.stdout


@pytest.mark.parametrize("home", ["../domain2.test/home/bob", "/home/../../domain2.test/home/bob", "home/link"])
def test_a_home_outside_the_domain_is_refused(world: module.System, edited: pathlib.Path, home: str) -> None:     # D11
    link = world.virtual / "domain1.test/home/link"
    if not link.is_symlink():
        link.symlink_to(world.virtual / "domain2.test/home/bob")
    other = world.domains["domain2.test"]["bob"]
    edited.write_text(re.sub(r"bob:([^:]*):.*\n", rf"bob:\1:{other}:{other}::{home}:/bin/false\n", edited.read_text()))
    before = len(world.mailbox("domain2.test", "bob"))

    assert deliver(world).returncode == 111
    assert len(world.mailbox("domain2.test", "bob")) == before


def test_a_passwd_file_that_is_only_readable_is_enough(world: module.System) -> None:               # D15
    passwd(world).chmod(0o400)
    try:
        assert deliver(world).returncode == 0
    finally:
        passwd(world).chmod(0o640)


@pytest.mark.parametrize("uid", [45999, 65534])
def test_a_stranger_cannot_use_the_service(world: module.System, uid: int) -> None:                  # D17
    before = len(world.mailbox("domain1.test", "bob"))
    done = deliver(world, uid=uid)

    assert done.returncode == 111
    assert b"belongs to uid" in done.stdout
    assert len(world.mailbox("domain1.test", "bob")) == before


def test_a_passwd_file_half_written_is_temporary(world: module.System, edited: pathlib.Path) -> None:    # D25
    edited.write_text(edited.read_text()[:-20])
    done = deliver(world, "nobody")

    assert done.returncode == 111
    assert b"etc/passwd" in done.stdout


def test_a_domain_whose_directory_is_away_is_temporary(world: module.System) -> None:                # D18
    directory = world.virtual / "domain1.test"
    directory.rename(world.virtual / "away")
    try:
        done = deliver(world)
    finally:
        (world.virtual / "away").rename(directory)

    assert done.returncode == 111
    assert done.stdout.startswith(b"domain failed: domain1.test")


def test_a_user_who_was_just_added_gets_mail_before_vq_newu(world: module.System, edited: pathlib.Path) -> None:
    uid = world.domains["domain1.test"]["ann"]
    edited.write_text(edited.read_text() + f"eve:x:{uid}:{uid}::/home/ann:/bin/false\n")
    before = len(world.mailbox("domain1.test", "ann"))

    assert deliver(world, "eve").returncode == 0
    assert len(world.mailbox("domain1.test", "ann")) == before + 1


def test_hostile_environment_changes_nothing(world: module.System) -> None:                          # D17
    done = deliver(world, PYTHONPATH="/tmp", LD_PRELOAD="", HOME="/root", PATH="/nowhere", VQHOME="/nowhere")

    assert done.returncode == 0


def test_many_at_once_each_get_their_own_answer(world: module.System) -> None:                       # D28
    owner = world.owner("domain1.test")
    before = {user: len(world.mailbox("domain1.test", user)) for user in ("bob", "ann")}
    running = []
    for number in range(40):
        user = ("bob", "ann", "nobody")[number % 3]
        process = subprocess.Popen([world.bin("virtmailfilter")], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                   env=world.env() | LINES | {"EXT": user, "HOST": "domain1.test"},
                                   user=owner, group=owner, extra_groups=[])
        with contextlib.suppress(BrokenPipeError):      # nobody may be refused before that
            process.stdin.write(MESSAGE)
            process.stdin.close()
        running.append((user, process))
    answers = [(user, process.wait(60)) for user, process in running]

    assert {code for user, code in answers if user == "nobody"} == {100}
    assert {code for user, code in answers if user != "nobody"} == {0}
    for user in ("bob", "ann"):
        assert len(world.mailbox("domain1.test", user)) == before[user] + sum(each == user for each, _ in answers)
