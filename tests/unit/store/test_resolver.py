"""What happens to mail for an address: the table, and what happens when something cannot be looked at."""

import os
import pathlib

import host_world
import pytest

from vqmail import codes
from vqmail.store import cdb, resolver, users, virtual, virtualcompile

REMOTE, MAILBOX, DELIVERY, NOBODY, UNKNOWN = (
    resolver.REMOTE, resolver.MAILBOX, resolver.DELIVERY, resolver.NOBODY, resolver.UNKNOWN)
FILTER = "| virtmailfilter\n"


class World(host_world.World):
    """a.test and b.test have owners of their own, with virtual users bob and ann; c.test's owner has only .qmail-info;
    the home of gone is not there."""

    def __init__(self, path: pathlib.Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(path, patch, owners="abc", virtual="ab")
        self.write("control/virtualdomains", "a.test:a\nb.test:b\nc.test:c\n.wild.test:a\nno.test:\nroot.test:root\n")
        self.write("alias/.qmail-postmaster", "./Mailbox\n")
        self.write("a/.qmail-default", FILTER)
        self.write("a/.qmail-postmaster", "&joe\n")
        self.write("a/.qmail-list-default", "&joe\n")
        self.write("b/.qmail-default", "# all of them\n|  /usr/local/bin/virtmailfilter  \n\n# end\n")
        self.write("c/.qmail-info", FILTER)
        self.write("virtual/a.test/etc/passwd", "bob:x:1001:1001::/home/bob:\n")
        self.write("virtual/b.test/etc/passwd", "ann:x:1002:1002::/home/ann:\n")
        self.assign("a", "b", "c", "gone")

    def fate(self, address: bytes) -> resolver.Fate:
        each = resolver.Resolver()
        try:
            return each.resolve(address)
        finally:
            each.close()


@pytest.fixture
def world(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


@pytest.mark.parametrize(("address", "kind", "stored", "user", "file"), [
    # elsewhere
    (b"x@else.test", REMOTE, b"x@else.test", None, ""),
    (b"x@no.test", REMOTE, b"x@no.test", None, ""),
    # users of this host
    (b"joe@host.test", DELIVERY, b"joe@host.test", b"joe", ""),
    (b"JOE@HOST.test", DELIVERY, b"JOE@HOST.test", b"joe", ""),
    (b"joe", DELIVERY, b"joe@host.test", b"joe", ""),
    (b"joe-x@host.test", NOBODY, b"joe-x@host.test", b"joe", ""),
    (b"postmaster@host.test", DELIVERY, b"postmaster@host.test", b"alias", "alias/.qmail-postmaster"),
    (b"PostMaster@host.test", DELIVERY, b"PostMaster@host.test", b"alias", "alias/.qmail-postmaster"),
    (b"nobody@host.test", NOBODY, b"nobody@host.test", b"alias", ""),
    (b"@host.test", NOBODY, b"@host.test", None, ""),
    # a domain with virtual users
    (b"bob@a.test", MAILBOX, b"a-bob@a.test", b"a", "a/.qmail-default"),
    (b"BOB@A.Test", MAILBOX, b"a-BOB@A.Test", b"a", "a/.qmail-default"),
    (b"ann@b.test", MAILBOX, b"b-ann@b.test", b"b", "b/.qmail-default"),
    (b"bob@b.test", NOBODY, b"b-bob@b.test", b"b", "b/.qmail-default"),
    (b"ann@a.test", NOBODY, b"a-ann@a.test", b"a", "a/.qmail-default"),
    (b"bob-x@a.test", MAILBOX, b"a-bob-x@a.test", b"a", "a/.qmail-default"),
    (b"@a.test", NOBODY, b"a-@a.test", b"a", "a/.qmail-default"),
    (b"..@a.test", NOBODY, b"a-..@a.test", b"a", "a/.qmail-default"),
    (b"../../b.test/ann@a.test", NOBODY, b"a-../../b.test/ann@a.test", b"a", "a/.qmail-default"),
    (b"bob\0@a.test", NOBODY, b"a-bob\0@a.test", b"a", "a/.qmail-default"),
    (b"\xff@a.test", NOBODY, b"a-\xff@a.test", b"a", "a/.qmail-default"),
    (b"postmaster@a.test", DELIVERY, b"a-postmaster@a.test", b"a", "a/.qmail-postmaster"),
    (b"list-x@a.test", DELIVERY, b"a-list-x@a.test", b"a", "a/.qmail-list-default"),
    # a file of just one address is the owner's business, whatever is in it
    (b"info@c.test", DELIVERY, b"c-info@c.test", b"c", "c/.qmail-info"),
    (b"other@c.test", NOBODY, b"c-other@c.test", b"c", ""),
    # hosts that cannot be the name of a directory
    (b"bob@..wild.test", NOBODY, b"a-bob@..wild.test", b"a", "a/.qmail-default"),
    (b"bob@../a.wild.test", NOBODY, b"a-bob@../a.wild.test", b"a", "a/.qmail-default"),
])
def test_fates(world: World, address: bytes, kind: bytes, stored: bytes, user: "bytes | None", file: str) -> None:
    fate = world.fate(address)

    assert (fate.kind, fate.stored, fate.owner and fate.owner.user) == (kind, stored, user)
    assert fate.path == (str(world.path / file).encode() if file else b"")
    assert bool(fate.reason) == (kind in (NOBODY, UNKNOWN))


def test_a_mailbox_is_told_with_its_user(world: World) -> None:
    assert world.fate(b"bob@a.test").user == virtual.User(b"bob", 1001, 1001, b"/home/bob")


@pytest.mark.parametrize("text", [
    "|virtmailfilter -x\n", "|virtmailfilter; exit 0\n", "|virtmailfilter || exit 0\n", "| exec virtmailfilter\n", "|myvirtmailfilter\n",
    "|virtmailfilter\n&joe\n", "&joe\n|virtmailfilter\n", "./Maildir/\n", "&virtmailfilter\n", "\n|virtmailfilter\n", "# nothing\n", ""])
def test_a_file_that_does_anything_else_is_left_to_delivery(world: World, text: str) -> None:
    world.write("a/.qmail-default", text)

    assert world.fate(b"nobody@a.test").kind == DELIVERY


def test_one_resolver_sees_users_that_change_while_it_lives(world: World) -> None:
    each = resolver.Resolver()
    before = each.resolve(b"carl@a.test").kind
    world.write("virtual/a.test/etc/passwd", "carl:x:1001:1001::/home/carl:\n")

    assert (before, each.resolve(b"carl@a.test").kind) == (NOBODY, MAILBOX)
    each.close()


# trouble is never nobody

@pytest.mark.parametrize("address", [b"gone-x@host.test", b"gone@host.test"])
def test_a_home_that_is_not_there_is_trouble(world: World, address: bytes) -> None:
    with pytest.raises(codes.TryLater, match="/gone: No such file"):
        world.fate(address)


@pytest.mark.parametrize("broken", ["passwd missing", "passwd empty", "passwd half", "domain missing", "users/cdb cut",
                                    "file writable", "home writable", "file is a loop"])
def test_trouble_is_trouble(world: World, broken: str) -> None:
    text = world.path / "virtual/a.test/etc/passwd"
    if broken == "passwd missing":
        text.unlink()
    elif broken == "passwd empty":
        text.write_text("")
    elif broken == "passwd half":
        text.write_text("bob:x:1001:1001::/home/bob:\nann:x:10")
    elif broken == "domain missing":
        (world.path / "virtual/a.test").rename(world.path / "virtual/x.test")
    elif broken == "users/cdb cut":
        os.truncate(users.PATH, 2100)
    elif broken == "file writable":
        (world.path / "a/.qmail-default").chmod(0o666)
    elif broken == "home writable":
        (world.path / "a").chmod(0o777)
    else:
        (world.path / "a/.qmail-nobody").symlink_to(".qmail-nobody")
    with pytest.raises(codes.TryLater):
        world.fate(b"nobody@a.test")


def test_root_gets_no_mail_but_may_not_be_called_nobody(world: World) -> None:
    cdb.make(users.PATH, [(b"!root-", b"root\x000\x000\0/root\0-\0"), (b"", b"-")], 0o644)

    with pytest.raises(codes.TryLater, match="uid 0: nothing is ever delivered as root"):
        world.fate(b"x@root.test")


# what may not be read, or is being edited, is left to delivery

def test_an_owner_who_is_editing_is_not_nobody(world: World) -> None:
    (world.path / "a").chmod(0o1755)
    fate = world.fate(b"nobody@a.test")

    assert (fate.kind, fate.reason) == (UNKNOWN, "Home directory is sticky: user is editing his .qmail file. (#4.2.1)")


@pytest.mark.root
@pytest.mark.parametrize(("what", "mode", "address"), [
    ("joe", 0o700, b"joe-x@host.test"), ("joe", 0o700, b"joe@host.test"), ("a", 0o700, b"nobody@a.test"),
    ("a/.qmail-default", 0o600, b"nobody@a.test"), ("virtual/a.test/etc/passwd", 0o600, b"nobody@a.test"),
    ("virtual/a.test/etc", 0o700, b"nobody@a.test"), ("virtual/a.test", 0o700, b"bob@a.test")])
def test_what_another_uid_may_not_read_is_unknown(world: World, what: str, mode: int, address: bytes) -> None:
    for each in (world.path, *world.path.parents):
        if each.stat().st_uid == 0 and each != pathlib.Path("/"):
            each.chmod(each.stat().st_mode | 0o711)
    (world.path / what).chmod(mode)
    os.seteuid(45001)
    try:
        fate = world.fate(address)
    finally:
        os.seteuid(0)

    assert fate.kind == UNKNOWN
    assert fate.reason


@pytest.mark.root
def test_compiled_users_answer_where_the_text_may_not_be_read(world: World) -> None:
    for each in (world.path, *world.path.parents):
        if each.stat().st_uid == 0 and each != pathlib.Path("/"):
            each.chmod(each.stat().st_mode | 0o711)
    (world.path / "virtual/a.test/etc/passwd").chmod(0o600)
    virtualcompile.compile_domain(b"a.test")
    os.seteuid(45001)
    try:
        kinds = world.fate(b"bob@a.test").kind, world.fate(b"nobody@a.test").kind
    finally:
        os.seteuid(0)

    assert kinds == (MAILBOX, NOBODY)


def test_nothing_stays_open(world: World) -> None:
    before = os.listdir("/proc/self/fd")
    for address in b"bob@a.test", b"nobody@a.test", b"joe@host.test", b"postmaster@host.test", b"x@else.test":
        world.fate(address)

    assert os.listdir("/proc/self/fd") == before


# the words of the file that hands over

@pytest.mark.parametrize(("line", "kind"), [
    ("|virtmailfilter", NOBODY), ("|virtmailfilter ''", NOBODY), ("|virtmailfilter delete", b"delete"),
    ("| /opt/bin/virtmailfilter joe@far.test", b"forward"), ("|virtmailfilter bob", MAILBOX),
    ("|/home/vpopmail/bin/vdelivermail '' bounce-no-mailbox", NOBODY), ("|vdelivermail '' delete", b"delete"),
    ('|vdelivermail "" joe@far.test', b"forward"), ("|vdelivermail '' /home/all/Maildir/", b"maildir"),
    # anything else is left to delivery
    ("|virtmailfilter delete x", DELIVERY), ("|virtmailfilter --", DELIVERY), ("|vdelivermail delete", DELIVERY),
    ("|vdelivermail", DELIVERY), ("|vdelivermail '' a b", DELIVERY), ("|vdelivermail '' $CATCHALL", DELIVERY),
    ("|spamc | virtmailfilter", DELIVERY)])
def test_a_catchall_in_the_owners_file(world: World, line: str, kind: bytes) -> None:
    world.write("a/.qmail-default", line + "\n")

    assert world.fate(b"nobody@a.test").kind == kind
    assert world.fate(b"bob@a.test").kind == (DELIVERY if kind == DELIVERY else MAILBOX)


def test_a_file_that_changes_is_read_anew(world: World) -> None:
    each = resolver.Resolver()
    kinds = []
    for line in ("|virtmailfilter", "|virtmailfilter delete", "&joe", "|virtmailfilter"):
        world.write("a/.qmail-default", line + "\n")
        kinds.append(each.resolve(b"nobody@a.test").kind)
    each.close()

    assert kinds == [NOBODY, b"delete", DELIVERY, NOBODY]


def test_the_steps_lead_from_file_to_file(world: World) -> None:
    each = resolver.Resolver()
    steps: list[tuple[bytes, bytes]] = []
    each.resolve(b"bob@a.test", steps)
    each.close()
    root = os.fsencode(world.path)

    assert [where.removeprefix(root + b"/") for where, _ in steps] == [
        b"control/locals", b"control/virtualdomains", b"users/cdb", b"a/.qmail-bob", b"a/.qmail-default", b"a/.qmail-default",
        b"virtual/a.test/etc/passwd"]
