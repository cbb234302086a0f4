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
    names = ["bob", "ann", "bob-smith", "jim", "sue", "fred", "pam", "nofile"]
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
    options(world, "own.test", "sue:suspended=receive\nfred:dotqmail=forwards\npam:dotqmail=programs\n")
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
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=30)
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
