"""vq-local against the interface, cold and warm: every line type, and every line type in every kind of file.

The expected results are written by hand from qmail's interface.
"""

import os
import pathlib
import re
import subprocess

import local_world
import pytest
import support
from local_world import DELIVERED, DTLINE, MESSAGE, RPLINE, User
from local_world import installation, user, world  # noqa: F401

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
