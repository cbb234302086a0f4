"""The small commands as lines of dot-qmail files, cold and warm, and as commands of a shell.

The expected results are written by hand from qmail's interface.
"""

import fcntl
import os
import pathlib
import re
import signal
import stat
import struct
import subprocess
import termios
import time
import tty
import typing

import local_world
import pytest
import support
import system as module
from local_world import MESSAGE, User

DTLINE = b"Delivered-To: joe@m.host.example\n"
RPLINE = b"Return-Path: <sender@far.example>\n"
DELIVERED = RPLINE + DTLINE + MESSAGE
SENDER = b"sender@far.example"


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> support.Home:
    return support.make_home(tmp_path_factory.mktemp("small") / "home")


@pytest.fixture(scope="module", params=["cold", "warm"])
def world(request: pytest.FixtureRequest, installation: support.Home) -> "typing.Iterator[local_world.World]":
    world = local_world.World(installation, request.param == "warm", local_world.ids_with_a_name())
    yield world
    world.close()


@pytest.fixture
def user(world: local_world.World, tmp_path: pathlib.Path) -> User:
    return User(world, tmp_path)


@pytest.fixture(scope="module")
def shell(installation: support.Home) -> local_world.World:
    """The same programs from a shell: their message may be a pipe, their environment is the test's."""
    return local_world.World(installation, warm=False, ids=support.single_ids())


@pytest.fixture
def joe(shell: local_world.World, tmp_path: pathlib.Path) -> User:
    return User(shell, tmp_path)


LINES = {"UFLINE": "From s@a Sat Nov 21 05:18:57 2026\n", "RPLINE": "Return-Path: <s@a>\n",
         "DTLINE": "Delivered-To: joe@b\n"}


def run(user: User, argv: "list[str | bytes]", message: "bytes | None" = None, env: "dict[str, str] | None" = None,
        **options: typing.Any) -> "subprocess.CompletedProcess[bytes]":
    """Run a program with `message` in a pipe; what is queued goes to the user's queue."""
    return user.world.installation.run(argv, MESSAGE if message is None else message,
                                       {"QMAILQUEUE": str(user.queue)} | (env or {}), cwd=user.home, **options)


# ---- forward ----

@pytest.mark.parametrize("quoted", ["forward ann@far.example bob", "forward 'ann@far.example' bob"])
def test_forward(user: User, quoted: str) -> None:
    user.write(".qmail", f"|{quoted}\n./Maildir/\n")
    outcome = user.deliver()

    assert (outcome.code, outcome.output) == (0, b"did 1+0+1\n")
    assert re.fullmatch(rb"forward: qp [0-9]+\n", outcome.errors)
    assert user.envelope() == b"Fsender@far.example\0Tann@far.example\0Tbob\0\0"
    assert user.queued() == DTLINE + MESSAGE
    assert user.new() == [DELIVERED]


def test_forward_takes_the_new_sender(user: User) -> None:
    user.write(".qmail-list", "|forward ann@far.example\n")
    user.write(".qmail-list-owner", "joe\n")

    assert user.deliver(b"list").code == 0
    assert user.envelope() == b"Fjoe-list-owner@m.host.example\0Tann@far.example\0\0"


def test_forward_behind_a_program_that_has_read_the_message(user: User) -> None:
    user.write(".qmail", "|grep -q '^X: y' && forward ann@far.example\n")

    assert user.deliver().code == 0
    assert user.queued() == DTLINE + MESSAGE


def test_forward_of_what_a_filter_makes(user: User) -> None:
    user.write(".qmail", "|sed 's/^X: y/X: z/' | forward ann@far.example\n")

    assert user.deliver().code == 0
    assert user.queued() == DTLINE + MESSAGE.replace(b"X: y", b"X: z")


def test_an_address_made_on_the_fly(user: User) -> None:
    user.write(".qmail-default", '|forward "$DEFAULT"@far.example\n')

    assert user.deliver(b"a b;c").code == 0
    assert user.envelope() == b"Fsender@far.example\0Ta b;c@far.example\0\0"


@pytest.mark.parametrize(("queue", "code"), [("31", 100), ("11", 100), ("53", 111), ("71", 111), ("91", 111), ("7", 111)])
@pytest.mark.parametrize("command", ["forward ann@far.example", "condredirect ann@far.example true"])
def test_what_the_queue_says(user: User, command: str, queue: str, code: int) -> None:
    user.extra = {b"QUEUE_EXIT": queue.encode()}
    user.write(".qmail", f"|{command}\n./Maildir/\n")
    outcome = user.deliver()

    assert outcome.code == code
    assert outcome.errors.startswith(command.split()[0].encode() + b": fatal: ")
    assert user.new() == []


@pytest.mark.parametrize(("command", "missing"), [
    ("forward", "NEWSENDER"), ("forward", "DTLINE"), ("condredirect", "SENDER"), ("condredirect", "DTLINE")])
def test_a_variable_that_is_not_set(joe: User, command: str, missing: str) -> None:
    joe.write("message", MESSAGE)
    env = {"NEWSENDER": "n@x", "SENDER": "s@x"} | LINES
    del env[missing]
    argv: list[str | bytes] = [command, "ann@x", *(["true"] if command == "condredirect" else [])]
    done = run(joe, argv, env=env)

    assert (done.returncode, done.stdout, done.stderr) == (
        100, b"", f"{command}: fatal: {missing} not set\n".encode())
    assert joe.envelope() is None


def test_a_set_but_empty_sender_is_the_null_sender(joe: User) -> None:
    assert run(joe, ["forward", "ann@x"], env={"NEWSENDER": ""} | LINES).returncode == 0
    assert joe.envelope() == b"F\0Tann@x\0\0"
    assert joe.queued() == b"Delivered-To: joe@b\n" + MESSAGE


def test_the_delivered_to_line_is_one_line(joe: User) -> None:
    env = {"NEWSENDER": "s@x", "DTLINE": "Delivered-To: a\nX-Evil: b"}

    assert run(joe, ["forward", "ann@x"], env=env).returncode == 0
    assert joe.queued() == b"Delivered-To: a_X-Evil: b\n" + MESSAGE


@pytest.mark.parametrize("arguments", [[], [""], ["a@x", ""]])
def test_forward_to_nobody_loses_nothing(joe: User, arguments: "list[str | bytes]") -> None:
    done = run(joe, ["forward", *arguments], env={"NEWSENDER": "s@x"} | LINES)

    assert done.returncode == 100
    assert joe.envelope() is None


def test_forward_reaches_the_queue_of_the_installation(joe: User) -> None:
    todo = joe.world.installation.path / "queue" / "todo"
    before = {each for each in todo.rglob("*") if each.is_file()}
    done = run(joe, ["forward", "ann@far.example"], env={"NEWSENDER": "s@x", "QMAILQUEUE": ""} | LINES)
    queued, = {each for each in todo.rglob("*") if each.is_file()} - before

    assert done.returncode == 0
    assert re.fullmatch(rb"forward: qp [0-9]+\n", done.stderr)
    assert queued.read_bytes().endswith(b"\0Fs@x\0Tann@far.example\0")


# ---- condredirect, except, bouncesaying ----

#           the program           condredirect  except  bouncesaying
OUTCOMES = {
    "true":                       (99,           100,    100),
    "grep -q X:.y":               (99,           100,    100),
    "grep -q X:.z":               (0,            0,      0),
    "false":                      (0,            0,      0),
    "./exits 2":                  (0,            0,      0),
    "./exits 99":                 (0,            0,      0),
    "./exits 100":                (0,            0,      0),
    "./exits 111":                (111,          111,    111),
    "./exits 127":                (0,            0,      0),
    "no-such-program":            (0,            0,      0),
    "./not-executable":           (0,            0,      0),
    "./without-interpreter":      (99,           100,    100),
    "./dies":                     (111,          111,    111),
    "except true":                (0,            0,      0),
    "except false":               (99,           100,    100),
    "except ./exits 111":         (111,          111,    111),
}
BY_SHELL = ["plain", "by the shell"]


@pytest.mark.parametrize("how", BY_SHELL)
@pytest.mark.parametrize("program", OUTCOMES)
@pytest.mark.parametrize("command", ["condredirect ann@x", "except", "bouncesaying No!"])
def test_what_a_program_says(user: User, command: str, program: str, how: str) -> None:
    if how != "plain" and user.world.driver is not None:
        return                                  # a shell runs it as in the cold world
    user.write("exits", '#!/bin/sh\nexit "$1"\n', 0o700)
    user.write("dies", "#!/bin/sh\nkill -9 $$\n", 0o700)
    user.write("not-executable", "#!/bin/sh\nexit 0\n", 0o600)
    user.write("without-interpreter", "exit 0\n", 0o700)
    user.write(".qmail", f"|{command} {program}{'' if how == 'plain' else ' ;'}\n./Maildir/\n")
    outcome = user.deliver()
    expected = OUTCOMES[program][["condredirect", "except", "bouncesaying"].index(command.split()[0])]

    assert outcome.code == {99: 0}.get(expected, expected)
    assert user.new() == ([DELIVERED] if expected == 0 else [])
    assert user.envelope() == (b"Fsender@far.example\0Tann@x\0\0" if expected == 99 else None)
    assert outcome.output == {0: b"did 1+0+1\n", 99: b"did 0+0+1\n"}.get(expected, b"")
    if command.startswith("bouncesaying") and expected == 100:
        assert outcome.errors == b"No!\n"


def test_condredirect_forwards_what_the_program_has_read(user: User) -> None:
    user.write(".qmail", "|condredirect ann@x wc -c\n./Maildir/\n")
    outcome = user.deliver()

    assert outcome.code == 0
    assert outcome.output == b"%d\ndid 0+0+1\n" % len(MESSAGE)
    assert re.fullmatch(rb"condredirect: qp [0-9]+\n", outcome.errors)
    assert user.queued() == DTLINE + MESSAGE


def test_condredirect_takes_the_old_sender(user: User) -> None:
    user.write(".qmail-list", "|condredirect ann@x true\n")
    user.write(".qmail-list-owner", "joe\n")

    assert user.deliver(b"list").code == 0
    assert user.envelope() == b"Fsender@far.example\0Tann@x\0\0"


def test_condredirect_cannot_rewind_a_pipe(user: User) -> None:
    user.write(".qmail", "|cat | condredirect ann@x cat\n./Maildir/\n")
    outcome = user.deliver()

    assert outcome.code == 111
    assert b"condredirect: fatal: unable to rewind" in outcome.errors
    assert (user.new(), user.envelope()) == ([], None)


def test_the_program_sees_the_delivery_and_the_home(user: User) -> None:
    user.write("look", '#!/bin/sh\necho "$RECIPIENT $1" >seen; pwd >>seen; ls /proc/self/fd >fds; exit 1\n', 0o700)
    user.write(".qmail", "|condredirect ann@x ./look 1\n|except ./look 2\n|bouncesaying no ./look 3\n")

    assert user.deliver().code == 0
    assert user.read("seen") == b"joe@m.host.example 3\n%s\n" % os.fsencode(user.home)
    assert user.read("fds") == b"0\n1\n2\n3\n"


def test_bouncesaying_says_it_to_the_byte(user: User) -> None:
    user.write(".qmail", "|bouncesaying 'Nous sommes fermés. (#5.2.1)'\n")
    outcome = user.deliver()

    assert (outcome.code, outcome.output, outcome.errors) == (100, b"", "Nous sommes fermés. (#5.2.1)\n".encode())


@pytest.mark.parametrize("argv", [
    ["condredirect"], ["condredirect", "ann@x"], ["condredirect", "", "true"], ["except"], ["bouncesaying"], ["preline"],
    ["preline", "-f"], ["preline", "-x", "cat"], ["preline", "--"], ["maildirmake"], ["maildirmake", "a", "b"],
    ["maildirmake", "--help"], ["maildirmake", ""], ["mailsubj"], ["mailsubj", "hi"], ["mailsubj", "hi", ""], ["predate"],
    ["maildir2mbox", "x"]])
def test_wrong_usage(joe: User, argv: "list[str | bytes]") -> None:
    done = run(joe, argv, env={"SENDER": "s@x"} | LINES)

    assert (done.returncode, done.stdout) == (100, b"")
    assert done.stderr.startswith(b"%s: usage: " % str(argv[0]).encode())


def test_a_directory_on_the_path_that_may_not_be_entered_hides_no_program(joe: User) -> None:
    closed = joe.home / "closed"
    closed.mkdir(mode=0o000)
    path = f"{closed}:{joe.home}/message:/usr/bin:/bin"
    joe.write("message", b"")

    assert run(joe, ["except", "true"], env={"PATH": path}).returncode == 100


@pytest.mark.parametrize(("error", "code"), [("ENOMEM", 111), ("EMFILE", 111), ("EIO", 111), ("ETXTBSY", 111), ("EACCES", 0),
                                             ("ENOENT", 0), ("ELOOP", 0)])
def test_a_program_that_cannot_be_started_just_now_has_not_said_no(joe: User, error: str, code: int) -> None:
    argv = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=execve", "-P", "/bin/true", "-e",
            f"inject=execve:error={error}", "--", joe.world.installation.bin("except"), "/bin/true"]

    assert subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60,
                          env={"PATH": "/usr/bin:/bin"}, **joe.world.who).returncode == code


# ---- preline ----

HEADS = {"": ("UFLINE", "RPLINE", "DTLINE"), "-f": ("RPLINE", "DTLINE"), "-r": ("UFLINE", "DTLINE"),
         "-d": ("UFLINE", "RPLINE"), "-frd": (), "-f -r": ("DTLINE",), "-fF": ("UFLINE", "RPLINE", "DTLINE"),
         "-frdR": ("RPLINE",), "-d -D --": ("UFLINE", "RPLINE", "DTLINE")}


@pytest.mark.parametrize("options", HEADS)
def test_preline_in_a_shell(joe: User, options: str) -> None:
    done = run(joe, ["preline", *options.split(), "cat"], env=LINES)

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == "".join(LINES[each] for each in HEADS[options]).encode() + MESSAGE


def test_preline(user: User) -> None:
    user.write("keep", "#!/bin/sh\ncat >seen\nexit 99\n", 0o700)
    user.write(".qmail", "|preline ./keep\n./Maildir/\n")
    outcome = user.deliver()
    first, _, rest = (user.read("seen") or b"").partition(b"\n")

    assert (outcome.code, outcome.output, outcome.errors) == (0, b"did 0+0+1\n", b"")
    assert re.fullmatch(rb"From sender@far\.example \w{3} \w{3} \d\d \d\d:\d\d:\d\d \d{4}", first)
    assert rest == DELIVERED
    assert user.new() == []


def test_preline_leaves_the_programs_options_alone(joe: User) -> None:
    assert run(joe, ["preline", "-f", "head", "-n", "1"], env=LINES).stdout == b"Return-Path: <s@a>\n"


@pytest.mark.parametrize(("program", "code"), [
    ("true", 0), ("./exits 99", 0), ("./exits 100", 100), ("./exits 64", 100), ("./exits 111", 111), ("./exits 3", 111),
    ("./dies", 111), ("no-such-program", 111), ("head -c 1", 0), ("./closes", 0), ("./background", 0)])
def test_preline_and_a_program_that_does_not_read(user: User, program: str, code: int) -> None:
    user.write("exits", '#!/bin/sh\nexit "$1"\n', 0o700)
    user.write("dies", "#!/bin/sh\nkill -9 $$\n", 0o700)
    user.write("closes", "#!/bin/sh\nexec <&-\nexit 0\n", 0o700)
    user.write("background", "#!/bin/sh\nsleep 30 <&0 >/dev/null 2>&1 &\necho $! >sleeper\nexit 0\n", 0o700)
    user.write(".qmail", f"|preline {program}\n")
    outcome = user.deliver(message=b"Subject: large\n\n" + b"x" * 3_000_000)
    if sleeper := user.read("sleeper"):
        os.kill(int(sleeper), signal.SIGKILL)

    assert outcome.code == code


def test_preline_says_what_its_program_ended_with(joe: User) -> None:
    joe.write("exits", '#!/bin/sh\nexit "$1"\n', 0o700)
    for code in (0, 1, 42, 99, 100, 111, 126, 127, 255):
        assert run(joe, ["preline", "./exits", str(code)], env=LINES).returncode == code


@pytest.mark.parametrize("missing", LINES)
def test_preline_without_its_variables(joe: User, missing: str) -> None:
    done = run(joe, ["preline", "-frd", "cat"], env={name: LINES[name] for name in LINES if name != missing})

    assert (done.returncode, done.stdout, done.stderr) == (
        100, b"", f"preline: fatal: {missing} not set\n".encode())


def test_preline_and_procmail(user: User) -> None:
    user.write("rc", "DEFAULT=./Maildir/\nSHELL=/bin/sh\n:0\n* ^Subject: hi\n./Maildir/\n")
    user.write(".qmail", "|preline -f procmail -m ./rc\n")

    assert user.deliver().code == 0
    assert [each.rstrip(b"\n") for each in user.new()] == [DELIVERED]


# ---- maildirmake ----

def test_maildirmake(joe: User) -> None:
    done = run(joe, ["maildirmake", "New Mail/"])

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert sorted(each.name for each in (joe.home / "New Mail").iterdir()) == ["cur", "new", "tmp"]
    for each in ("", "cur", "new", "tmp"):
        assert stat.S_IMODE((joe.home / "New Mail" / each).stat().st_mode) == 0o700


@pytest.mark.parametrize(("directory", "why"), [("Maildir", b"File exists"), ("absent/Maildir", b"No such file or directory"),
                                                ("/proc/Maildir", b"No such file or directory")])
def test_maildirmake_cannot(joe: User, directory: str, why: bytes) -> None:
    done = run(joe, ["maildirmake", directory])

    assert (done.returncode, done.stderr) == (
        111, b"maildirmake: fatal: unable to mkdir %s: %s\n" % (directory.encode(), why))


def test_a_directory_that_is_there_is_left_as_it_is(joe: User) -> None:
    (joe.home / "empty").mkdir()

    assert run(joe, ["maildirmake", "empty"]).returncode == 111
    assert list((joe.home / "empty").iterdir()) == []


# ---- maildir2mbox ----

OLD = b"From x@y.test Sat Nov  7 05:18:57 2026\nSubject: old\n\nold\n\n"
JOIN = {"MAILDIR": "Maildir", "MAIL": "../Mailbox", "MAILTMP": "../Mailbox.tmp"}


def put(joe: User, name: str, text: bytes, when: int = 1_795_238_337) -> pathlib.Path:
    path = joe.write(f"Maildir/{name}", text)
    os.utime(path, (when, when))
    return path


def test_maildir2mbox(joe: User) -> None:
    joe.write("Mailbox", OLD, 0o640)
    put(joe, "cur/2.M1P2V3I4.host:2,S", b"Return-Path: <>\nSubject: two\n\n>From a\n>>From b\nno end", 1_795_238_338)
    put(joe, "new/1.M1P2V3I4.host", b"Return-Path: <a b@far.test>\n\nFrom c\n From d\n")
    put(joe, "new/3.M1P2V3I4.host", b"Subject: three\n\n")
    put(joe, "new/.hidden", b"not a message\n")
    done = run(joe, ["maildir2mbox"], env=JOIN)

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert joe.read("Mailbox") == OLD + (
        b"From a-b@far.test Sat Nov 21 05:18:57 2026\nReturn-Path: <a b@far.test>\n\n>From c\n From d\n\n"
        b"From MAILER-DAEMON Sat Nov 21 05:18:58 2026\n"
        b"Return-Path: <>\nSubject: two\n\n>>From a\n>>>From b\nno end\n\n"
        b"From XXX Sat Nov 21 05:18:57 2026\nSubject: three\n\n\n")
    assert (joe.home / "Mailbox").stat().st_mode == 0o100640
    assert (joe.home / "Mailbox").stat().st_uid == joe.world.ids[0]
    assert sorted(os.listdir(joe.home / "Maildir/new")) == [".hidden"]
    assert os.listdir(joe.home / "Maildir/cur") == []
    assert joe.read("Mailbox.tmp") is None


def test_python_reads_the_mbox(joe: User) -> None:
    import mailbox

    texts = [b"Subject: %d\n\nFrom %d\n%s" % (each, each, b"\n" * each) for each in range(5)]
    for each, text in enumerate(texts):
        put(joe, f"new/{each}.M1P2V3I4.host", text)

    assert run(joe, ["maildir2mbox"], env=JOIN).returncode == 0
    assert [each["Subject"] for each in mailbox.mbox(str(joe.home / "Mailbox"))] == ["0", "1", "2", "3", "4"]


def test_no_mbox_yet(joe: User) -> None:
    put(joe, "new/1.M1P2V3I4.host", b"Subject: one\n\n")

    assert run(joe, ["maildir2mbox"], env=JOIN).returncode == 0
    assert joe.read("Mailbox") == b"From XXX Sat Nov 21 05:18:57 2026\nSubject: one\n\n\n"
    assert (joe.home / "Mailbox").stat().st_mode == 0o100600


@pytest.mark.parametrize(("old", "gap"), [(b"From x\n\ncut", b"\n\n"), (b"From x\n\nno gap\n", b"\n"), (OLD, b""), (b"", b"")])
def test_a_message_does_not_run_into_the_one_before(joe: User, old: bytes, gap: bytes) -> None:
    joe.write("Mailbox", old)
    put(joe, "new/1.M1P2V3I4.host", b"Subject: one\n\n")

    assert run(joe, ["maildir2mbox"], env=JOIN).returncode == 0
    assert joe.read("Mailbox") == old + gap + b"From XXX Sat Nov 21 05:18:57 2026\nSubject: one\n\n\n"


def test_nothing_new_touches_nothing(joe: User) -> None:
    assert run(joe, ["maildir2mbox"], env=JOIN).returncode == 0
    assert joe.read("Mailbox") is None


@pytest.mark.parametrize("missing", JOIN)
def test_maildir2mbox_without_its_variables(joe: User, missing: str) -> None:
    done = run(joe, ["maildir2mbox"], env={name: JOIN[name] for name in JOIN if name != missing})

    assert (done.returncode, done.stderr) == (111, f"maildir2mbox: fatal: {missing} not set\n".encode())


@pytest.mark.parametrize("trouble", [
    {"MAILDIR": "absent"}, {"MAIL": "../absent/Mailbox"}, {"MAILTMP": "../absent/tmp"}, {"MAILTMP": "../Mailbox"},
    {"MAIL": "../link"}, {"MAIL": "../sub"}, {"MAILTMP": "../sub"}, {"MAILTMP": "/proc/mailtmp"},
    {"MAILTMP": "../hard", "MAIL": "../Mailbox"}])
def test_maildir2mbox_cannot_and_all_is_as_it_was(joe: User, trouble: "dict[str, str]") -> None:
    mbox = joe.write("Mailbox", OLD)
    (joe.home / "link").symlink_to("Mailbox")
    (joe.home / "sub").mkdir()
    os.link(mbox, joe.home / "hard")
    message = put(joe, "new/1.M1P2V3I4.host", b"Subject: one\n\n")
    done = run(joe, ["maildir2mbox"], env=JOIN | trouble)

    assert (done.returncode, done.stdout) == (111, b"")
    assert re.fullmatch(rb"maildir2mbox: [^\n]+\n", done.stderr)
    assert (mbox.read_bytes(), message.read_bytes()) == (OLD, b"Subject: one\n\n")
    assert (joe.home / "link").is_symlink()


def test_a_message_that_cannot_be_removed_is_a_warning(joe: User) -> None:
    put(joe, "new/1.M1P2V3I4.host", b"Subject: one\n\n")
    argv = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=unlink", "-P", "./new/1.M1P2V3I4.host", "-e",
            "inject=unlink:error=EROFS", "--", joe.world.installation.bin("maildir2mbox")]
    done = subprocess.run(argv, capture_output=True, check=False, timeout=60, cwd=joe.home,
                          env={"PATH": "/usr/bin:/bin"} | JOIN, **joe.world.who)

    assert (done.returncode, done.stderr) == (
        0, b"maildir2mbox: warning: $MAILDIR/new/1.M1P2V3I4.host will be delivered twice; unable to unlink: "
           b"Read-only file system\n")
    assert (joe.read("Mailbox") or b"").count(b"Subject: one") == 1


def open_files(pid: int) -> "list[str]":
    found = []
    for each in pathlib.Path(f"/proc/{pid}/fd").glob("*"):
        try:
            found.append(os.readlink(each))
        except FileNotFoundError:               # closed meanwhile
            continue
    return found


def test_an_mbox_delivery_that_waited_for_the_lock_is_not_lost(joe: User) -> None:
    mbox = joe.write("Mailbox", OLD)
    joe.write(".qmail", "./Mailbox\n")
    held = os.open(mbox, os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)            # as maildir2mbox has it
    argv = [joe.world.installation.bin("vq-local"), "joe", str(joe.home), "joe", "", "", "h", "s@x", "#"]
    with (joe.scratch / "message").open("w+b") as message:
        message.write(MESSAGE)
        message.flush()
        waiting = subprocess.Popen(argv, stdin=message, stdout=subprocess.PIPE, env={}, **joe.world.who)
        deadline = time.monotonic() + 60
        while str(mbox) not in open_files(waiting.pid):
            assert time.monotonic() < deadline, "vq-local did not open the mbox"
    replaced = joe.write("Mailbox.new", OLD + b"more\n\n")
    replaced.rename(mbox)
    os.close(held)
    output, _ = waiting.communicate(timeout=60)

    assert (waiting.returncode, output) == (0, b"did 1+0+0\n")
    assert (joe.read("Mailbox") or b"").startswith(OLD + b"more\n\nFrom s@x ")


# ---- mailsubj, predate, datemail ----

@pytest.fixture
def inject(tmp_path: pathlib.Path) -> "typing.Iterator[typing.Callable[[str], User]]":
    """A home of its own, in which one program shows how it was called."""
    home = support.make_home(tmp_path / "installation")
    (tmp_path / "user").mkdir()

    def make(name: str) -> User:
        home.write("bin/" + name, '#!/bin/sh\nfor each in "$0" "$@"; do echo "[$each]"; done\ncat\nexit 42\n', 0o755)
        return User(local_world.World(home, warm=False, ids=support.single_ids()), tmp_path / "user")

    return make


def test_mailsubj_becomes_inject(inject: "typing.Callable[[str], User]") -> None:
    joe = inject("vq-inject")
    done = run(joe, ["mailsubj", "How are\nyou?", "ann@x", "Bob <bob@y>"], b"body\nFrom here\nno end")

    assert done.returncode == 42
    assert done.stdout == (b"[%s]\nSubject: How are you?\nTo: ann@x,\n  Bob <bob@y>\n\nbody\nFrom here\nno end" % (
        joe.world.installation.bin("vq-inject").encode()))


@pytest.mark.parametrize(("zone", "offset"), [("UTC0", b"+0000"), ("XXX-5:30", b"+0530"), ("YYY+3", b"-0300")])
def test_predate(joe: User, zone: str, offset: bytes) -> None:
    before = int(time.time())
    done = run(joe, ["predate", "sh", "-c", "cat; exit 42"], env={"TZ": zone})
    first, _, rest = done.stdout.partition(b"\n")
    now = subprocess.run(["date", "-d", first.decode().removeprefix("Date: "), "+%s"], capture_output=True, check=True).stdout

    assert (done.returncode, rest) == (42, MESSAGE)
    assert re.fullmatch(rb"Date: [1-9]\d? [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d " + re.escape(offset), first)
    assert before <= int(now) <= int(time.time())


def test_one_date_is_enough(joe: User) -> None:
    text = b"Subject: x\ndate: 21 Nov 2026 05:18:57 -0000\n\nbody\n"

    assert run(joe, ["predate", "cat"], text).stdout == text
    assert run(joe, ["predate", "cat"], b"\nDate: in the body\n").stdout.startswith(b"Date: ")


def test_predate_of_a_program_that_is_not_there(joe: User) -> None:
    assert run(joe, ["predate", "no-such-program"]).returncode == 127


def test_datemail(inject: "typing.Callable[[str], User]") -> None:
    joe = inject("sendmail")
    done = run(joe, ["datemail", "-t", "-i", "a b"])
    program, *rest = done.stdout.split(b"\n", 5)

    assert done.returncode == 42
    assert program == b"[%s]" % joe.world.installation.bin("sendmail").encode()
    assert rest[:3] == [b"[-t]", b"[-i]", b"[a b]"]
    assert rest[3].startswith(b"Date: ")
    assert rest[4] == MESSAGE


def test_mailsubj_sends(joe: User) -> None:
    done = run(joe, ["mailsubj", "How are\nyou?", "ann@x.example", "Bob <bob@y.example>"], b"body\nFrom here\n",
               {"QMAILUSER": "joe"})
    head, _, body = joe.queued().partition(b"\n\n")
    envelope = (joe.envelope() or b"").removesuffix(b"\0\0").split(b"\0")

    assert (done.returncode, done.stderr) == (0, b"")
    assert (envelope[0], sorted(envelope[1:])) == (b"Fjoe@host.test", [b"Tann@x.example", b"Tbob@y.example"])
    assert b"\nSubject: How are you?\nTo: ann@x.example,\n  Bob <bob@y.example>" in head
    assert body == b"body\nFrom here\n"


def test_mailsubj_to_who_cannot_be_understood_sends_nothing(joe: User) -> None:
    assert run(joe, ["mailsubj", "hi", "ann@x.example", "two words@y"]).returncode == 100
    assert joe.envelope() is None


def test_datemail_sends_with_one_date(joe: User) -> None:
    done = run(joe, ["datemail", "-t", "-fjoe@host.test"], b"To: ann@x.example\n\nbody\n", {"TZ": "XXX-5:30"})

    assert (done.returncode, done.stderr) == (0, b"")
    assert joe.envelope() == b"Fjoe@host.test\0Tann@x.example\0\0"
    assert re.findall(rb"^Date: .*", joe.queued(), re.MULTILINE) == re.findall(rb"^Date: .* \+0530$", joe.queued(), re.MULTILINE)
    assert joe.queued().count(b"\nDate: ") + joe.queued().startswith(b"Date: ") == 1


# ---- qbiff ----

class Login:
    """A terminal of a user, whose logins stand in a utmp of their own."""

    def __init__(self, joe: User, mode: int, raw: bool = True) -> None:
        self.user = joe
        self.master, self.slave = os.openpty()
        self.path = os.ttyname(self.slave)
        os.chown(self.path, *joe.world.ids)
        os.chmod(self.path, mode)
        if raw:
            tty.setraw(self.slave)
        os.set_blocking(self.master, False)

    def record(self, name: bytes = b"joe") -> bytes:
        return struct.pack("<hxxi32s4s32s256shhiii16s20x", 7, 1, self.path.removeprefix("/dev/").encode(), b"id", name,
                           b"", 0, 0, 1, 2, 3, b"")

    def shown(self) -> bytes:
        """What has been written to it."""
        try:
            return os.read(self.master, 65536)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def login(joe: User) -> "typing.Iterator[typing.Callable[[int], Login]]":
    made: list[Login] = []

    def make(mode: int) -> Login:
        made.append(Login(joe, mode))
        return made[-1]

    yield make
    for each in made:
        each.close()


def qbiff(joe: User, records: bytes, message: bytes = MESSAGE, ids: "tuple[int, int] | None" = None) -> int:
    """Run qbiff where /var/run/utmp has `records`."""
    uid, gid = ids or joe.world.ids
    utmp = joe.write("utmp", records)
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", f"mount -t tmpfs none /run && cat {utmp} >/run/utmp && exec setpriv --reuid {uid} "
         f'--regid {gid} --clear-groups "$@"', "sh", joe.world.installation.bin("qbiff")], input=message, check=False,
        timeout=60, env={"PATH": "/usr/bin:/bin", "USER": "joe", "LOCAL": "joe-ext", "SENDER": "a\x1b@far.example"}).returncode


@pytest.mark.root
def test_qbiff_tells_every_terminal_that_takes_messages(joe: User, login: "typing.Callable[[int], Login]") -> None:
    by_mesg, by_biff, silent, stranger = login(0o620), login(0o700), login(0o600), login(0o622)
    records = by_mesg.record() + by_biff.record() + silent.record() + stranger.record(b"ann")
    text = b"\r\n\a*** TO <joe-ext> FROM <a_@far.example>\r\n    hi \\[31m/body /\r\n".replace(b"\\", b"/")

    assert qbiff(joe, records, b"To: x\nSubject: hi \x1b[31m\n\nbody \xe9") == 0
    assert [each.shown() for each in (by_mesg, by_biff, silent, stranger)] == [text, text, b"", b""]


@pytest.mark.root
def test_qbiff_writes_to_nobody_elses_terminal(joe: User, login: "typing.Callable[[int], Login]") -> None:
    theirs = login(0o622)

    assert qbiff(joe, theirs.record(), ids=(45002, 45002)) == 0
    assert theirs.shown() == b""


@pytest.mark.root
def test_qbiff_does_not_wait_for_a_terminal_that_takes_nothing(joe: User, login: "typing.Callable[[int], Login]") -> None:
    full, stopped, good = login(0o620), login(0o620), login(0o620)
    os.set_blocking(full.slave, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(full.slave, b"x" * 4096)
    termios.tcflow(stopped.slave, termios.TCOOFF)

    assert qbiff(joe, full.record() + stopped.record() + good.record()) == 0
    assert good.shown().startswith(b"\r\n\a*** TO <joe-ext>")


@pytest.mark.root
@pytest.mark.parametrize("records", [b"", b"\x07" * 1000, b"\0" * 384 * 3])
def test_qbiff_and_a_strange_utmp(joe: User, records: bytes) -> None:
    assert qbiff(joe, records) == 0


def test_qbiff_fails_no_delivery(user: User) -> None:
    user.write(".qmail", "|qbiff\n./Maildir/\n")
    outcome = user.deliver()

    assert (outcome.code, outcome.output, outcome.errors) == (0, b"did 1+0+1\n", b"")
    assert user.new() == [DELIVERED]


def test_qbiff_without_its_variables(joe: User) -> None:
    assert run(joe, ["qbiff"]).returncode == 0


# ---- qreceipt ----

ASKED = b"Message-ID: <1@far.example>\nNotice-Requested-Upon-Delivery-To: Joe <joe@M.Host.example>, x@y\nSubject: hi\n\nbody\n"


def test_qreceipt(user: User) -> None:
    user.write(".qmail", "|qreceipt joe@m.host.example\n./Maildir/\n")
    outcome = user.deliver(message=ASKED)

    assert (outcome.code, outcome.output) == (0, b"did 1+0+1\n")
    assert re.fullmatch(rb"qreceipt: qp [0-9]+\n", outcome.errors)
    assert user.envelope() == b"F\0Tsender@far.example\0\0"
    assert re.fullmatch(
        rb"Date: \d+ \w{3} \d{4} \d\d:\d\d:\d\d -0000\nMessage-ID: <\d+\.\d+\.qreceipt@m\.host\.example>\n"
        rb"From: Notice of delivery <joe@m\.host\.example>\nTo: <sender@far\.example>\nSubject: success notice\n"
        rb"Auto-Submitted: auto-replied\nIn-Reply-To: <1@far\.example>\nReferences: <1@far\.example>\n\n"
        rb"Your message has been delivered to\n\n    joe@m\.host\.example\n\nYou asked to be told\.\n"
        rb"It was the message with the ID\n\n    <1@far\.example>\n", user.queued())
    assert user.new() == [DELIVERED.removesuffix(MESSAGE) + ASKED]


@pytest.mark.parametrize("head", [
    b"Subject: nothing asked\n", b"Notice-Requested-Upon-Delivery-To: ann@m.host.example\n",
    b"Notice-Requested-Upon-Delivery-To: Joe@m.host.example\n", b"Notice-Requested-Upon-Delivery-To:\n",
    b"Notice-Requested-Upon-Delivery-To: joe@m.host.example two words\n",
    b"Subject: x\n\nNotice-Requested-Upon-Delivery-To: joe@m.host.example\n",
    b"Notice-Requested-Upon-Delivery-To: joe@m.host.example\nAuto-Submitted: auto-generated (cron)\n"])
def test_no_notice(user: User, head: bytes) -> None:
    user.write(".qmail", "|qreceipt joe@m.host.example\n./Maildir/\n")

    assert user.deliver(message=head + b"\nbody\n").code == 0
    assert user.envelope() is None
    assert len(user.new()) == 1


@pytest.mark.parametrize("sender", [b"", b"#@[]"])
def test_no_notice_to_nobody(user: User, sender: bytes) -> None:
    user.write(".qmail", "|qreceipt joe@m.host.example\n")

    assert user.deliver(message=ASKED, sender=sender).code == 0
    assert user.envelope() is None


def test_one_notice_however_often_it_is_asked_for(joe: User) -> None:
    joe.queue.write_text(f"#!/bin/sh\ncat >/dev/null; cat <&1 >>{joe.scratch}/envelopes\n")
    text = b"Notice-Requested-Upon-Delivery-To: joe@h, joe@h\nNOTICE-requested-upon-delivery-to: (x)\n \"joe\"@H\nAuto-Submitted: no\n\n"

    assert run(joe, ["qreceipt", "joe@h"], text, {"SENDER": "a b@far.example"}).returncode == 0
    assert (joe.scratch / "envelopes").read_bytes() == b"F\0Ta b@far.example\0\0"


def test_nothing_of_a_request_makes_header_lines(joe: User) -> None:
    text = b"Notice-Requested-Upon-Delivery-To: joe@h\nMessage-ID: <a@b>\n Bcc: <c@d>\n\n"

    assert run(joe, ["qreceipt", "joe@h"], text, {"SENDER": "s@x\nBcc: all@x"}).returncode == 0
    assert joe.envelope() is None
    assert run(joe, ["qreceipt", "joe@h"], text, {"SENDER": 'a"b>@x'}).returncode == 0
    assert b'To: <"a\\"b>"@x>\n' in joe.queued()
    assert b"Bcc" not in joe.queued()


@pytest.mark.parametrize(("argv", "env", "text"), [
    (["qreceipt"], {"SENDER": "s@x"}, b"usage: qreceipt address"), (["qreceipt", ""], {"SENDER": "s@x"}, b"usage: qreceipt address"),
    (["qreceipt", "a@b", "c"], {"SENDER": "s@x"}, b"usage: qreceipt address"),
    (["qreceipt", "a@b"], {}, b"fatal: SENDER not set")])
def test_qreceipt_wrongly_used(joe: User, argv: "list[str | bytes]", env: "dict[str, str]", text: bytes) -> None:
    done = run(joe, argv, ASKED, env)

    assert (done.returncode, done.stderr) == (100, b"qreceipt: %s\n" % text)


@pytest.mark.parametrize(("queue", "code"), [("31", 100), ("53", 111)])
def test_a_notice_that_cannot_be_queued(user: User, queue: str, code: int) -> None:
    user.extra = {b"QUEUE_EXIT": queue.encode()}
    user.write(".qmail", "|qreceipt joe@m.host.example\n")

    assert user.deliver(message=ASKED).code == code


# ---- in the whole running system: workers under the owners' uids, the queue service ----

@pytest.mark.root
def test_lines_of_a_domains_owner_with_everything_running(system: "module.System") -> None:
    system.add_domain("domain1.test", {"bob": "one"})
    system.add_domain("domain2.test", {"bob": "two"})
    system.dotqmail("domain1.test", "list", "|condredirect closed@domain1.test grep -q '^Subject: stop'\n"
                                            "|forward bob@domain1.test bob@domain2.test\n")
    system.dotqmail("domain1.test", "list-owner", "./Mailbox\n")
    system.dotqmail("domain1.test", "closed", '|bouncesaying "This list is closed. (#5.7.1)" except grep -q "^Subject: go"\n')
    system.start_all()
    text = b"Subject: hi\n\nFrom here\n"

    assert system.inject("ann@domain2.test", ["list@domain1.test"], text) == 0
    one, = system.wait_for_mail("domain1.test", "bob")
    two, = system.wait_for_mail("domain2.test", "bob")
    for path, domain in ((one, b"domain1.test"), (two, b"domain2.test")):
        lines = path.read_bytes().split(b"\n")
        assert lines[:2] == [b"Return-Path: <list-owner@domain1.test>", b"Delivered-To: bob@%s" % domain]
        assert b"Delivered-To: domain1.test-list@domain1.test" in lines
        assert path.read_bytes().endswith(b"\n" + text)
    assert re.search(r"delivery \d+: success: forward:_qp_\d+/did_0\+0\+2/\n", system.log())

    assert system.inject("bob@domain2.test", ["list@domain1.test"], text.replace(b"hi", b"stop")) == 0
    both = system.wait_for_mail("domain2.test", "bob", 2)
    assert [b"This list is closed. (#5.7.1)" in each.read_bytes() for each in both].count(True) == 1
    assert re.search(r"delivery \d+: success: condredirect:_qp_\d+/did_0\+0\+1/\n", system.log())
    assert re.search(r"delivery \d+: failure: This_list_is_closed\._\(#5\.7\.1\)/\n", system.log())
