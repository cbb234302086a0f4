"""vq-local against the interface, cold and warm: which file is taken, as whom it forwards, loops, usage and trouble.

The expected results are written by hand from qmail's interface.
"""

import os
import pathlib

import local_world
import pytest
import support
from local_world import DELIVERED, DTLINE, MESSAGE, User
from local_world import installation, user, world  # noqa: F401

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
