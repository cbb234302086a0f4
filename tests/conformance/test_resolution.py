"""What happens to mail for an address: vq-smtpd, vq-explain and the delivery say the same, for domains of every kind."""

import json
import os
import pathlib
import socket
import subprocess
import typing

import pytest
import system as module

pytestmark = pytest.mark.root

HERE, GONE = "here", "bounced"
UNIX_OWNER = "vqtdora"
WHERE: "dict[str, tuple[str, str | None]]" = {
    # address: (first words of the answer to RCPT, where it ends: domain/user, `bounced`, `dropped`, or an alias file)
    # a uid for each user; exact alias > mailbox > extension > catch-all (none) > nobody
    "bob@own.test": ("250", "own.test/bob"),
    "BOB@Own.TEST": ("250", "own.test/bob"),
    "ann@own.test": ("250", "own.test/ann"),
    "nobody@own.test": ("550 5.1.1", GONE),
    "sales@own.test": ("250", "own.test/ann"),              # .qmail-sales
    "jim@own.test": ("250", "own.test/ann"),                # .qmail-jim, although there is a user jim
    "a.b@own.test": ("250", "own.test/ann"),                # .qmail-a:b
    "bob-lists@own.test": ("250", "own.test/bob"),
    "bob+lists@own.test": ("250", "own.test/bob"),
    "bob+a-b+c@own.test": ("250", "own.test/bob"),
    "bob-smith@own.test": ("250", "own.test/bob-smith"),
    "bob-smith-x@own.test": ("250", "own.test/bob-smith"),  # the longest user
    "bob_x@own.test": ("550 5.1.1", GONE),
    "bob-@own.test": ("250", "own.test/bob"),
    "-bob@own.test": ("550 5.1.1", GONE),
    "ann-list-x@own.test": ("250", "own.test/bob"),         # .qmail-ann-list-default, before the user ann
    "ann-other@own.test": ("250", "own.test/ann"),
    "nobody-bob@own.test": ("550 5.1.1", GONE),
    "sue@own.test": ("550 5.2.1", GONE),                    # suspended
    "sue-x@own.test": ("550 5.2.1", GONE),
    "max@own.test": ("551 5.1.6", GONE),                    # moved
    "max-x@own.test": ("551 5.1.6", GONE),
    "fred@own.test": ("250", "one.test/carl"),              # his .qmail forwards
    "fred-x@own.test": ("250", "own.test/ann"),             # and his .qmail-x
    "fred-y@own.test": ("250", "one.test/carl"),            # without one, .qmail
    "nofile@own.test": ("250", "own.test/nofile"),          # a .qmail that nobody looks at
    "x/y@own.test": ("550 5.1.1", GONE),
    # one uid for all, vpopmail's .qmail-default with an address
    "carl@one.test": ("250", "one.test/carl"),
    "CARL+x@one.test": ("250", "one.test/carl"),
    "nobody@one.test": ("250", "own.test/bob"),
    # a UNIX user as the owner of all; a user as the catch-all
    "dora@unix.test": ("250", "unix.test/dora"),
    "nobody@unix.test": ("250", "unix.test/dora"),
    "post@unix.test": ("250", "own.test/ann"),              # .qmail-post
    "..@unix.test": ("550 5.1.1", GONE),                    # not even by the catch-all
    # catch-all delete, an alias domain, no extensions
    "eve@del.test": ("250", "del.test/eve"),
    "eve-x@del.test": ("250", None),
    "nobody@del.test": ("250", None),
    "eve@alias.test": ("250", "del.test/eve"),
    "EVE@Alias.test": ("250", "del.test/eve"),
    "nobody@alias.test": ("250", None),
    "sales@alias.test": ("250", "own.test/ann"),            # the owner's files are the same, too
    # catch-all by an option: an address
    "greg@fwd.test": ("250", "fwd.test/greg"),
    "nobody@fwd.test": ("250", "own.test/ann"),
    "greg-x@fwd.test": ("250", "fwd.test/greg"),
    # all of it suspended
    "hal@sus.test": ("550 5.2.1", GONE),
    "nobody@sus.test": ("550 5.1.1", GONE),
}


def files(world: module.System) -> "dict[pathlib.Path, str]":
    """Every message in a Maildir and whose it is."""
    return {path: "/".join((path.relative_to(world.virtual).parts[0], path.relative_to(world.virtual).parts[2]))
            for path in world.virtual.glob("*/home/*/Maildir/new/*") if not world.virtual.joinpath(
                path.relative_to(world.virtual).parts[0]).is_symlink()}


def options(world: module.System, domain: str, text: str) -> None:
    """The options of a domain, compiled."""
    (world.virtual / domain / "etc/options").write_text(text)
    done = world.run("vq-newu")

    assert done.returncode == 0, done.stderr


def users(world: module.System, domain: str, uid: int, *names: str) -> None:
    """Users who all have the uid of the domain's owner."""
    directory = world.virtual / domain
    (directory / "etc/passwd").write_text("".join(f"{each}:x:{uid}:{uid}::/home/{each}:/bin/false\n" for each in names))
    for each in names:
        (directory / "home" / each).mkdir()
        (directory / "home" / each).chmod(0o700)
        os.chown(directory / "home" / each, uid, uid)


def homefile(world: module.System, user: str, name: str, text: str, mode: int = 0o600) -> pathlib.Path:
    """user@own.test writes a file into his home."""
    path = world.virtual / "own.test/home" / user / name
    path.write_text(text)
    path.chmod(mode)
    os.chown(path, world.domains["own.test"][user], world.domains["own.test"][user])
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[module.System]":
    """Six domains with owners of three kinds, and all services."""
    each = module.System(tmp_path_factory.mktemp("resolution"))
    subprocess.run(["userdel", UNIX_OWNER], check=False, capture_output=True)
    try:
        _fill(each)
        each.start_all()
        yield each
    finally:
        each.stop()
        subprocess.run(["userdel", UNIX_OWNER], check=False, capture_output=True)


def _fill(world: module.System) -> None:
    world.alias("sink", "./sink\n")
    names = ["bob", "ann", "bob-smith", "jim", "sue", "fred", "pam", "nofile", "max"]
    world.add_domain("own.test", dict.fromkeys(names, "x"))
    world.dotqmail("own.test", "sales", "&ann@own.test\n")
    world.dotqmail("own.test", "jim", "&ann@own.test\n")
    world.dotqmail("own.test", "a:b", "&ann@own.test\n")
    world.dotqmail("own.test", "ann-list-default", "&bob@own.test\n")
    world.add_domain("one.test", {"zoe": "x"}, default=f"| {world.bin('vdelivermail')} '' bob@own.test\n")
    world.add_domain("del.test", {"eve": "x"})
    world.dotqmail("del.test", "sales", "&ann@own.test\n")
    world.add_domain("fwd.test", {"greg": "x"})
    world.add_domain("sus.test", {"hal": "x"})
    users(world, "one.test", world.owner("one.test"), "carl")
    _unix_owner(world)
    (world.virtual / "alias.test").symlink_to("del.test")
    names = [*world.domains, "unix.test", "alias.test"]
    prefixes = {"unix.test": UNIX_OWNER, "alias.test": "del.test"}
    world.control("virtualdomains", "".join(f"{name}:{prefixes.get(name, name)}\n" for name in names))
    world.control("rcpthosts", "host.test\n" + "".join(f"{name}\n" for name in names))
    homefile(world, "fred", ".qmail", "# away\n&carl@one.test\n")
    homefile(world, "fred", ".qmail-x", "&ann@own.test\n")
    homefile(world, "nofile", ".qmail", "|exit 100\n")
    options(world, "own.test", "sue:suspended=receive\nfred:dotqmail=forwards\npam:dotqmail=programs\n"
                               "max:moved=max@new.test\n")
    options(world, "del.test", "@:catchall=delete:extensions=\n")
    options(world, "fwd.test", "@:catchall=ann@own.test\n")
    options(world, "sus.test", "@:suspended=receive\n")
    options(world, "unix.test", "@:catchall=dora\n")


def _unix_owner(world: module.System) -> None:
    """A domain under a user of the machine, as the HOWTO has it: no line in users/assign, a home of his own."""
    directory = world.virtual / "unix.test"
    subprocess.run(["useradd", "-M", "-U", "-d", str(directory), "-s", "/bin/false", UNIX_OWNER], check=True,
                   capture_output=True)
    import pwd

    entry = pwd.getpwnam(UNIX_OWNER)
    for folder in (directory, directory / "etc", directory / "home"):
        folder.mkdir()
        folder.chmod(0o755)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    for name, text in (("default", "| virtmailfilter\n"), ("post", "&ann@own.test\n")):
        (directory / f".qmail-{name}").write_text(text)
        os.chown(directory / f".qmail-{name}", entry.pw_uid, entry.pw_gid)
    users(world, "unix.test", entry.pw_uid, "dora")
    assert entry.pw_uid == entry.pw_gid


class Client:
    """Somebody who asks vq-smtpd about recipients."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._file = self._sock.makefile("rb")
        self._file.readline()
        self.say("HELO x")
        self.say("MAIL FROM:<sink@host.test>")

    def say(self, line: str) -> str:
        self._sock.sendall(line.encode() + b"\r\n")
        return self._file.readline().decode().rstrip()

    def close(self) -> None:
        self._file.close()
        self._sock.close()


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
def test_smtp_answers(world: module.System, warm: bool) -> None:
    client = Client(world.start_smtp(warm))
    try:
        answers = {each: client.say(f"RCPT TO:<{each}>") for each in WHERE}
    finally:
        client.close()
        world.stop("smtp")

    assert {each: answer[:len(WHERE[each][0])] for each, answer in answers.items()} == {
        each: said for each, (said, _) in WHERE.items()}


def explain(world: module.System, *addresses: str) -> "tuple[int, list[dict[str, typing.Any]]]":
    """What vq-explain --json says."""
    done = world.run("vq-explain", "--json", *addresses)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_explanations(world: module.System) -> None:
    _, found = explain(world, *WHERE)

    assert [each["address"] for each in found] == list(WHERE)
    for each in found:
        said, where = WHERE[each["address"]]

        assert each["smtp"].startswith(said), each
        assert each["code"] == (100 if where == GONE else 0), each
        if each["kind"] == "mailbox" and "as his" not in each["end"]:
            assert f"{each['domain']}/{each['user']}" == where, each
        assert each["steps"]
        assert all(step["file"] and step["says"] for step in each["steps"])


def outcome(world: module.System, subject: str, before: "set[pathlib.Path]") -> "str | None":
    """Where the message called `subject` is now, `bounced`, or None."""
    for path, whose in files(world).items():
        if path not in before and b"\nSubject: %s\n" % subject.encode() in path.read_bytes():
            return whose
    sink = world.home / "alias/sink"
    return GONE if sink.is_file() and b"\nSubject: %s\n" % subject.encode() in sink.read_bytes() else None


def test_deliveries(world: module.System) -> None:
    before = set(files(world))
    for number, address in enumerate(WHERE):
        assert world.inject("sink@host.test", [address], b"Subject: case %d.\n\nx\n" % number) == 0
    module.wait_until(world.queue_is_empty, "an empty queue", 60)

    assert {each: outcome(world, f"case {number}.", before) for number, each in enumerate(WHERE)} == {
        each: where for each, (_, where) in WHERE.items()}


def cold(world: module.System, address: str, text: bytes) -> "subprocess.CompletedProcess[bytes]":
    """vq-local, a program of its own with all that it starts, for an address of a virtual domain."""
    found = explain(world, address)[1][0]
    stored = found["stored"].rpartition("@")[0]
    domain = address.rpartition("@")[2]
    directory = world.virtual / ("del.test" if domain.lower() == "alias.test" else domain.lower())
    with (world.path / "cold").open("w+b") as message:
        message.write(text)
        message.seek(0)
        owner = directory.stat()
        return world.run("vq-local", directory.name, str(directory), stored, "-", address.rpartition("@")[0], domain,
                         "sink@host.test", "./Maildir/", uid=owner.st_uid, gid=owner.st_gid, stdin=message)


COLD = ["bob@own.test", "nobody@own.test", "bob+lists@own.test", "sue@own.test", "fred@own.test", "fred-x@own.test",
        "carl@one.test", "nobody@one.test", "dora@unix.test", "nobody@unix.test", "nobody@del.test", "eve@alias.test",
        "EVE@Alias.test", "nobody@fwd.test", "hal@sus.test"]


@pytest.mark.parametrize("address", COLD)
def test_cold_deliveries_end_where_warm_ones_do(world: module.System, address: str) -> None:
    before = set(files(world))
    done = cold(world, address, b"Subject: cold\n\nx\n")
    module.wait_until(world.queue_is_empty, "an empty queue")
    where = WHERE[address][1]

    assert done.returncode == (100 if where == GONE else 0), done.stdout
    new = {whose for path, whose in files(world).items() if path not in before}
    assert new == ({where} if where not in (GONE, None) else set())


# ---- what the owner's file may say ----

@pytest.fixture
def default(world: module.System) -> "typing.Iterator[typing.Callable[[str], None]]":
    """Writes .qmail-default of one.test, and puts it back."""
    path = world.virtual / "one.test/.qmail-default"
    before = path.read_text()
    yield lambda text: typing.cast("None", path.write_text(text))
    path.write_text(before)


@pytest.mark.parametrize(("argument", "code", "where"), [
    ("delete", 0, None), ("bounce-no-mailbox", 100, None), ("{home}/all", 0, "all"), ("{home}/all/Maildir/", 0, "all"),
    ("ann@own.test", 0, "own.test/ann"), ("carl", 0, "one.test/carl"), ("zoe@", 111, None), ("nobody", 111, None)])
@pytest.mark.parametrize("face", ["vdelivermail ''", "virtmailfilter"])
def test_catchall_by_argument(world: module.System, default: "typing.Callable[[str], None]", face: str, argument: str,
                              code: int, where: "str | None") -> None:
    directory = world.virtual / "one.test"
    name, _, rest = face.partition(" ")
    default(f"|{world.bin(name)} {rest} {argument.format(home=directory)}\n")
    new = directory / "all/Maildir/new"
    if not new.exists():
        for each in (new.parent.parent, new.parent, new, new.parent / "tmp", new.parent / "cur"):
            each.mkdir()
            os.chown(each, world.owner("one.test"), world.owner("one.test"))
    before = {*files(world), *new.iterdir()}
    explained = explain(world, "someone@one.test")[0]
    done = cold(world, "someone@one.test", b"Subject: cold\n\nx\n")
    module.wait_until(world.queue_is_empty, "an empty queue")
    found = {whose for path, whose in files(world).items() if path not in before}
    found |= {"all" for path in new.iterdir() if path not in before}

    assert (done.returncode, explained, found) == (code, code, {where} - {None})
    mine = [path for path in [*files(world), *new.iterdir()] if path not in before]
    for path in mine:
        assert b"Delivered-To: someone@one.test\n" in path.read_bytes()


@pytest.mark.parametrize("words", ["", "''", "'' delete x"])
def test_vdelivermail_with_other_words_puts_off(world: module.System, default: "typing.Callable[[str], None]", words: str) -> None:
    default(f"|{world.bin('vdelivermail')} {words}\n")
    done = cold(world, "carl@one.test", b"Subject: cold\n\nx\n")

    assert done.returncode == 111
    assert b"vdelivermail: write | vdelivermail ''" in done.stdout


def test_a_catchall_keeps_the_sender_and_ends_a_loop(world: module.System) -> None:
    before = set(files(world))
    done = cold(world, "ghost@fwd.test", b"Subject: once\n\nx\n")
    module.wait_until(world.queue_is_empty, "an empty queue")
    path, = set(files(world)) - before
    text = path.read_bytes()

    assert done.returncode == 0
    assert text.startswith(b"Return-Path: <sink@host.test>\nDelivered-To: ann@own.test\n")
    assert b"\nDelivered-To: ghost@fwd.test\n" in text
    again = cold(world, "ghost@fwd.test", text)
    assert (again.returncode, set(files(world)) - before) == (100, {path})
    assert b"This message is looping" in again.stdout


# ---- trouble is trouble in all three views, as far as each can see it ----

def three_views(world: module.System, address: str) -> "tuple[str, int, int]":
    client = Client(world.start_smtp())
    try:
        said = client.say(f"RCPT TO:<{address}>")
    finally:
        client.close()
        world.stop("smtp")
    return said[:3], explain(world, address)[0], cold(world, address, b"Subject: cold\n\nx\n").returncode


def test_a_catchall_that_is_nobody_is_trouble_everywhere(world: module.System) -> None:
    options(world, "fwd.test", "@:catchall=carl\n")
    try:
        assert three_views(world, "nobody@fwd.test") == ("451", 111, 111)
    finally:
        options(world, "fwd.test", "@:catchall=ann@own.test\n")


@pytest.mark.parametrize("what", ["strangers link", "link to a link"])
def test_a_link_that_is_a_mistake_is_trouble_everywhere(world: module.System, what: str) -> None:
    link = world.virtual / "alias.test"
    if what == "strangers link":
        os.chown(link, world.owner("del.test"), world.owner("del.test"), follow_symlinks=False)
    else:
        link.unlink()
        link.symlink_to("second.test")
        (world.virtual / "second.test").symlink_to("del.test")
    try:
        assert three_views(world, "eve@alias.test") == ("451", 111, 111)
    finally:
        (world.virtual / "second.test").unlink(missing_ok=True)
        link.unlink()
        link.symlink_to("del.test")


def test_an_alias_domain_of_anothers_domain_is_refused(world: module.System) -> None:
    """virtualdomains gives the name to one owner, the link leads to the users of another."""
    (world.virtual / "evil.test").symlink_to("own.test")
    table = world.home / "control/virtualdomains"
    before = table.read_text()
    table.write_text(before + "evil.test:one.test\n")
    try:
        done = world.run("virtmailfilter", uid=world.owner("one.test"), input=b"S: x\n\n", env={
            "EXT": "bob", "HOST": "evil.test", "DTLINE": "Delivered-To: one.test-bob@evil.test\n", "RPLINE": "R: x\n"})
    finally:
        table.write_text(before)
        (world.virtual / "evil.test").unlink()

    assert done.returncode == 111
    assert b"own.test belongs to uid %d" % world.owner("own.test") in done.stdout


def test_a_home_file_that_may_not_be_trusted_puts_delivery_off(world: module.System) -> None:
    homefile(world, "pam", ".qmail", "|touch ran\n", 0o666)

    assert three_views(world, "pam@own.test") == ("250", 111, 111)
    homefile(world, "pam", ".qmail", "|touch ran\n")
    assert three_views(world, "pam@own.test") == ("250", 0, 0)
    ran = world.virtual / "own.test/home/pam/ran"
    assert ran.stat().st_uid == world.domains["own.test"]["pam"]


@pytest.mark.parametrize(("form", "line"), [
    ("address\n", b"Delivered-To: bob+x@own.test\n"), ("stored\n", b"Delivered-To: own.test-bob+x@own.test\n")])
def test_delivered_to_is_what_people_know_or_what_is_stored(world: module.System, form: str, line: bytes) -> None:
    world.control("deliveredto", form)
    before = set(files(world))
    try:
        done = cold(world, "bob+x@own.test", b"Subject: x\n\ny\n")
        path, = set(files(world)) - before
        text = path.read_bytes()
        again = [cold(world, "bob+x@own.test", b"Delivered-To: %s\n\ny\n" % each).returncode for each in (
            b"bob+x@own.test", b"own.test-bob+x@own.test", b"bob@own.test")]
    finally:
        (world.home / "control/deliveredto").unlink()

    assert (done.returncode, text) == (0, b"Return-Path: <sink@host.test>\n" + line + b"Subject: x\n\ny\n")
    assert again == [100, 100, 0]


# ---- in words ----

def test_an_explanation_names_each_file_and_line(world: module.System) -> None:
    done = world.run("vq-explain", "bob-lists@own.test")
    root = world.virtual / "own.test"
    line, = (number for number, text in enumerate((world.home / "users/assign").read_text().splitlines(), 1)
             if text.startswith("+own.test-:"))

    assert done.stdout.decode() == f"""\
bob-lists@own.test
    control/locals: does not have own.test
    control/virtualdomains line 1: own.test:own.test makes it own.test-bob-lists@own.test
    users/cdb line {line}: own.test-bob-lists is under user own.test (uid {world.owner("own.test")}, gid {world.owner("own.test")}), \
home {root}, dash "-", ext "bob-lists"
    {root}/.qmail-bob-lists: is not there
    {root}/.qmail-bob-default: is not there
    {root}/.qmail-default: is there
    {root}/.qmail-default: hands it to virtmailfilter
    {root}/etc/passwd: has no user bob-lists
    {root}/etc/passwd line 1: has the user bob; lists is an extension
  delivered: the user bob of own.test (uid {world.domains["own.test"]["bob"]}, gid {world.domains["own.test"]["bob"]}), \
{root}/home/bob/Maildir/
  vq-smtpd says: 250 2.1.5 ok
"""
    assert b"\n  who logs in so: the user bob of own.test\n" in world.run("vq-explain", "bob@own.test").stdout
    assert b"\n  who logs in so: the user eve of del.test\n" in world.run("vq-explain", "eve@alias.test").stdout
    nobodys = subprocess.run([world.home / "bin/vq-explain", "bob@own.test"], user=65534, group=65534, extra_groups=[], env={},
                             capture_output=True, check=False, timeout=60)
    assert b"\n  who logs in so: the user bob of own.test\n" in nobodys.stdout
    assert done.returncode == 0


@pytest.mark.parametrize(("address", "code", "words"), [
    ("nobody@own.test", 100, "not delivered: no mailbox here by that name: no such user in "),
    ("x@far.test", 0, "delivered: goes to another host: vq-remote"),
    ("fred@own.test", 0, ".qmail: forward carl@one.test"),
    ("sales@own.test", 0, ".qmail-sales: forward ann@own.test"),
    ("sue@own.test", 100, "not delivered: the mailbox receives nothing for now: it is suspended in "),
    ("max@own.test", 100, "not delivered: the user has moved to max@new.test: "),
    ("max@own.test", 100, "vq-smtpd says: 551 5.1.6 sorry, this user has moved; please try <max@new.test> (#5.1.6)"),
    ("nobody@del.test", 0, "delivered: is deleted: catch-all of "),
    ("sink@host.test", 0, ".qmail-sink: mbox ./sink"),
    ("nobody@host.test", 100, "no dot-qmail file for it in "),
    ("x\x1b[2J@own.test", 100, "x\\x1b[2J@own.test"),
])
def test_explanations_in_words(world: module.System, address: str, code: int, words: str) -> None:
    done = world.run("vq-explain", address)

    assert (done.returncode, done.stderr) == (code, b"")
    assert words in done.stdout.decode()
    assert b"\x1b" not in done.stdout


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--what", "a@b"]])
def test_wrong_usage_of_explain(world: module.System, arguments: "list[str]") -> None:
    done = world.run("vq-explain", *arguments)

    assert (done.returncode, done.stdout, done.stderr) == (100, b"", b"vq-explain: usage: vq-explain [--json] ADDRESS...; vq-explain --help\n")


def test_explain_shows_its_page(world: module.System) -> None:
    done = world.run("vq-explain", "--help")

    assert (done.returncode, done.stderr) == (0, b"")
    assert b"SYNOPSIS    vq-explain [--json] ADDRESS..." in done.stdout


def test_the_six_lines_of_the_book(world: module.System) -> None:
    """REQUIREMENTS 3-3: what virtualdomains makes of each address."""
    table = world.home / "control/virtualdomains"
    before = table.read_text()
    world.control("virtualdomains", "example.com:foo\n.example.com:foo-bar\ntwo.example.com:baz\nwaldo@domain.com:qux\n"
                                    "domain.com:\n:garply\n")
    addresses = ["user@example.com", "x@something.example.com", "x@two.example.com", "waldo@domain.com", "other@domain.com",
                 "someone@somewhere.org", "me@host.test"]
    try:
        _, found = explain(world, *addresses)
    finally:
        table.write_text(before)

    assert [each["stored"] for each in found] == [
        "foo-user@example.com", "foo-bar-x@something.example.com", "baz-x@two.example.com", "qux-waldo@domain.com",
        "other@domain.com", "garply-someone@somewhere.org", "me@host.test"]
    assert [each["kind"] == "remote" for each in found] == [False, False, False, False, True, False, False]
