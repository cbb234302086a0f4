"""Users of a domain: added, changed, deleted and restored, and not a byte changes beside them."""

import os
import pathlib
import stat
import typing

import pytest

from vqmail import codes
from vqmail.admin import mailboxes, transaction, uids, usertrash
from vqmail.formats import lines, passwd
from vqmail.store import compiled, lastlogin, sender, users, virtual, virtualcompile
from vqmail.store import journal as changes

ME, MINE = os.getuid() or 45001, os.getgid() or 45001
D = b"a.test"
ODD = "# kept as it is\n\nAnn:$6$ann:{uid}:{gid}:Ann  B.:home/ann/:/bin/zsh\n"


class Site:
    """An installation in a temporary directory, with the domain a.test; its owner is ME."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.d = path / "virtual/a.test"
        for each in ("control", "users", "virtual/a.test/etc", "virtual/a.test/home/ann/Maildir/new"):
            (path / each).mkdir(parents=True)
        (path / "control/me").write_text("host.test\n")
        (path / "control/virtualroot").write_text(f"{path}/virtual\n")
        (path / "control/virtualdomains").write_text("a.test:a.test\n")
        (path / "control/firstuid").write_text("5000\n")
        (path / "users/assign").write_text(f"+a.test-:o:{ME + 7}:{MINE + 7}:{self.d}:-::\n.\n")
        self.passwd.write_text(ODD.format(uid=ME, gid=MINE))
        self.passwd.chmod(0o640)
        (self.d / "home/ann/Maildir/new/1").write_text("mail\n")

    @property
    def passwd(self) -> pathlib.Path:
        return self.d / "etc/passwd"

    def options(self, text: str) -> None:
        (self.d / "etc/options").write_text(text)

    def do(self, change, *arguments, **named):
        """One change, in a transaction of its own."""
        with transaction.Transaction() as t:
            found = change(t, D, *arguments, **named)
            t.commit()
        return found


@pytest.fixture
def site(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    each = Site(tmp_path)
    monkeypatch.setattr("vqmail.vqhome.VQHOME", str(tmp_path).encode())
    for module, name, file in ((lastlogin, "DIRECTORY", "users/lastlogin"), (changes, "LOCK", "users/lock"),
                               (changes, "PATH", "users/journal"), (uids, "PATH", "users/uids"),
                               (uids, "ASSIGN", "users/assign"), (compiled, "ASSIGN", "users/assign"),
                               (compiled, "USERS", "users/cdb"), (users, "PATH", "users/cdb"),
                               (sender, "MUTEX", "queue/lock/sendmutex")):
        monkeypatch.setattr(module, name, str(tmp_path / file).encode())
    compiled.compile_assign()
    return each


root = pytest.mark.root


@root
def test_a_new_user_is_there_at_once_with_home_and_maildir_and_a_uid_of_his_own(site: Site) -> None:
    before = site.passwd.stat()
    odd = site.do(mailboxes.add, b"Bob", b"$6$bob", real_name=b"Bob B.", quota=b"5M")
    home = site.d / "home/bob"

    # Ann's uid is larger than firstuid: the next one is given
    assert odd == []
    assert virtual.find(D, b"bob") == virtual.User(b"bob", ME + 8, ME + 8, b"/home/bob", b"5M", frozenset(), b"no")
    assert virtual.password_hash(D, b"bob") == b"$6$bob"
    assert site.passwd.read_text() == ODD.format(uid=ME, gid=MINE) + f"bob:$6$bob:{ME + 8}:{ME + 8}:Bob B.:/home/bob:/bin/false\n"
    assert (site.d / "etc/options").read_text() == "bob:quota=5M\n"
    assert [(stat.S_IMODE(each.stat().st_mode), each.stat().st_uid, each.stat().st_gid) for each in (
        home, home / "Maildir", home / "Maildir/new", home / "Maildir/tmp", home / "Maildir/cur")] == [(0o700, ME + 8, ME + 8)] * 5
    assert (site.passwd.stat().st_mode, site.passwd.stat().st_uid) == (before.st_mode, before.st_uid)
    assert virtual.home_directory(D, virtual.find(D, b"bob")) == os.fsencode(home)


@root
def test_uids_are_given_once(site: Site) -> None:
    for name in (b"one", b"two"):
        site.do(mailboxes.add, name, b"*")
    site.do(usertrash.delete, b"two")
    site.do(usertrash.purge)
    site.do(mailboxes.add, b"three", b"*")

    assert [virtual.find(D, each).uid for each in (b"one", b"three")] == [ME + 8, ME + 10]
    assert (site.path / "users/uids").read_text() == f"{ME + 10}\n"


@root
@pytest.mark.parametrize("how", ["option", "all the others", "asked for"])
def test_one_uid_for_all(site: Site, how: str) -> None:
    if how == "option":
        site.options("@:uids=owner\n")
    if how == "all the others":
        site.passwd.write_text(ODD.format(uid=ME + 7, gid=MINE + 7))
    site.do(mailboxes.add, b"bob", b"*", uid=ME + 7 if how == "asked for" else None)

    assert (virtual.find(D, b"bob").uid, virtual.find(D, b"bob").gid) == (ME + 7, MINE + 7)
    assert not (site.path / "users/uids").exists()


@pytest.mark.parametrize("name", [b"", b".bob", b"-bob", b"#bob", b"*", b"a/b", b"a:b", b"a b", b"a@b", b"a%b", b"a\n", b"b\xc3\xb6b",
                                  b"x" * 65, b"(bob)", b"\0"])
def test_who_cannot_be_called_so(site: Site, name: bytes) -> None:
    with pytest.raises(codes.GiveUp, match="a user's name"):
        site.do(mailboxes.add, name, b"*")


@root
@pytest.mark.parametrize("name", [b"x" * 64, b"o'neil", b"bob.smith", b"bob-lists", b"a+b", b"!$&'*+=?^_`{|}~#", b"9"])
def test_who_can(site: Site, name: bytes) -> None:
    site.do(mailboxes.add, name, b"*")

    assert virtual.find(D, name.upper()).name == name
    assert mailboxes.names(D) == [b"ann", name]


@root
def test_what_is_done_already_changes_nothing(site: Site) -> None:
    site.do(mailboxes.add, b"bob", b"$6$bob")
    site.do(mailboxes.suspend, b"bob", frozenset([b"login"]))
    before = {each: each.read_bytes() for each in site.path.rglob("*") if each.is_file()}
    for change in ((mailboxes.add, b"BOB", b"*"), (mailboxes.suspend, b"bob", frozenset([b"login"])),
                   (mailboxes.resume, b"ann", frozenset([b"login"])), (mailboxes.set_password, b"bob", b"$6$bob"),
                   (mailboxes.set_option, b"bob", b"quota", b""), (usertrash.purge,)):
        with pytest.raises(transaction.Already):
            site.do(*change)

    assert {each: each.read_bytes() for each in site.path.rglob("*") if each.is_file()} == before


@pytest.mark.parametrize("change", [
    (usertrash.delete, b"bob"), (usertrash.restore, b"bob"), (mailboxes.rename, b"bob", b"rob"), (mailboxes.set_password, b"bob", b"*"),
    (mailboxes.suspend, b"bob", frozenset([b"login"])), (mailboxes.set_option, b"bob", b"quota", b"5M")])
def test_who_is_not_there_cannot_be_changed(site: Site, change: "tuple[object, ...]") -> None:
    with pytest.raises(codes.GiveUp, match="there is no bob@a.test"):
        site.do(*change)


def test_no_domain_no_users(site: Site) -> None:
    (site.path / "virtual/b.test").symlink_to("a.test")
    with transaction.Transaction() as t:
        with pytest.raises(codes.GiveUp, match="there is no domain c.test; vq-domain add makes it"):
            mailboxes.add(t, b"c.test", b"bob", b"*")
        with pytest.raises(codes.Failure, match="b.test"):
            mailboxes.add(t, b"b.test", b"bob", b"*")

    assert mailboxes.real_domain(b"b.test") == b"a.test"


@root
def test_a_limit_is_a_limit(site: Site) -> None:
    site.options("@:mailboxes=2\n")
    site.do(mailboxes.add, b"bob", b"*")
    site.do(usertrash.delete, b"ann")
    site.do(mailboxes.add, b"carl", b"*")
    for change in (mailboxes.add, b"dora", b"*"), (usertrash.restore, b"ann"):
        with pytest.raises(codes.GiveUp, match="a.test has 2 mailboxes and may have 2"):
            site.do(*change)


@root
def test_deleted_and_restored_everything_is_as_before(site: Site) -> None:
    site.options("# ours\nann:quota=7M:suspended=send\n@:warn=50\n")
    line = ODD.format(uid=ME, gid=MINE)
    site.do(usertrash.delete, b"Ann")
    trash = next((site.d / ".trash").iterdir())

    assert virtual.find(D, b"ann") is None
    assert site.passwd.read_text() == "# kept as it is\n\n"
    assert (site.d / "etc/options").read_text() == "# ours\n@:warn=50\n"
    assert (stat.S_IMODE((site.d / ".trash").stat().st_mode), (site.d / ".trash").stat().st_uid) == (0o700, os.getuid())
    assert trash.name.endswith(".ann")
    assert [name for name, _ in usertrash.deleted(D)] == [b"ann"]
    assert (trash / "home/Maildir/new/1").read_text() == "mail\n"
    assert stat.S_IMODE((trash / "passwd").stat().st_mode) == 0o600

    site.do(usertrash.restore, b"ann")

    assert site.passwd.read_text() == line
    assert (site.d / "etc/options").read_text() == "# ours\n@:warn=50\nann:quota=7M:suspended=send\n"
    assert (site.d / "home/ann/Maildir/new/1").read_text() == "mail\n"
    assert list((site.d / ".trash").iterdir()) == []


def test_the_one_deleted_last_comes_back(site: Site) -> None:
    for count in range(3):
        site.do(usertrash.delete, b"ann")
        if count < 2:
            home = site.d / "home/ann"
            home.mkdir()
            (home / "which").write_text(f"{count + 2}\n")
            site.passwd.write_text(ODD.format(uid=ME, gid=MINE))
            virtualcompile.compile_domain(D)
    site.do(usertrash.restore, b"ann")

    assert (site.d / "home/ann/which").read_text() == "3\n"
    assert len(usertrash.deleted(D)) == 2
    assert site.do(usertrash.purge, b"ann") == 2
    assert usertrash.deleted(D) == []


@pytest.mark.parametrize("home", ["etc", "home", "/", "/home", ".trash", "./etc", "home/ann/inner/..x/../../.."])
def test_what_is_not_only_the_users_stays(site: Site, home: str) -> None:
    if home in ("/", "home/ann/inner/..x/../../.."):
        site.passwd.write_text(ODD.format(uid=ME, gid=MINE).replace("home/ann/", home))
        with pytest.raises(codes.GiveUp, match="passwd: line 3: the home of Ann must be a directory below the domain's"):
            site.do(usertrash.delete, b"ann")
        return
    site.passwd.write_text(ODD.format(uid=ME, gid=MINE).replace("home/ann/", home))
    odd = site.do(usertrash.delete, b"ann")

    assert ["not only this user's" in each for each in odd] == [True]
    assert (site.d / "etc/passwd").exists()
    assert (site.d / "home/ann/Maildir/new/1").exists()


def test_two_users_with_one_home(site: Site) -> None:
    site.passwd.write_text(ODD.format(uid=ME, gid=MINE) + f"bob:*:{ME}:{MINE}::home/ann/bob:\n")
    odd = site.do(usertrash.delete, b"ann")

    assert ["not only this user's" in each for each in odd] == [True]
    assert (site.d / "home/ann").exists()


@root
def test_a_new_name_keeps_the_mail(site: Site) -> None:
    site.options("ann:quota=7M\n@:catchall=ann\n")
    site.do(mailboxes.rename, b"ann", b"Anna")

    assert site.passwd.read_text() == f"# kept as it is\n\nanna:$6$ann:{ME}:{MINE}:Ann  B.:/home/anna:/bin/zsh\n"
    assert (site.d / "etc/options").read_text() == "anna:quota=7M\n@:catchall=anna\n"
    assert (site.d / "home/anna/Maildir/new/1").read_text() == "mail\n"
    assert (virtual.find(D, b"ann"), virtual.find(D, b"anna").quota) == (None, b"7M")
    with pytest.raises(transaction.Already):
        site.do(mailboxes.rename, b"ann", b"anna")


def test_a_home_of_another_name_stays_where_it_is(site: Site) -> None:
    site.passwd.write_text(ODD.format(uid=ME, gid=MINE).replace("home/ann/", "people/a/ann"))
    (site.d / "people/a").mkdir(parents=True)
    (site.d / "home/ann").rename(site.d / "people/a/ann")
    site.do(mailboxes.rename, b"ann", b"anna")

    assert virtual.find(D, b"anna").home == b"people/a/ann"


def test_what_somebody_else_has_left_in_the_way_stays(site: Site) -> None:
    (site.d / "home/bob").mkdir()
    for change in (mailboxes.add, b"bob", b"*"), (mailboxes.rename, b"ann", b"bob"):
        with pytest.raises(codes.GiveUp, match="home/bob is there already, but no user has it: move it away"):
            site.do(*change)

    assert mailboxes.names(D) == [b"ann"]


def test_suspended_for_some_things(site: Site) -> None:
    site.do(mailboxes.suspend, b"ann", frozenset([b"login", b"send"]))
    one = virtual.find(D, b"ann").suspended
    site.do(mailboxes.resume, b"ann", frozenset([b"send", b"receive"]))
    two = virtual.find(D, b"ann").suspended
    site.do(mailboxes.resume, b"ann", frozenset([b"login"]))

    assert (one, two, virtual.find(D, b"ann").suspended) == (frozenset([b"login", b"send"]), frozenset([b"login"]), frozenset())
    assert (site.d / "etc/options").read_text() == "#\n"


def test_who_comes_back_where_all_are_suspended_is_an_exception(site: Site) -> None:
    site.options("*:suspended=login\n")
    site.do(mailboxes.resume, b"ann", frozenset([b"login"]))

    assert virtual.find(D, b"ann").suspended == frozenset()


def test_a_password_and_a_real_name_are_changed_and_nothing_else(site: Site) -> None:
    site.do(mailboxes.set_password, b"ann", b"$6$other")
    site.do(mailboxes.set_real_name, b"ann", b"Anna")

    assert site.passwd.read_text() == ODD.format(uid=ME, gid=MINE).replace("$6$ann", "$6$other").replace("Ann  B.", "Anna")
    assert virtual.password_hash(D, b"ann") == b"$6$other"


@pytest.mark.parametrize(("change", "reason"), [
    ((mailboxes.set_option, b"ann", b"quota", b"much"), "quota cannot be much"),
    ((mailboxes.set_option, b"ann", b"qota", b"5M"), "qota is no option of a user"),
    ((mailboxes.set_option, b"ann", b"quota", b"5M\nbob:quota=1"), "quota cannot be"),
    ((mailboxes.set_real_name, b"ann", b"Ann:0:0"), "a real name has"),
    ((mailboxes.set_real_name, b"ann", b"Ann\nroot"), "a real name has"),
])
def test_nothing_gets_in_that_would_be_something_else(site: Site, change: "tuple[object, ...]", reason: str) -> None:
    with pytest.raises(codes.GiveUp, match=reason):
        site.do(*change)

    assert site.passwd.read_text() == ODD.format(uid=ME, gid=MINE)


def test_a_broken_text_is_not_touched(site: Site) -> None:
    for text, reason in ((ODD.format(uid=ME, gid=MINE) + "half", "its last line has no end"), ("a:b\n", "line 1: has 1 colons")):
        site.passwd.write_text(text)
        with pytest.raises(codes.GiveUp, match=reason):
            site.do(mailboxes.set_password, b"ann", b"*")

        assert site.passwd.read_text() == text


@root
def test_an_alias_of_the_name_is_told_of(site: Site) -> None:
    (site.d / ".qmail-bob:smith").write_text("ann\n")

    assert site.do(mailboxes.add, b"bob.smith", b"*") == [
        "there is an alias of that name (.qmail-bob:smith): mail goes there, not into the mailbox"]


def test_what_there_is_to_know_has_no_hash(site: Site) -> None:
    site.options("@:suspended=send\n*:quota=9M\n")
    found = mailboxes.info(D, b"ANN")

    assert found == {"name": b"ann", "domain": D, "uid": ME, "gid": MINE, "real_name": b"Ann  B.",
                     "home": os.fsencode(site.d / "home/ann"), "password": "sha512", "quota": b"9M", "suspended": frozenset([b"send"]),
                     "suspended_by_domain": frozenset([b"send"]), "dotqmail": b"no", "options": {},
                     "last_login": None, "last_ip": None}


def test_the_last_login_goes_with_the_user(site: Site) -> None:
    lastlogin.put(D, b"ann", lastlogin.Last(1700000000, b"192.0.2.1"))
    site.do(mailboxes.rename, b"ann", b"anna")
    found = mailboxes.info(D, b"anna")

    assert (found["last_login"], found["last_ip"]) == (1700000000, b"192.0.2.1")
    site.do(usertrash.delete, b"anna")
    site.do(usertrash.restore, b"anna")
    assert mailboxes.info(D, b"anna")["last_login"] == 1700000000


@root
def test_who_is_new_has_never_logged_in(site: Site) -> None:
    lastlogin.put(D, b"bob", lastlogin.Last(1700000000, b"192.0.2.1"))
    site.do(mailboxes.add, b"bob", b"*")

    assert mailboxes.info(D, b"bob")["last_login"] is None


def test_a_forged_line_in_the_trash_makes_nobody(site: Site) -> None:
    for number, (line, reason) in enumerate(((f"ann:*:{ME}:{MINE}::home/ann:\n", "is not the line of bob"),
                                             ("bob:*:0:0::home/bob:\n", "uid 0 or gid 0 of bob is below 100"),
                                             (f"bob:*:{ME}:{MINE}::home/bob:\nrob:*:{ME}:{MINE}::home/rob:\n", "is not the line of bob"))):
        place = site.d / f".trash/{number + 1}.bob"
        (place / "home").mkdir(parents=True)
        (place / "passwd").write_text(line)
        with pytest.raises(codes.GiveUp, match=reason):
            site.do(usertrash.restore, b"bob")

    assert mailboxes.names(D) == [b"ann"]


def test_no_link_leads_out_of_the_domain(site: Site, tmp_path: pathlib.Path) -> None:
    (tmp_path / "away").mkdir()
    (site.d / "home").rename(site.d / "old")
    (site.d / "home").symlink_to(tmp_path / "away")
    with pytest.raises(codes.Failure):
        site.do(mailboxes.add, b"bob", b"*")

    assert list((tmp_path / "away").iterdir()) == []
    assert mailboxes.names(D) == [b"ann"]


# lines

TEXT = b"# bob:\nAnn:1\n\nbob:2\nBOB:3\ncarl:4"


@pytest.mark.parametrize(("name", "line", "text"), [
    (b"ann", b"ann:9", b"# bob:\nann:9\n\nbob:2\nBOB:3\ncarl:4"),
    (b"bob", b"rob:9", b"# bob:\nAnn:1\n\nrob:9\ncarl:4"),
    (b"bob", None, b"# bob:\nAnn:1\n\ncarl:4"),
    (b"dora", b"dora:5", TEXT + b"\ndora:5\n"),
    (b"dora", None, TEXT),
])
def test_one_line_changes(name: bytes, line: "bytes | None", text: bytes) -> None:
    assert lines.replace(TEXT, name, line) == text


def test_an_empty_text_is_none() -> None:
    assert lines.replace(b"bob:1\n", b"bob", None) == b"#\n"
    assert lines.replace(b"", b"bob", b"bob:1") == b"bob:1\n"


@root
def test_changes_of_many_users_read_a_text_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [b"u%d" % number for number in range(100)]
    with site.passwd.open("ab") as file:
        file.writelines(b"%s:$6$x:%d:%d::/home/%s:/bin/false\n" % (each, ME, MINE, each) for each in many)
    parsed: list[int] = []
    entries = passwd.entries

    def counted(texts: "typing.Iterable[bytes]", least: int = 0) -> "typing.Iterator[passwd.Entry]":
        whole = list(texts)
        parsed.append(len(whole))
        return entries(whole, least)

    monkeypatch.setattr(passwd, "entries", counted)
    with transaction.Transaction() as t:
        for each in many:
            mailboxes.set_option(t, D, each, b"quota", b"5M")
            mailboxes.set_real_name(t, D, each, b"User")
            mailboxes.suspend(t, D, each, frozenset([b"send"]))
        assert parsed == [104] + [1] * 100
        t.commit()

    assert all(mailboxes.info(D, each)["quota"] == b"5M" for each in many)
    assert all(mailboxes.info(D, each)["suspended"] == {b"send"} for each in many)
    assert site.passwd.read_bytes().count(b":User:") == 100


@root
def test_what_an_editor_writes_within_a_change_is_seen(site: Site) -> None:
    with transaction.Transaction() as t:
        mailboxes.set_option(t, D, b"ann", b"quota", b"5M")
        site.passwd.write_text(site.passwd.read_text() + f"eve:*:{ME}:{MINE}::/home/eve:/bin/false\n")
        mailboxes.set_real_name(t, D, b"eve", b"Eve")
        t.commit()

    assert mailboxes.info(D, b"eve")["real_name"] == b"Eve"
    assert mailboxes.info(D, b"ann")["quota"] == b"5M"
