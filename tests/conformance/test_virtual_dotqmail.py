"""A virtual user's own .qmail: what it may do, when it is not obeyed, how loops end; virtmaildelivery cold and warm."""

import os
import pathlib
import subprocess
import typing

import local_world
import pytest
import support
from local_world import MESSAGE

KNOWN = b"bob@d.example"
RPLINE, DTLINE = b"Return-Path: <s@far.example>\n", b"Delivered-To: %s\n" % KNOWN
ENV = {b"RPLINE": RPLINE, b"DTLINE": DTLINE, b"UFLINE": b"From s@far.example Sat Nov 21 10:00:00 2026\n", b"RECIPIENT": KNOWN,
       b"LOCAL": b"bob", b"HOST": b"d.example", b"EXT": b"", b"SENDER": b"s@far.example", b"USER": b"bob"}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> support.Home:
    return support.make_home(tmp_path_factory.mktemp("virtual") / "home")


@pytest.fixture(scope="module", params=["cold", "warm"])
def world(request: pytest.FixtureRequest, installation: support.Home) -> "typing.Iterator[local_world.World]":
    world = local_world.World(installation, request.param == "warm", support.single_ids())
    yield world
    world.close()


class Bob:
    """bob@d.example, his home, and mail for him; `QMAILQUEUE` keeps what his .qmail forwards."""

    def __init__(self, world: local_world.World, path: pathlib.Path) -> None:
        self.world = world
        self.domain, self.scratch, self.queue = path / "d.example", path / "scratch", path / "queue"
        self.home = self.domain / "home/bob"
        for each in (path, *path.parents):
            if each.stat().st_uid == os.geteuid() and each != pathlib.Path("/"):
                each.chmod(each.stat().st_mode | 0o711)
        for each in (self.domain, self.domain / "home", self.home, self.scratch):
            each.mkdir(mode=0o755)
            os.chown(each, *world.ids)
        self.queue.write_text(local_world.QUEUE.format(scratch=self.scratch))
        self.queue.chmod(0o755)

    def write(self, name: str, text: str, mode: int = 0o600) -> None:
        path = self.home / name
        path.write_text(text)
        path.chmod(mode)
        os.chown(path, *self.world.ids)

    def mail(self, allowed: bytes, message: bytes = MESSAGE, **env: bytes) -> local_world.Outcome:
        """Deliver `message`, with .qmail files allowed to do what `allowed` says."""
        given = ENV | {b"PATH": b"/usr/bin:/bin", b"HOME": os.fsencode(self.home), b"QMAILQUEUE": os.fsencode(self.queue)}
        return self.world.run([b"virtmaildelivery", b"bob", b"home/bob", allowed],
                              given | {name.encode(): value for name, value in env.items()}, self.domain, message,
                              self.scratch)

    def new(self) -> "list[bytes]":
        folder = self.home / "Maildir/new"
        return sorted(each.read_bytes() for each in folder.iterdir()) if folder.is_dir() else []

    def forwarded(self) -> "tuple[bytes, bytes] | None":
        """Envelope and message of what was forwarded."""
        path = self.scratch / "queued.envelope"
        return (path.read_bytes(), (self.scratch / "queued.message").read_bytes()) if path.exists() else None

    def read(self, name: str) -> "bytes | None":
        path = self.home / name
        return path.read_bytes() if path.exists() else None


@pytest.fixture
def bob(world: local_world.World, tmp_path: pathlib.Path) -> Bob:
    return Bob(world, tmp_path)


IN_MAILDIR = [RPLINE + DTLINE + MESSAGE]


@pytest.mark.parametrize("text", ["|exit 100\n", "&joe@far.example\n", "\n", "|touch ran\n"])
def test_without_permission_nobody_looks_at_it(bob: Bob, text: str) -> None:
    bob.write(".qmail", text, 0o666)
    outcome = bob.mail(b"no")

    assert (outcome.code, outcome.output, bob.new()) == (0, b"", IN_MAILDIR)


@pytest.mark.parametrize("allowed", [b"forwards", b"programs"])
def test_forwards(bob: Bob, allowed: bytes) -> None:
    bob.write(".qmail", "# on holidays\n&joe@far.example\nann@far.example\n")
    outcome = bob.mail(allowed)

    assert outcome.code == 0
    assert outcome.output.startswith(b"did 0+2+0\nqp ")
    assert bob.forwarded() == (b"Fs@far.example\0Tjoe@far.example\0Tann@far.example\0\0", DTLINE + MESSAGE)
    assert bob.new() == []


@pytest.mark.parametrize("line", ["./Maildir/", "{home}/Maildir/", "./Maildir/  "])
def test_a_copy_is_kept(bob: Bob, line: str) -> None:
    bob.write(".qmail", line.format(home=bob.home) + "\n&joe@far.example\n")
    outcome = bob.mail(b"forwards")

    assert outcome.output.startswith(b"did 1+1+0\nqp ")
    assert (outcome.code, bob.new()) == (0, IN_MAILDIR)
    assert bob.forwarded() is not None


@pytest.mark.parametrize("text", ["", None])
def test_an_empty_file_or_none_means_the_maildir(bob: Bob, text: "str | None") -> None:
    if text is not None:
        bob.write(".qmail", text)
    assert (bob.mail(b"programs").code, bob.new()) == (0, IN_MAILDIR)


def test_a_file_with_only_a_comment_throws_away(bob: Bob) -> None:
    bob.write(".qmail", "# nothing\n")

    assert (bob.mail(b"forwards").code, bob.new(), bob.forwarded()) == (0, [], None)


@pytest.mark.parametrize(("allowed", "line", "words"), [
    (b"forwards", "|touch ran", b"line 2: a program is not allowed here"),
    (b"forwards", "./mbox", b"line 2: a mbox is not allowed here"),
    (b"programs", "./mbox", b"line 2: a mbox is not allowed here"),
    (b"programs", "/etc/passwd", b"line 2: a mbox is not allowed here"),
    (b"forwards", "./Other/", b"line 2: a virtual user's maildir is ./Maildir/, no other"),
    (b"programs", "../ann/Maildir/", b"line 2: a virtual user's maildir is ./Maildir/, no other"),
    (b"programs", "/home/ann/Maildir/", b"line 2: a virtual user's maildir is ./Maildir/, no other"),
])
def test_what_is_not_allowed_puts_it_off_and_nothing_is_forwarded(bob: Bob, allowed: bytes, line: str, words: bytes) -> None:
    bob.write(".qmail", f"&joe@far.example\n{line}\n")
    outcome = bob.mail(allowed)

    assert outcome.code == 111
    assert words in outcome.output
    assert (bob.new(), bob.forwarded(), bob.read("ran")) == ([], None, None)


def test_a_program_has_a_clean_environment_and_the_message_from_its_first_byte(bob: Bob) -> None:
    bob.write(".qmail", "|cat >message; env -0 >variables; id -u >who; pwd >where\n")
    outcome = bob.mail(b"programs", EXT=b"lists", LOCAL=b"bob-lists", RECIPIENT=b"bob-lists@d.example", FORWARDING=b"no",
                       QUOTA=b"5M")

    assert (outcome.code, outcome.output) == (0, b"did 0+0+1\n")
    assert bob.read("message") == MESSAGE
    assert bob.read("who") == b"%d\n" % bob.world.ids[0]
    assert bob.read("where") == b"%s\n" % os.fsencode(bob.home)
    values = dict(line.split("=", 1) for line in (bob.read("variables") or b"").decode().split("\0")[:-1])
    wanted = {"USER": "bob", "HOME": str(bob.home), "LOCAL": "bob-lists", "EXT": "lists", "HOST": "d.example", "HOST2": "d",
              "RECIPIENT": "bob-lists@d.example", "SENDER": "s@far.example", "NEWSENDER": "s@far.example"}
    assert {name: values.get(name) for name in wanted} == wanted
    assert set(values) - set(wanted) <= {"PATH", "PWD", "SHLVL", "_", "OLDPWD", "DTLINE", "RPLINE", "UFLINE", "QMAILQUEUE",
                                         "EXT2", "EXT3", "EXT4", "HOST3", "HOST4"}


@pytest.mark.parametrize(("code", "expected", "kept"), [(0, 0, 1), (99, 0, 0), (100, 100, 0), (64, 100, 0), (111, 111, 0), (1, 111, 0)])
def test_exit_codes_of_programs(bob: Bob, code: int, expected: int, kept: int) -> None:
    bob.write(".qmail", f"|echo it says {code}; exit {code}\n./Maildir/\n")
    outcome = bob.mail(b"programs")

    assert (outcome.code, len(bob.new())) == (expected, kept)
    assert outcome.output.startswith(b"it says %d\n" % code)


@pytest.mark.parametrize(("ext", "files", "chosen"), [
    (b"lists", {".qmail-lists": "&a@x", ".qmail-default": "&b@x", ".qmail": "&c@x"}, b"Ta@x"),
    (b"LISTS", {".qmail-lists": "&a@x", ".qmail": "&c@x"}, b"Ta@x"),
    (b"lists-y", {".qmail-lists-default": "&a@x", ".qmail": "&c@x"}, b"Ta@x"),
    (b"other", {".qmail-lists": "&a@x", ".qmail-default": "&b@x", ".qmail": "&c@x"}, b"Tb@x"),
    (b"other", {".qmail-lists": "&a@x", ".qmail": "&c@x"}, b"Tc@x"),
    (b"", {".qmail-lists": "&a@x", ".qmail-default": "&b@x", ".qmail": "&c@x"}, b"Tc@x"),
    (b"a/../b", {".qmail-a:b": "&a@x", ".qmail": "&c@x"}, b"Tc@x"),
    (b"a.b", {".qmail-a:b": "&a@x", ".qmail": "&c@x"}, b"Ta@x"),
])
def test_which_file_counts_for_an_extension(bob: Bob, ext: bytes, files: "dict[str, str]", chosen: bytes) -> None:
    for name, text in files.items():
        bob.write(name, text + "\n")
    bob.mail(b"forwards", EXT=ext)
    forwarded = bob.forwarded()

    assert forwarded is not None
    assert forwarded[0].split(b"\0")[1] == chosen


def test_an_owner_file_makes_the_sender_of_a_list(bob: Bob) -> None:
    bob.write(".qmail-lists", "&joe@far.example\n")
    bob.write(".qmail-lists-owner", "./Maildir/\n")
    bob.mail(b"forwards", EXT=b"lists", LOCAL=b"bob-lists", RECIPIENT=b"bob-lists@d.example")
    forwarded = bob.forwarded()

    assert forwarded is not None
    assert forwarded[0] == b"Fbob-lists-owner@d.example\0Tjoe@far.example\0\0"


@pytest.mark.parametrize(("what", "words"), [
    ("file", b".qmail file is writable"), ("home", b"home directory is writable"), ("sticky", b"is editing his .qmail file"),
    ("blank", b"first line of .qmail file is blank"), ("x bit", b"only forwards may stand there"),
    ("unreadable", b"cannot read ./.qmail")])
def test_trouble_with_the_file_puts_it_off(bob: Bob, what: str, words: bytes) -> None:
    bob.write(".qmail", "\n./Maildir/\n" if what == "blank" else "./Maildir/\n",
              {"file": 0o602, "x bit": 0o700, "unreadable": 0}.get(what, 0o600))
    bob.home.chmod({"home": 0o757, "sticky": 0o1755}.get(what, 0o755))
    outcome = bob.mail(b"forwards")

    assert outcome.code == 111
    assert words in outcome.output
    assert bob.new() == []


# ---- loops ----

@pytest.mark.parametrize("allowed", [b"no", b"forwards"])
@pytest.mark.parametrize("old", [b"bob@d.example", b"bob@D.Example", b"d-bob@d.example"])
def test_a_message_that_was_here_goes_back(bob: Bob, allowed: bytes, old: bytes) -> None:
    bob.write(".qmail", "&joe@far.example\n./Maildir/\n")
    outcome = bob.mail(allowed, b"Received: x\nDelivered-To: %s\nSubject: x\n\ny\n" % old,
                       DTLINE=b"Delivered-To: d-bob@d.example\n")

    assert outcome.code == 100
    assert outcome.output == b"This message is looping: it already has my Delivered-To line. (#5.4.6)\n"
    assert (bob.new(), bob.forwarded()) == ([], None)
    assert list((bob.home / "Maildir/tmp").iterdir()) == []


@pytest.mark.parametrize("message", [
    b"Delivered-To: Bob@d.example\n\nx\n", b"X: y\n Delivered-To: bob@d.example\n\nx\n", b"X: y\n\nDelivered-To: bob@d.example\n",
    b"Delivered-To: bob@d.example.org\n\nx\n", b"Delivered-To: xbob@d.example\n\nx\n"])
def test_other_lines_make_no_loop(bob: Bob, message: bytes) -> None:
    assert (bob.mail(b"no", message).code, bob.new()) == (0, [RPLINE + DTLINE + message])


def test_a_line_far_down_in_a_large_header_is_a_loop_and_leaves_nothing(bob: Bob) -> None:
    outcome = bob.mail(b"no", b"X: " + b"y" * 200_000 + b"\n" + DTLINE + b"\n" + b"z" * 200_000)

    assert (outcome.code, bob.new(), list((bob.home / "Maildir/tmp").iterdir())) == (100, [], [])


# ---- forwarding=no ----

def test_where_forwarding_is_off_nothing_goes_to_other_hosts(bob: Bob) -> None:
    bob.write(".qmail", "&joe@far.example\n./Maildir/\n")
    outcome = bob.mail(b"forwards", FORWARDING=b"no")

    assert outcome.code == 111
    assert b"mail may not go on to other hosts" in outcome.output
    assert (bob.new(), bob.forwarded()) == ([], None)


def test_behind_a_filter_in_a_pipe_it_is_the_same(bob: Bob) -> None:
    if bob.world.driver is not None:
        return                                  # a worker's descriptor 0 may be a pipe, too, but this is how one gets one
    bob.write(".qmail", "&joe@far.example\n./Maildir/\n|wc -c >size\n")
    message = b"Subject: x\n\n" + b"y" * 300_000
    done = subprocess.run([bob.world.installation.bin("virtmaildelivery"), "bob", "home/bob", "programs"], input=message,
                          cwd=bob.domain, env=ENV | {b"PATH": b"/usr/bin:/bin", b"HOME": os.fsencode(bob.home),
                                                     b"QMAILQUEUE": os.fsencode(bob.queue)},
                          check=False, capture_output=True, timeout=60, **bob.world.who)
    forwarded = bob.forwarded()

    assert (done.returncode, bob.new(), bob.read("size")) == (0, [RPLINE + DTLINE + message], b"%d\n" % len(message))
    assert forwarded is not None
    assert forwarded[1] == DTLINE + message
