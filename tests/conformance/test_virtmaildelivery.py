"""virtmaildelivery: what the original promised, and each of its defects as a test; cold and warm."""

import os
import pathlib
import subprocess
import threading
import typing

import local_world
import pytest
import support
from local_world import MESSAGE

RPLINE = b"Return-Path: <s@far.example>\n"
DTLINE = b"Delivered-To: domain1-bob@domain1.example\n"
HEAD = RPLINE + DTLINE


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> support.Home:
    return support.make_home(tmp_path_factory.mktemp("virtual") / "home")


@pytest.fixture(scope="module", params=["cold", "warm"])
def world(request: pytest.FixtureRequest, installation: support.Home) -> "typing.Iterator[local_world.World]":
    world = local_world.World(installation, request.param == "warm", support.single_ids())
    yield world
    world.close()


class Domain:
    """A domain directory with a bob in home/bob, and runs of virtmaildelivery for him."""

    def __init__(self, world: local_world.World, path: pathlib.Path) -> None:
        self.world = world
        self.path = path / "domain1.example"
        self.scratch = path / "scratch"
        for each in (path, *path.parents):
            if each.stat().st_uid == os.geteuid() and each != pathlib.Path("/"):
                each.chmod(each.stat().st_mode | 0o711)
        for each in (self.path, self.path / "home", self.path / "home" / "bob", self.scratch):
            each.mkdir()
            os.chown(each, *world.ids)

    def deliver(self, *arguments: bytes, message: bytes = MESSAGE,
                env: "dict[bytes, bytes] | None" = None) -> local_world.Outcome:
        """Deliver with these arguments."""
        given = {b"RPLINE": RPLINE, b"DTLINE": DTLINE} if env is None else env
        return self.world.run([b"virtmaildelivery", *arguments], {b"PATH": b"/usr/bin:/bin"} | given, self.path,
                              message, self.scratch)

    def new(self, home: str = "home/bob") -> "list[bytes]":
        """The messages in new/ of the Maildir of `home`."""
        return sorted(each.read_bytes() for each in (self.path / home / "Maildir" / "new").iterdir())


@pytest.fixture
def domain(world: local_world.World, tmp_path: pathlib.Path) -> Domain:
    return Domain(world, tmp_path)


def test_delivery(domain: Domain) -> None:
    outcome = domain.deliver(b"bob", b"home/bob")

    assert (outcome.code, outcome.output, outcome.errors) == (0, b"", b"")
    assert domain.new() == [HEAD + MESSAGE]


@pytest.mark.parametrize("home", [
    b"/home/bob", b"///home/bob", b"home/bob/", b"./home/bob", b"home//bob", b"/home/./bob/."])
def test_the_home_is_relative_to_the_domain(domain: Domain, home: bytes) -> None:
    assert domain.deliver(b"bob", home).code == 0
    assert domain.new() == [HEAD + MESSAGE]


def test_the_domain_itself_may_be_a_home(domain: Domain) -> None:
    assert domain.deliver(b"bob", b"/").code == 0
    assert domain.new(".") == [HEAD + MESSAGE]


# ---- arguments and environment: the words of the original ----

@pytest.mark.parametrize(("arguments", "text"), [
    ([], b"invalid arguments: need username"), ([b"bob"], b"invalid arguments: need home directory")])
def test_missing_arguments(domain: Domain, arguments: "list[bytes]", text: bytes) -> None:
    outcome = domain.deliver(*arguments)

    assert (outcome.code, outcome.output) == (111, text + b"\n")


@pytest.mark.parametrize(("env", "text"), [
    ({b"RPLINE": RPLINE}, b"environment variable DTLINE not set"),
    ({b"DTLINE": DTLINE}, b"environment variable RPLINE not set")])
def test_missing_environment(domain: Domain, env: "dict[bytes, bytes]", text: bytes) -> None:
    outcome = domain.deliver(b"bob", b"home/bob", env=env)

    assert (outcome.code, outcome.output) == (111, text + b"\n")


@pytest.mark.parametrize("home", [b"home/ann", b"home/bob/Mail\x1b[2J\nfake: line"])
def test_no_home_is_temporary_and_named_on_one_line(domain: Domain, home: bytes) -> None:
    outcome = domain.deliver(b"ann", home)

    assert outcome.code == 111
    assert outcome.output.startswith(b"chdir failed: home/")
    assert outcome.output.count(b"\n") == 1
    assert b"\x1b" not in outcome.output


def test_a_maildir_that_is_a_file(domain: Domain) -> None:
    (domain.path / "home" / "bob" / "Maildir").write_bytes(b"")
    outcome = domain.deliver(b"bob", b"home/bob")

    assert outcome.code == 111
    assert outcome.output.startswith(b"chdir failed: home/bob/Maildir")


@pytest.mark.parametrize(("folder", "words"), [("tmp", b"fopen failed"), ("new", b"link failed")])
def test_a_maildir_whose_folder_is_a_file(domain: Domain, folder: str, words: bytes) -> None:
    assert domain.deliver(b"bob", b"home/bob").code == 0
    maildir = domain.path / "home" / "bob" / "Maildir"
    for each in (maildir / folder).iterdir():
        each.unlink()
    (maildir / folder).rmdir()
    (maildir / folder).write_bytes(b"")
    outcome = domain.deliver(b"bob", b"home/bob")

    assert outcome.code == 111
    assert outcome.output.startswith(words)


# ---- the defects of the original ----

@pytest.mark.parametrize("message", [
    b"S: x\n\nFrom here\n>From there\n",                            # D1: quoted although it is no mbox
    b"S: x\n\nend\n", b"S: x\n\nno end", b"S: x\n\nend\n\n\n",      # D2: newlines added
    b"S: x\n\n" + b"y" * 8191 + b"From z\n",                        # D3: lines longer than its buffer
    b"S: x\n\n" + b"y" * 8192 + b"From z\n",
    b"S: x\n\n" + b"y" * 8193 + b"From z\n",
    b"S: x\n\n" + b"y" * 8185 + b"From z\n",
    b"S: x\n\na\0b\0\n\0", bytes(range(256)) * 1000,                # D4: NUL and 8-bit
    b"\n",                                                          # D5: empty
    b"a\r\nb\rc\r\n",
])
def test_the_message_is_kept_byte_for_byte(domain: Domain, message: bytes) -> None:
    assert domain.deliver(b"bob", b"home/bob", message=message).code == 0
    assert domain.new() == [HEAD + message]


def test_an_empty_message_is_a_filter_that_failed(domain: Domain) -> None:
    outcome = domain.deliver(b"bob", b"home/bob", message=b"")

    assert (outcome.code, outcome.output) == (111, b"the message is empty; did a program in front of us fail?\n")
    assert domain.new() == []


def test_many_at_once_overwrite_nothing(domain: Domain) -> None:            # D6
    if domain.world.driver is not None:
        return
    argv = [domain.world.installation.bin("virtmaildelivery"), "bob", "home/bob"]
    def deliver(number: int) -> None:
        with (domain.scratch / f"m{number}").open("w+b") as message:
            message.write(b"%02d" % number)
            message.seek(0)
            codes.append(subprocess.run(argv, stdin=message, cwd=domain.path, check=False, env={
                b"RPLINE": RPLINE, b"DTLINE": DTLINE}, timeout=60, **domain.world.who).returncode)

    codes: list[int] = []
    threads = [threading.Thread(target=deliver, args=(each,)) for each in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert codes == [0] * 20                    # and all twenty found no Maildir, and made it
    assert domain.new() == [HEAD + b"%02d" % each for each in range(20)]


def test_nothing_stays_in_tmp(domain: Domain) -> None:                      # D6
    assert domain.deliver(b"bob", b"home/bob").code == 0

    assert list((domain.path / "home" / "bob" / "Maildir" / "tmp").iterdir()) == []


@pytest.mark.parametrize("home", [
    b"..", b"../domain2.example/home/ann", b"/../domain2.example/home/ann", b"home/../../domain2.example/home/ann",
    b"home/bob/..", b"home/out", b"home/out/ann", b"home/up/domain2.example/home/ann"])
def test_a_home_cannot_lead_out_of_the_domain(domain: Domain, home: bytes) -> None:        # D11
    other = domain.path.parent / "domain2.example" / "home" / "ann"
    other.mkdir(parents=True)
    other.chmod(0o777)
    (domain.path / "home" / "out").symlink_to(other.parent)
    (domain.path / "home" / "up").symlink_to("../..")
    outcome = domain.deliver(b"bob", home)

    assert outcome.code == 111
    assert outcome.output.startswith(b"chdir failed: ")
    assert list(other.iterdir()) == []
    assert sorted(each.name for each in (domain.path / "home").iterdir()) == ["bob", "out", "up"]


def test_lines_from_the_environment_are_one_line_each(domain: Domain) -> None:             # D17
    outcome = domain.deliver(b"bob", b"home/bob", env={
        b"RPLINE": b"Return-Path: <s\nX-Forged: 1\n@x>\n", b"DTLINE": b"Delivered-To: bob@d\n\nbody"})

    assert outcome.code == 0
    assert domain.new() == [b"Return-Path: <s_X-Forged: 1_@x>\nDelivered-To: bob@d__body\n" + MESSAGE]


def test_the_maildir_is_made_where_the_home_is(domain: Domain) -> None:                    # D18
    assert domain.deliver(b"bob", b"home/bob").code == 0
    maildir = domain.path / "home" / "bob" / "Maildir"

    assert [(0o40700, *domain.world.ids)] * 4 == [
        (status.st_mode, status.st_uid, status.st_gid)
        for status in (each.stat() for each in (maildir, maildir / "cur", maildir / "new", maildir / "tmp"))]
    assert [0o100600] == [each.stat().st_mode for each in (maildir / "new").iterdir()]


def test_a_maildir_that_was_half_made_is_completed(domain: Domain) -> None:                # D18
    maildir = domain.path / "home" / "bob" / "Maildir"
    maildir.mkdir()
    os.chown(maildir, *domain.world.ids)

    assert domain.deliver(b"bob", b"home/bob").code == 0
    assert domain.new() == [HEAD + MESSAGE]


def test_a_missing_home_is_not_made(domain: Domain) -> None:                               # D18
    assert domain.deliver(b"ann", b"home/ann").code == 111
    assert [each.name for each in (domain.path / "home").iterdir()] == ["bob"]


@pytest.mark.parametrize("line", [DTLINE, DTLINE.removesuffix(b"\n")])
def test_the_delivered_to_line_is_the_one_that_ends_loops(domain: Domain, line: bytes) -> None:     # D27
    assert domain.deliver(b"bob", b"home/bob", env={b"RPLINE": RPLINE, b"DTLINE": line}).code == 0
    assert domain.new() == [HEAD + MESSAGE]


# ---- with the programs around it ----

def test_after_a_filter_the_message_comes_from_a_pipe(domain: Domain) -> None:
    if domain.world.driver is not None:
        return
    program = domain.world.installation.bin("virtmaildelivery")
    done = subprocess.run(
        ["/bin/sh", "-c", f"sed 's/^Subject:/Subject: [filtered]/' | {program} bob home/bob"], input=b"Subject: x\n\n" + b"y" * 200_000, cwd=domain.path, check=False, timeout=60,
        env={b"RPLINE": RPLINE, b"DTLINE": DTLINE, b"PATH": b"/usr/bin:/bin"}, **domain.world.who)

    assert done.returncode == 0
    assert domain.new() == [HEAD + b"Subject: [filtered] x\n\n" + b"y" * 200_000]


def test_a_disk_that_is_full_leaves_nothing(domain: Domain) -> None:
    assert domain.deliver(b"bob", b"home/bob").code == 0
    if domain.world.driver is not None:
        return
    domain.world.before = ["prlimit", "--fsize=100000", "--"]
    try:
        outcome = domain.deliver(b"bob", b"home/bob", message=b"x" * 200_000)
    finally:
        domain.world.before = []

    assert outcome.code == 111
    assert outcome.output.startswith(b"fprintf failed")
    assert domain.new() == [HEAD + MESSAGE]
    assert list((domain.path / "home" / "bob" / "Maildir" / "tmp").iterdir()) == []


def test_a_delivery_that_hangs_ends_after_a_day(domain: Domain) -> None:    # D8
    if domain.world.driver is not None:
        return
    trace = domain.scratch / "trace"
    domain.world.before = ["strace", "-qq", "-o", str(trace), "-e", "trace=alarm,link,linkat", "-e", "inject=alarm:retval=0"]
    try:
        assert domain.deliver(b"bob", b"home/bob").code == 0
    finally:
        domain.world.before = []
    asked = trace.read_text().splitlines()

    assert asked[0].startswith("alarm(86400)")
    assert "link" in asked[1]
    assert asked[-1].startswith("alarm(0)")

    # and that is the end, if it comes
    domain.world.before = ["strace", "-qq", "-o", "/dev/null", "-e", "inject=linkat,link:signal=ALRM"]
    try:
        assert domain.deliver(b"bob", b"home/bob").code in {-14, 142}
    finally:
        domain.world.before = []
