"""forward, condredirect, except, bouncesaying, preline and qreceipt as lines of dot-qmail files, cold and warm, and from a shell.

The expected results are written by hand from qmail's interface.
"""

import os
import re
import signal
import subprocess

import pytest
import system as module
from local_world import MESSAGE, User, installation, joe, shell, user, world  # noqa: F401
from small_world import DELIVERED, DTLINE, LINES, RPLINE, SENDER, run

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
    module.wait_until(lambda: re.search(r"delivery \d+: success: forward:_qp_\d+/did_0\+0\+2/\n", system.log()), "its report")

    assert system.inject("bob@domain2.test", ["list@domain1.test"], text.replace(b"hi", b"stop")) == 0
    both = system.wait_for_mail("domain2.test", "bob", 2)
    assert [b"This list is closed. (#5.7.1)" in each.read_bytes() for each in both].count(True) == 1
    module.wait_until(lambda: re.search(r"delivery \d+: success: condredirect:_qp_\d+/did_0\+0\+1/\n", system.log()),
                      "the report of the other one")
    assert re.search(r"delivery \d+: failure: This_list_is_closed\._\(#5\.7\.1\)/\n", system.log())
