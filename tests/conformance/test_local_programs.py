"""vq-local against the interface, cold and warm: what a program gets; helpers of other projects, and ours without a process.

The expected results are written by hand from qmail's interface.
"""

import os
import pathlib
import re
import signal
import subprocess

import local_world
import pytest
import support
from local_world import DELIVERED, DTLINE, MESSAGE, RPLINE, User
from local_world import installation, user, world  # noqa: F401

# ---- the environment ----


def test_environment_of_a_program(user: User) -> None:
    user.extra = {b"FROM_LSPAWN": b"yes"}
    user.write(".qmail-default", "|env -0 >env\n")

    assert user.deliver(b"a-b-C-d-e", domain=b"m.x.y.example.com", sender=b"s p@far.example").code == 0
    rows = dict(row.split(b"=", 1) for row in (user.read("env") or b"").split(b"\0") if row)
    ufline = rows.pop(b"UFLINE")
    for each in (b"PATH", b"QMAILQUEUE", b"PWD", b"SHLVL", b"_", b"OLDPWD"):
        rows.pop(each, None)

    assert re.fullmatch(rb"From s-p@far\.example \w{3} \w{3} \d\d \d\d:\d\d:\d\d \d{4}\n", ufline)
    assert rows == {
        b"FROM_LSPAWN": b"yes",
        b"USER": b"joe", b"HOME": os.fsencode(user.home), b"LOCAL": b"joe-a-b-C-d-e",
        b"RECIPIENT": b"joe-a-b-C-d-e@m.x.y.example.com",
        b"HOST": b"m.x.y.example.com", b"HOST2": b"m.x.y.example", b"HOST3": b"m.x.y", b"HOST4": b"m.x",
        b"EXT": b"a-b-C-d-e", b"EXT2": b"b-C-d-e", b"EXT3": b"C-d-e", b"EXT4": b"d-e", b"DEFAULT": b"a-b-C-d-e",
        b"SENDER": b"s p@far.example", b"NEWSENDER": b"s p@far.example",
        b"DTLINE": b"Delivered-To: joe-a-b-C-d-e@m.x.y.example.com\n", b"RPLINE": b'Return-Path: <"s p"@far.example>\n'}


def test_a_program_runs_in_the_home(user: User) -> None:
    user.write(".qmail", "|pwd >where; umask >mask\n")

    assert user.deliver().code == 0
    assert user.read("where") == os.fsencode(user.home) + b"\n"
    assert user.read("mask") == b"0077\n"


def test_a_program_has_three_descriptors_its_own_session_and_default_signals(user: User) -> None:
    user.write(".qmail", "|ls /proc/self/fd >fds; cut -d' ' -f1,5,6 /proc/$$/stat >ids; "
                         "grep -E '^Sig(Ign|Blk)' /proc/self/status >signals\n")

    assert user.deliver().code == 0
    assert user.read("fds") == b"0\n1\n2\n3\n"          # 3 is the directory that ls reads
    pid, group, session = (user.read("ids") or b"").split()
    assert pid == group == session
    masks = dict(line.split(":\t") for line in (user.read("signals") or b"").decode().splitlines())
    assert int(masks["SigBlk"], 16) == 0
    # Python ignores these two for itself; what else is ignored is the affair of who started us
    assert int(masks["SigIgn"], 16) & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1) == 0


def test_descriptors_of_our_parent_do_not_reach_a_program(user: User) -> None:
    if user.world.driver is not None:
        return                                  # the warm process has its own test: every job of this file
    number = os.open("/etc/passwd", os.O_RDONLY)
    try:
        user.world.who["pass_fds"] = (number,)
        user.write(".qmail", "|ls /proc/self/fd >fds\n")
        code = user.deliver().code
    finally:
        os.close(number)
        del user.world.who["pass_fds"]

    assert code == 0
    assert user.read("fds") == b"0\n1\n2\n3\n"


@pytest.mark.parametrize("evil", [
    b"() { :;}; touch pwned", b"`touch pwned`@x", b"$(touch pwned)@x", b"'; touch pwned; '@x", b"a\n|touch pwned\n@x",
    b"-oQ/tmp@x", b"%s%n@x", b"\xff\xfe\x80@x", b"*@x", b"|touch pwned"])
def test_nothing_in_an_address_is_a_command(user: User, evil: bytes) -> None:
    user.write(".qmail-default", b'|/bin/bash -c "true"; printf %s "$SENDER" >sender; echo $EXT >/dev/null; exit 0\n')

    assert user.deliver(evil.replace(b"/", b""), sender=evil).code == 0
    assert user.read("pwned") is None
    prefix = b" " if evil.startswith(b"() {") else b""
    assert user.read("sender") == prefix + evil.replace(b"\n", b"_")


def test_a_user_and_addresses_that_look_like_options(user: User) -> None:
    user.write(".qmail-default", "./Maildir/\n")

    assert user.deliver(b"--", sender=b"-n", domain=b"-x").code == 0
    assert user.new() == [b"Return-Path: <-n>\nDelivered-To: joe---@-x\n" + MESSAGE]


def test_newlines_in_addresses_make_no_header_lines(user: User) -> None:
    user.write(".qmail-default", "./Maildir/\n")

    assert user.deliver(b"a\nX: 1", sender=b"s\nX: 2@far.example").code == 0
    head = user.new()[0].removesuffix(MESSAGE)
    assert head.count(b"\n") == 2
    assert b"\nX:" not in head


# ---- real helpers ----

def test_dot_forward_runs_a_program_and_ends_the_list(user: User) -> None:
    user.write(".forward", '"|cat >seen"\n')
    user.write(".qmail", "|dot-forward .forward\n./Maildir/\n")

    assert user.deliver().code == 0
    ufline, _, rest = (user.read("seen") or b"").partition(b"\n")
    assert ufline.startswith(b"From sender@far.example ")
    assert rest == DELIVERED
    assert user.new() == []


@pytest.mark.root
def test_dot_forward_queues_addresses_by_way_of_qmail_queue(
        installation: support.Home, tmp_path: pathlib.Path) -> None:
    user = User(local_world.World(installation, warm=False, ids=support.single_ids()), tmp_path)
    programs = tmp_path / "programs"
    programs.mkdir(mode=0o755)
    (programs / "qmail-queue").symlink_to(user.queue)
    user.write(".forward", "ann@far.example\n")
    user.write(".qmail", "|dot-forward .forward\n./Maildir/\n")
    uid, gid = user.world.ids
    # dot-forward was built to find qmail-queue in one place: put ours there, for this process alone
    user.world.who = {}
    user.world.before = [
        "unshare", "-m", "sh", "-c", f'mount --bind {programs} /var/lib/qmail/bin && exec setpriv --reuid {uid} '
        f'--regid {gid} --clear-groups "$@"', "sh"]

    assert user.deliver().code == 0
    assert user.envelope() == b"Fsender@far.example\0Tann@far.example\0\0"
    assert user.queued() == DTLINE + MESSAGE
    assert user.new() == []


def test_dot_forward_without_a_file_lets_the_list_go_on(user: User) -> None:
    user.write(".qmail", "|dot-forward .forward\n./Maildir/\n")

    assert user.deliver().code == 0
    assert user.new() == [DELIVERED]


def test_maildrop(user: User) -> None:
    user.write("filter", "if (/^Subject: hi/)\n  to ./Maildir\nto ./Mailbox\n")
    user.write(".qmail", "|maildrop ./filter\n")
    outcome = user.deliver()

    assert (outcome.code, outcome.output) == (0, b"did 0+0+1\n")
    assert [each.rstrip(b"\n") for each in user.new()] == [MESSAGE]


def test_procmail_with_our_lines_in_front(user: User) -> None:
    user.write("rc", "DEFAULT=./Maildir/\nSHELL=/bin/sh\n:0\n* ^Subject: hi\n./Maildir/\n")
    user.write(".qmail", '|(printf %s "$RPLINE$DTLINE"; cat) | procmail -m ./rc || exit 111\n')

    # the shell's $( ) would eat the newlines, the variables keep theirs
    assert user.deliver().code == 0
    assert [each.rstrip(b"\n") for each in user.new()] == [DELIVERED]


def test_safecat(user: User) -> None:
    user.write(".qmail", "|safecat Maildir/tmp Maildir/new\n")
    outcome = user.deliver()

    assert outcome.code == 0
    assert outcome.output.endswith(b"did 0+0+1\n")
    assert user.new() == [MESSAGE]


def test_a_filter_that_tells_apart(user: User) -> None:
    user.write(".qmail", "|grep -q '^X: z' && exit 99; exit 0\n|grep -q '^X: y' && exit 100; exit 0\n./Maildir/\n")

    assert user.deliver().code == 100
    assert user.deliver(message=b"X: z\n\n").code == 0
    assert user.deliver(message=b"\n").code == 0
    assert user.new() == [RPLINE + DTLINE + b"\n"]


# ---- programs of ours, called without a process ----

def test_a_loaded_program_is_the_same_called_or_executed(user: User) -> None:
    user.write(".qmail", "|virtmaildelivery joe /\n")
    outcome = user.deliver()

    assert (outcome.code, outcome.output, outcome.errors) == (0, b"did 0+0+1\n", b"")
    assert user.new() == [DELIVERED]


def test_its_failures_count_like_any_programs(user: User) -> None:
    user.write(".qmail", "|virtmaildelivery joe absent\n./Maildir/\n")
    outcome = user.deliver()

    assert outcome.code == 111
    assert outcome.output.startswith(b"chdir failed: absent/Maildir: ")
    assert user.new() == []


def test_the_lines_after_it_run_in_the_home_again(user: User) -> None:
    (user.home / "sub").mkdir()
    os.chown(user.home / "sub", *user.world.ids)
    user.write(".qmail", "|virtmaildelivery joe sub\n|pwd >where\n./Maildir/\n")

    assert user.deliver().code == 0
    assert user.read("where") == os.fsencode(user.home) + b"\n"
    assert user.new() == [DELIVERED]
    assert user.new("sub/Maildir") == [DELIVERED]


def test_two_hundred_deliveries_in_one_process_leave_nothing_behind(user: User) -> None:
    if user.world.driver is None:
        return
    user.write(".qmail", "./Maildir/\n")
    user.write(".qmail-b", "|exit 99\n")
    user.write(".qmail-c", "./absent/\n")
    user.write(".qmail-d", "|virtmaildelivery joe /\n")
    for each in range(200):                     # World.run compares descriptors, directory, umask, signals each time
        assert user.deliver([None, b"b", b"c", b"d", b"e"][each % 5]).code == [0, 0, 111, 0, 100][each % 5]

    assert user.new() == [
        RPLINE + b"Delivered-To: joe-d@m.host.example\n" + MESSAGE] * 40 + [DELIVERED] * 40
    memory = subprocess.run(["/bin/grep", "VmRSS", f"/proc/{user.world.driver.pid}/status"], capture_output=True,
                            check=True).stdout
    assert int(memory.split()[1]) < 40_000
