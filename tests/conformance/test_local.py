"""vq-local against the interface: every line type, every choice of file, real helpers; cold and warm.

The expected results are written by hand from qmail's interface.
"""

import os
import pathlib
import signal
import re
import subprocess
import typing

import local_world
import pytest
import support
from local_world import MESSAGE, User, installation, user, world  # noqa: F401

DTLINE = b"Delivered-To: joe@m.host.example\n"
RPLINE = b"Return-Path: <sender@far.example>\n"
DELIVERED = RPLINE + DTLINE + MESSAGE

# ---- line types ----

def test_maildir_line(user: User) -> None:
    user.write(".qmail", "./Maildir/\n")
    outcome = user.deliver()

    assert (outcome.code, outcome.output, outcome.errors) == (0, b"did 1+0+0\n", b"")
    assert user.new() == [DELIVERED]


def test_maildir_line_with_an_absolute_path(user: User) -> None:
    user.maildir("other")
    user.write(".qmail", f"{user.home}/other/\n")

    assert user.deliver().code == 0
    assert user.new("other") == [DELIVERED]


def test_mbox_line(user: User) -> None:
    user.write(".qmail", "./Mailbox")
    outcome = user.deliver()

    assert (outcome.code, outcome.output) == (0, b"did 1+0+0\n")
    text = user.read("Mailbox")
    assert text is not None
    first, rest = text.split(b"\n", 1)
    assert re.fullmatch(rb"From sender@far\.example \w{3} \w{3} \d\d \d\d:\d\d:\d\d \d{4}", first)
    assert rest == RPLINE + DTLINE + (
        b"Subject: hi\nX: y\n\n>From here on\n>>From there\nbody \xe9 without an end\n\n")
    assert (user.home / "Mailbox").stat().st_mode == 0o100600


def test_program_line_gets_the_message_without_our_lines(user: User) -> None:
    user.write(".qmail", "|cat >seen; echo said; echo complained >&2\n")
    outcome = user.deliver()

    assert (outcome.code, outcome.output, outcome.errors) == (0, b"said\ndid 0+0+1\n", b"complained\n")
    assert user.read("seen") == MESSAGE


@pytest.mark.parametrize("line", ["&ann@far.example", "ann@far.example", "ann@far.example \t"])
def test_forward_line(user: User, line: str) -> None:
    user.write(".qmail", line + "\n")
    outcome = user.deliver()

    assert outcome.code == 0
    assert re.fullmatch(rb"did 0\+1\+0\nqp [0-9]+\n", outcome.output)
    assert user.queued() == DTLINE + MESSAGE
    assert user.envelope() == b"Fsender@far.example\0Tann@far.example\0\0"


def test_the_rest_after_the_ampersand_is_taken_as_it_is(user: User) -> None:
    user.write(".qmail", "& joe\n")

    assert user.deliver().code == 0
    assert user.envelope() == b"Fsender@far.example\0T joe\0\0"


def test_all_forwards_go_together_at_the_end(user: User) -> None:
    user.write(".qmail", "# all of them\nann@far.example\n./Maildir/\n&bob\n|cat >seen\ncid@x\n")
    outcome = user.deliver()

    assert outcome.code == 0
    assert re.fullmatch(rb"did 1\+3\+1\nqp [0-9]+\n", outcome.output)
    assert user.envelope() == b"Fsender@far.example\0Tann@far.example\0Tbob\0Tcid@x\0\0"
    assert user.new() == [DELIVERED]


def test_forwards_reach_the_queue_of_the_installation(
        installation: support.Home, tmp_path: pathlib.Path) -> None:
    cold = local_world.World(installation, warm=False, ids=support.single_ids())
    user = User(cold, tmp_path)
    user.extra = {b"QMAILQUEUE": b""}
    user.write(".qmail", "ann@far.example\n")
    outcome = user.deliver()
    todo = [each for each in (installation.path / "queue" / "todo").rglob("*") if each.is_file()]

    assert outcome.code == 0
    assert re.fullmatch(rb"did 0\+1\+0\nqp [0-9]+\n", outcome.output)
    assert len(todo) == 1
    assert todo[0].read_bytes().endswith(b"\0Fsender@far.example\0Tann@far.example\0")


def test_comments_and_empty_lines_deliver_nothing(user: User) -> None:
    user.write(".qmail", "# throw it away\n\n#\n+more\n")
    outcome = user.deliver()

    assert (outcome.code, outcome.output) == (0, b"did 0+0+0\n")
    assert user.new() == []


def test_every_delivery_reads_the_message_from_its_beginning(user: User) -> None:
    user.write(".qmail", "|head -c 7 >a\n|cat >b\n./Maildir/\n|cat >c\n./Mailbox\nann@far.example\n")

    assert user.deliver().code == 0
    assert (user.read("a"), user.read("b"), user.read("c")) == (MESSAGE[:7], MESSAGE, MESSAGE)
    assert user.new() == [DELIVERED]
    assert user.queued() == DTLINE + MESSAGE


# ---- outcomes of each line type ----

@pytest.mark.parametrize(("way", "code"), [
    ("exit 0", 0), ("exit 99", 0), ("exit 100", 100), ("exit 64", 100), ("exit 65", 100), ("exit 70", 100),
    ("exit 76", 100), ("exit 77", 100), ("exit 78", 100), ("exit 112", 100), ("exit 111", 111), ("exit 1", 111),
    ("exit 66", 111), ("exit 71", 111), ("exit 75", 111), ("exit 98", 111), ("exit 101", 111), ("exit 120", 111),
    ("exit 126", 111), ("exit 255", 111), ("no-such-program", 111), ("syntax ( error", 111), ("kill -9 $$", 111),
    ("kill -SEGV $$", 111), ("kill -PIPE $$", 111)])
def test_program_outcomes(user: User, way: str, code: int) -> None:
    user.write(".qmail", f"|{way}\n")

    assert user.deliver().code == code


def test_every_exit_code_of_a_program(user: User) -> None:
    expected = [111] * 256
    for each in (0, 99):
        expected[each] = 0
    for each in (64, 65, 70, 76, 77, 78, 100, 112):
        expected[each] = 100
    if user.world.driver is None:
        return                                  # 256 cold starts prove nothing that the table above does not
    actual = []
    for each in range(256):
        user.write(".qmail", f"|exit {each}\n")
        actual.append(user.deliver().code)

    assert expected == actual


def test_a_program_that_crashes_is_named(user: User) -> None:
    user.write(".qmail", "#\n|kill -9 $$\n")
    outcome = user.deliver()

    assert outcome.output == b"Aack, child crashed: signal 9. (#4.3.0) %s/.qmail line 2\n" % os.fsencode(user.home)


def test_what_a_failing_program_says_is_the_report(user: User) -> None:
    user.write(".qmail", "|echo We do not want this.; exit 100\n./Maildir/\n")
    outcome = user.deliver()

    assert (outcome.code, outcome.output) == (100, b"We do not want this.\n")
    assert user.new() == []


@pytest.mark.parametrize("failing", ["|exit 100", "|exit 111", "|kill -9 $$", "./absent/", "./absent/Mailbox"])
def test_the_first_line_that_fails_ends_it_and_nothing_is_forwarded(user: User, failing: str) -> None:
    user.write(".qmail", f"ann@far.example\n./Maildir/\n{failing}\n|touch later\n")
    outcome = user.deliver()

    assert outcome.code == (100 if failing == "|exit 100" else 111)
    assert b"did" not in outcome.output
    assert user.new() == [DELIVERED]
    assert user.envelope() is None
    assert user.read("later") is None


def test_99_skips_the_later_lines_and_forwards_the_earlier_ones(user: User) -> None:
    user.write(".qmail", "ann@far.example\n|exit 99\nbob@far.example\n./Maildir/\n|touch later\n")
    outcome = user.deliver()

    assert outcome.code == 0
    assert re.fullmatch(rb"did 0\+1\+1\nqp [0-9]+\n", outcome.output)
    assert user.envelope() == b"Fsender@far.example\0Tann@far.example\0\0"
    assert user.new() == []
    assert user.read("later") is None


@pytest.mark.parametrize(("queue", "code"), [
    (b"11", 100), (b"31", 100), (b"51", 111), (b"53", 111), (b"54", 111), (b"71", 111), (b"81", 111), (b"91", 111),
    (b"1", 111), (b"120", 111)])
def test_what_the_queue_says_to_a_forward(user: User, queue: bytes, code: int) -> None:
    user.extra = {b"QUEUE_EXIT": queue}
    user.write(".qmail", "ann@far.example\n")
    outcome = user.deliver()

    assert b"Unable to forward message: " in outcome.output
    assert b"did" not in outcome.output
    assert outcome.code == code


def test_no_queue_at_all_is_temporary(user: User) -> None:
    user.extra = {b"QMAILQUEUE": b"/no/such/queue"}
    user.write(".qmail", "ann@far.example\n")

    assert user.deliver().code == 111


@pytest.mark.parametrize(("line", "make"), [
    ("./M/", None), ("./M/", "file"), ("./M/", "directory")])
def test_maildir_that_is_none(user: User, line: str, make: "str | None") -> None:
    if make == "file":
        user.write("M", "")
    elif make == "directory":
        (user.home / "M").mkdir(mode=0o755)
    user.write(".qmail", line)
    outcome = user.deliver()

    assert outcome.code == 111
    assert outcome.output.startswith(b"Unable to chdir to maildir. (#4.2.1)")


# ---- each line type in each kind of file ----

LINES = {
    "program": "|cat >seen", "maildir": "./Maildir/", "mbox": "./Mailbox", "forward": "&ann@far.example",
    "bare forward": "ann@far.example"}
OK_WRITE = {"program": 0, "maildir": 0, "mbox": 0, "forward": 0, "bare forward": 0}
LATER = {"program": 111, "maildir": 111, "mbox": 111, "forward": 111, "bare forward": 111}
FORWARDS_ONLY = {"program": 111, "maildir": 111, "mbox": 111, "forward": 0, "bare forward": 0}
#        name                  content            mode   home mode  exit code by line type, part of the text if not 0
SHAPES = {
    "plain":                  ("{}\n",            0o600, 0o755, OK_WRITE, b""),
    "no final newline":       ("{}",              0o600, 0o755, OK_WRITE, b""),
    "blanks at the end":      ("{} \t \n",        0o600, 0o755, OK_WRITE, b""),
    "after a comment":        ("# x\n\n{}\n",     0o600, 0o755, OK_WRITE, b""),
    "group writable":         ("{}\n",            0o660, 0o775, OK_WRITE, b""),
    "other +line":            ("+x\n{}\n",        0o600, 0o755, OK_WRITE, b""),
    "x of group and others":  ("{}\n",            0o611, 0o755, OK_WRITE, b""),
    "x bit":                  ("{}\n",            0o700, 0o755, FORWARDS_ONLY, b"(#4.7.0)"),
    "+list":                  ("+list\n{}\n",     0o600, 0o755, FORWARDS_ONLY, b"(#4.7.0)"),
    "+list and x bit":        ("+list \n{}\n",    0o700, 0o755, FORWARDS_ONLY, b"(#4.7.0)"),
    "world writable":         ("{}\n",            0o602, 0o755, LATER, b"Uh-oh: .qmail file is writable. (#4.7.0)"),
    "home world writable":    ("{}\n",            0o600, 0o757, LATER, b"Uh-oh: home directory is writable. (#4.7.0)"),
    "home sticky":            ("{}\n",            0o600, 0o1755, LATER, b"user is editing his .qmail file"),
    "CR LF":                  ("{}\r\n",          0o600, 0o755, LATER, b".qmail"),
    "first line blank":       ("\n{}\n",          0o600, 0o755, LATER, b"first line of .qmail file is blank"),
}


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("shape", SHAPES)
def test_line_in_file(user: User, line: str, shape: str) -> None:
    content, mode, home_mode, outcomes, text = SHAPES[shape]
    user.write(".qmail", content.format(LINES[line]), mode)
    user.home.chmod(home_mode)
    outcome = user.deliver()
    done = {
        "program": user.read("seen") == MESSAGE, "maildir": user.new() == [DELIVERED],
        "mbox": user.read("Mailbox") is not None,
        "forward": user.envelope() == b"Fsender@far.example\0Tann@far.example\0\0"}
    done["bare forward"] = done["forward"]

    assert outcome.code == outcomes[line]
    assert done == {each: outcomes[line] == 0 and LINES[each].lstrip("&") == LINES[line].lstrip("&") for each in LINES}
    if outcome.code:
        assert text in outcome.output
        assert outcome.output.count(b"\n") == 1


def test_cr_lf_is_complained_about_by_file_and_line(user: User) -> None:
    user.write(".qmail", "# from another system\n./Maildir/\r\n")
    outcome = user.deliver()

    assert outcome.code == 111
    assert b"line 2 ends in CR LF" in outcome.output
    assert os.fsencode(user.home / ".qmail") in outcome.output
    assert sorted(each.name for each in (user.home / "Maildir").iterdir()) == ["cur", "new", "tmp"]


def test_a_file_of_nothing_is_the_default_delivery_whatever_its_x_bit(user: User) -> None:
    user.write(".qmail", "", 0o700)

    assert user.deliver(aliasempty=b"./Maildir/").code == 0
    assert user.new() == [DELIVERED]


def test_without_any_instruction_nothing_is_thrown_away(user: User) -> None:
    outcome = user.deliver(aliasempty=b"")

    assert outcome.code == 111
    assert b"first line of .qmail file is blank" in outcome.output


def test_a_message_in_a_pipe_is_temporary(user: User) -> None:
    done = subprocess.run(
        [user.world.installation.bin("vq-local"), "joe", str(user.home), "joe", "", "", "h", "s@x", "./Maildir/"],
        input=MESSAGE, capture_output=True, check=False, timeout=60, env={}, **user.world.who)

    assert done.returncode == 111
    assert b"Unable to read the message: " in done.stdout
    assert user.new() == []


def test_default_delivery_may_have_several_lines(user: User) -> None:
    outcome = user.deliver(aliasempty=b"|cat >seen\n./Mailbox")

    assert (outcome.code, outcome.output) == (0, b"did 1+0+1\n")
    assert user.read("seen") == MESSAGE


def test_too_large_a_file_is_temporary_and_named(user: User) -> None:
    user.write(".qmail", "a@b\n" * 10_001)
    outcome = user.deliver()

    assert outcome.code == 111
    assert b"more than 10000 lines" in outcome.output
    assert os.fsencode(user.home / ".qmail") in outcome.output

    user.write(".qmail", "#" * (256 * 1024 + 1))

    assert user.deliver().code == 111


# ---- which file ----

FILES = {
    "ext file": {".qmail-a"}, "default file": {".qmail-default"}, "both": {".qmail-a", ".qmail-default"},
    "levels": {".qmail-a-default", ".qmail-default", ".qmail-a-b-default"}, "none": {".qmail"},
    "slash": {".qmail-default", ".qmail-/x"},
    "odd": {".qmail-", ".qmail-a-", ".qmail-a:b", ".qmail-x-default", ".qmail-default", ".qmail-\udce9"}}

#    files           ext             file taken            DEFAULT (None: not set)
CHOICES = [
    ("ext file",     b"a",           b".qmail-a",          None),
    ("ext file",     b"A",           b".qmail-a",          None),
    ("ext file",     b"b",           None,                 None),
    ("ext file",     b"a-b",         None,                 None),
    ("ext file",     b"",            None,                 None),
    ("default file", b"",            b".qmail-default",    b""),
    ("default file", b"a",           b".qmail-default",    b"a"),
    ("default file", b"A.B-C",       b".qmail-default",    b"A.B-C"),
    ("default file", b"\xe9",        b".qmail-default",    b"\xe9"),
    ("default file", b"default",     b".qmail-default",    b"default"),
    ("default file", b"a/b",         b".qmail-default",    b"a/b"),
    ("default file", b"../joe/x",    b".qmail-default",    b"../joe/x"),
    ("default file", b"a" * 900,     b".qmail-default",    b"a" * 900),
    ("both",         b"a",           b".qmail-a",          None),
    ("both",         b"a-b",         b".qmail-default",    b"a-b"),
    ("levels",       b"a-b",         b".qmail-a-default",  b"b"),
    ("levels",       b"A-B",         b".qmail-a-default",  b"B"),
    ("levels",       b"a-b-C-d",     b".qmail-a-b-default", b"C-d"),
    ("levels",       b"a-",          b".qmail-a-default",  b""),
    ("levels",       b"a",           b".qmail-default",    b"a"),
    ("levels",       b"b-a",         b".qmail-default",    b"b-a"),
    ("none",         b"a",           None,                 None),
    ("none",         b"",            None,                 None),
    ("slash",        b"/x",          b".qmail-default",    b"/x"),
    ("odd",          b"",            b".qmail-",           None),
    ("odd",          b"a-",          b".qmail-a-",         None),
    ("odd",          b"A.B",         b".qmail-a:b",        None),
    ("odd",          b"x-default",   b".qmail-x-default",  b"default"),
    ("odd",          b"x-DEFAULT",   b".qmail-x-default",  b"DEFAULT"),
    ("odd",          b"x-y",         b".qmail-x-default",  b"y"),
    ("odd",          b"\xe9",        b".qmail-\xe9",       None),
]


@pytest.mark.parametrize(("files", "ext", "taken", "default"), CHOICES)
def test_choice_of_file(
        user: User, files: str, ext: bytes, taken: "bytes | None", default: "bytes | None") -> None:
    (user.home / ".qmail-").mkdir() if files == "slash" else None
    for each in FILES[files]:
        user.write(each, b'|echo "%s:${DEFAULT-not set}" >taken' % os.fsencode(each))
    outcome = user.deliver(ext)

    if taken is None:
        assert (outcome.code, outcome.output) == (100, b"Sorry, no mailbox here by that name. (#5.1.1)\n")
        assert user.read("taken") is None
    else:
        assert (outcome.code, outcome.output) == (0, b"did 0+0+1\n")
        assert user.read("taken") == b"%s:%s\n" % (taken, b"not set" if default is None else default)


def test_without_an_extension_a_missing_file_is_the_default_delivery(user: User) -> None:
    assert user.deliver(aliasempty=b"./Maildir/").code == 0
    assert user.new() == [DELIVERED]


def test_the_file_for_all_of_a_user_without_extension(user: User) -> None:
    user.write(".qmaildefault", "./Mailbox\n")

    assert user.deliver().code == 0
    assert user.read("Mailbox") is not None


def test_a_file_that_may_not_be_read_is_temporary(user: User) -> None:
    user.write(".qmail-a", "./Maildir/\n", 0o000)
    user.write(".qmail-default", "./Maildir/\n")
    outcome = user.deliver(b"a")

    assert outcome.code == 111
    assert b".qmail-a: Permission denied" in outcome.output
    assert user.new() == []


def test_a_fifo_does_not_hold_a_delivery(user: User) -> None:
    os.mkfifo(user.home / ".qmail-a")
    user.write(".qmail-default", "./Mailbox\n")

    assert user.deliver(b"a").code == 0
    assert user.read("Mailbox") is not None


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


# ---- the sender of forwards ----

@pytest.mark.parametrize(("files", "sender", "expected"), [
    ([], b"s@far", b"s@far"),
    ([".qmail-list-owner"], b"s@far", b"joe-list-owner@m.host.example"),
    ([".qmail-list-owner", ".qmail-list-owner-default"], b"s@far", b"joe-list-owner-@m.host.example-@[]"),
    ([".qmail-list-owner-default"], b"s@far", b"s@far"),
    ([".qmail-list-owner"], b"", b""),
    ([".qmail-list-owner"], b"#@[]", b"#@[]"),
])
def test_owner(user: User, files: "list[str]", sender: bytes, expected: bytes) -> None:
    user.write(".qmail-list", "ann@far.example\n|echo \"$NEWSENDER\" >newsender\n")
    for each in files:
        user.write(each, "&joe\n")

    assert user.deliver(b"list", sender=sender).code == 0
    assert user.envelope() == b"F%s\0Tann@far.example\0\0" % expected
    assert user.read("newsender") == expected + b"\n"


@pytest.mark.parametrize(("files", "expected"), [
    ([".qmail-list-owner"], b"list-owner@v.example"),
    ([".qmail-list-owner", ".qmail-list-owner-default"], b"list-owner-@v.example-@[]"),
])
def test_owner_in_a_virtual_domain_is_the_address_that_people_know(user: User, files: "list[str]", expected: bytes) -> None:
    """joe-list-owner@v.example would come back as joe-joe-list-owner, for which there is no file."""
    control = user.world.installation.path / "control/virtualdomains"
    user.world.installation.control("virtualdomains", "v.example:joe\nother.example:joe-list\n")
    user.write(".qmail-list", "ann@far.example\n|echo \"$NEWSENDER\" >newsender\n")
    for each in files:
        user.write(each, "&joe\n")
    try:
        code = user.deliver(b"list", sender=b"s@far", domain=b"v.example").code
        control.unlink()
        control.mkdir()                         # a control file that cannot be read: nobody guesses
        unreadable = user.deliver(b"list", sender=b"s@far", domain=b"v.example").code
    finally:
        control.rmdir()

    assert (code, unreadable) == (0, 111)
    assert user.envelope() == b"F%s\0Tann@far.example\0\0" % expected
    assert user.read("newsender") == expected + b"\n"


# ---- loops ----

@pytest.mark.parametrize(("line", "code"), [
    (b"Delivered-To: joe@m.host.example\n", 100), (b"Delivered-To: joe@M.Host.Example\n", 100),
    (b"Delivered-To: Joe@m.host.example\n", 0), (b"Delivered-To: joe@host.example\n", 0),
    (b"\nDelivered-To: joe@m.host.example\n", 0)])
def test_loop(user: User, line: bytes, code: int) -> None:
    user.write(".qmail", "./Maildir/\n")
    outcome = user.deliver(message=b"Subject: x\n" + line + b"\nbody\n")

    assert outcome.code == code
    if code:
        assert outcome.output == b"This message is looping: it already has my Delivered-To line. (#5.4.6)\n"
        assert user.new() == []


# ---- arguments, homes, -n ----

def test_explaining_does_nothing(user: User) -> None:
    user.write(".qmail", "./Maildir/\n./Mailbox\n|touch ran\n&ann@far.example\n")
    user.home.chmod(0o1755)
    outcome = user.deliver(options=(b"-n", b"--"), message=DTLINE + MESSAGE)

    assert outcome.code == 0
    assert outcome.output == (
        b"maildir ./Maildir/\nmbox ./Mailbox\nprogram touch ran\nforward ann@far.example\ndid 2+1+1\n")
    assert b"user is editing his .qmail file" in outcome.errors
    assert user.new() == []
    assert (user.read("ran"), user.read("Mailbox"), user.envelope()) == (None, None, None)


def test_the_last_of_the_options_counts(user: User) -> None:
    user.write(".qmail", "./Maildir/\n")

    assert user.deliver(options=(b"-nN",)).code == 0
    assert user.deliver(options=(b"-N", b"-n")).output == b"maildir ./Maildir/\ndid 1+0+0\n"
    assert user.new() == [DELIVERED]


@pytest.mark.parametrize("arguments", [
    [], [b"joe"], [b"joe", b"/", b"joe", b"", b"", b"h", b"s"], [b"joe", b"home", b"joe", b"", b"", b"h", b"s", b"e"],
    [b"joe", b"/", b"joe", b"", b"", b"h", b"s", b"e", b"more"],
    [b"-x", b"--", b"joe", b"/", b"joe", b"", b"", b"h", b"s", b"e"]])
def test_wrong_usage(user: User, arguments: "list[bytes]") -> None:
    outcome = user.world.run([b"vq-local", *arguments], {b"PATH": b"/bin"}, user.scratch, MESSAGE, user.scratch)

    assert outcome.code == 100
    assert b"usage: vq-local" in outcome.errors


def test_a_home_that_is_not_there_is_temporary(user: User) -> None:
    user.home = user.home / "gone"
    outcome = user.deliver()

    assert outcome.code == 111
    assert b"Unable to switch to " in outcome.output


# ---- trouble in the system ----

@pytest.mark.parametrize(("call", "when", "error"), [
    ("fsync", 1, "EIO"), ("fsync", 2, "EIO"), ("linkat", 1, "ENOSPC"), ("linkat", 1, "EDQUOT"),
    ("linkat", 1, "EMLINK"), ("write", 1, "ENOSPC"), ("write", 1, "EDQUOT"), ("chdir", 1, "EACCES")])
def test_after_any_error_nobody_hears_that_it_was_delivered(
        installation: support.Home, tmp_path: pathlib.Path, call: str, when: int, error: str) -> None:
    user = User(local_world.World(installation, warm=False, ids=support.single_ids()), tmp_path)
    user.write(".qmail", "./Maildir/\n")
    user.world.before = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                         f"inject={call}:error={error}:when={when}", "--"]
    outcome = user.deliver()

    assert outcome.code == 111
    assert b"did " not in outcome.output
    # only where the name could not be synced may the message be there: then it comes twice, not never
    assert user.new() == ([DELIVERED] if (call, when) == ("fsync", 2) else [])
    assert list((user.home / "Maildir" / "tmp").iterdir()) == []


@pytest.mark.parametrize("error", ["EMFILE", "ENFILE", "EIO", "ENOMEM", "EACCES", "EPERM", "ELOOP"])
def test_trouble_with_a_dot_qmail_file_is_never_its_absence(
        installation: support.Home, tmp_path: pathlib.Path, error: str) -> None:
    user = User(local_world.World(installation, warm=False, ids=support.single_ids()), tmp_path)
    file = user.write(".qmail-a", "./Maildir/\n")
    user.write(".qmail-default", "./Mailbox\n")
    user.world.before = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", str(file), "-e", "trace=openat", "-e",
                         f"inject=openat:error={error}", "--"]

    assert user.deliver(b"a").code == 111
    assert user.new() == []
    assert user.read("Mailbox") is None


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
