"""The virtual users of a domain: the text, what is compiled of it, and whose home may be trusted."""

import os
import pathlib
import stat

import pytest

from vqmail import codes, vqhome
from vqmail.store import cdb, rewrite, users, virtual, virtualcompile

ME, MINE = os.getuid() or 45001, os.getgid() or 45001
LINES = f"bob:$6$bob:{ME}:{MINE}:Bob:/home/bob:/bin/false\nAnn:$6$ann:{ME}:{MINE}::home/ann:\n"
BOB = virtual.User(b"bob", ME, MINE, b"/home/bob")
ANN = virtual.User(b"ann", ME, MINE, b"home/ann")


@pytest.fixture
def root(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The directory of all domains, with a.test in it."""
    monkeypatch.setattr(vqhome, "VQHOME", str(tmp_path).encode())
    (tmp_path / "control").mkdir()
    (tmp_path / "control/me").write_text("host.test\n")
    (tmp_path / "control/virtualroot").write_text(f"{tmp_path}/virtual/\n")
    (tmp_path / "control/minuid").write_text("100\n")
    for name in ("bob", "ann"):
        (tmp_path / "virtual/a.test/home" / name).mkdir(parents=True)
        if os.geteuid() == 0:
            os.chown(tmp_path / "virtual/a.test/home" / name, ME, MINE)
    (tmp_path / "virtual/a.test/etc").mkdir()
    (tmp_path / "virtual/a.test/etc/passwd").write_text(LINES)
    return tmp_path / "virtual"


@pytest.fixture(params=["text", "compiled"])
def domain(root: pathlib.Path, request: pytest.FixtureRequest) -> bytes:
    if request.param == "compiled":
        assert virtualcompile.compile_domain(b"a.test") is True
    return b"a.test"


def etc(root: pathlib.Path) -> pathlib.Path:
    return root / "a.test/etc"


def test_users_are_found_in_any_case(domain: bytes) -> None:
    assert [virtual.find(domain, each) for each in (b"bob", b"BOB", b"ann", b"Ann")] == [BOB, BOB, ANN, ANN]
    assert [virtual.password_hash(domain, each) for each in (b"bob", b"aNN")] == [b"$6$bob", b"$6$ann"]


@pytest.mark.parametrize("name", [b"carl", b"bo", b"bobb", b"", b".", b"..", b"a/b", b"../a.test/bob", b"bob\0", b"bob\n", b".bob",
                                  b"bob:", b"x" * 1000, b"\xff"])
def test_nobody_else_is(domain: bytes, name: bytes) -> None:
    assert virtual.find(domain, name) is None
    assert virtual.password_hash(domain, name) is None


@pytest.mark.parametrize("bad", [b"", b".", b"..", b".a.test", b"a.test.", b"a..test", b"a/test", b"/etc", b"A.test", b"a\0", b"a b",
                                 b"a\n", b"-a.test", b"\xc3\xa4.test", b"x" * 256])
def test_what_cannot_be_a_domain_is_not_looked_up(root: pathlib.Path, bad: bytes) -> None:
    assert virtual.usable_domain(bad) is False
    for ask in virtual.find, virtual.password_hash:
        with pytest.raises(codes.TryLater, match="^domain failed: .* cannot be a domain's name$"):
            ask(bad, b"bob")


def test_no_parent_domain_is_asked_instead(root: pathlib.Path) -> None:
    with pytest.raises(codes.TryLater, match=r"sub\.a\.test/etc/passwd: No such file"):
        virtual.find(b"sub.a.test", b"bob")


def test_compiling_again_is_for_nothing_until_the_text_changes(root: pathlib.Path) -> None:
    first = virtualcompile.compile_domain(b"a.test")
    files = [(etc(root) / name).stat() for name in ("users.cdb", "passwd.cdb")]

    assert (first, virtualcompile.compile_domain(b"a.test")) == (True, False)
    assert [(etc(root) / name).stat() for name in ("users.cdb", "passwd.cdb")] == files
    (etc(root) / "passwd").write_text(LINES.replace("bob", "bOB"))
    assert virtualcompile.compile_domain(b"a.test") is True


@pytest.mark.parametrize("missing", ["users.cdb", "passwd.cdb"])
def test_a_compiled_file_that_is_missing_is_made(root: pathlib.Path, missing: str) -> None:
    virtualcompile.compile_domain(b"a.test")
    (etc(root) / missing).unlink()

    assert virtualcompile.compile_domain(b"a.test") is True
    assert (etc(root) / missing).exists()


@pytest.mark.parametrize(("name", "mode", "right"), [("users.cdb", 0o600, 0o644), ("passwd.cdb", 0o644, 0o600)])
def test_a_compiled_file_of_another_mode_is_made_again(root: pathlib.Path, name: str, mode: int, right: int) -> None:
    virtualcompile.compile_domain(b"a.test")
    (etc(root) / name).chmod(mode)

    assert virtualcompile.compile_domain(b"a.test") is True
    assert right == stat.S_IMODE((etc(root) / name).stat().st_mode)


def test_no_hash_is_where_everybody_may_read(root: pathlib.Path) -> None:
    (etc(root) / "passwd").chmod(0o640)
    virtualcompile.compile_domain(b"a.test")

    assert b"$6$" not in (etc(root) / "users.cdb").read_bytes()
    assert stat.S_IMODE((etc(root) / "users.cdb").stat().st_mode) == 0o644
    assert stat.S_IMODE((etc(root) / "passwd.cdb").stat().st_mode) == 0o600


@pytest.mark.root
def test_the_hashes_belong_to_whom_the_text_belongs(root: pathlib.Path) -> None:
    os.chown(etc(root) / "passwd", ME, MINE)
    virtualcompile.compile_domain(b"a.test")
    found = (etc(root) / "passwd.cdb").stat()

    assert (found.st_uid, found.st_gid) == (ME, MINE)


@pytest.mark.parametrize("change", ["a line more", "same size, new time", "another file of the same size and time"])
def test_what_was_compiled_of_another_text_is_not_believed(root: pathlib.Path, change: str) -> None:
    virtualcompile.compile_domain(b"a.test")
    text = etc(root) / "passwd"
    old = text.stat()
    if change == "a line more":
        text.write_text(LINES + f"carl:x:{ME}:{MINE}::/home/carl:\n")
    else:
        fresh = text if change == "same size, new time" else text.with_name("new")
        fresh.write_text(LINES.replace("bob:", "rob:", 1))
        if fresh != text:
            os.utime(fresh, ns=(old.st_mtime_ns, old.st_mtime_ns))
            fresh.rename(text)
    if change == "a line more":
        assert virtual.find(b"a.test", b"carl") == virtual.User(b"carl", ME, MINE, b"/home/carl")
        assert virtual.password_hash(b"a.test", b"carl") == b"x"
    else:
        assert virtual.find(b"a.test", b"bob") is None
        assert virtual.password_hash(b"a.test", b"bob") is None
        assert virtual.password_hash(b"a.test", b"rob") == b"$6$bob"


def test_compiled_just_after_an_edit_it_is_not_mistaken_for_the_next_edit(root: pathlib.Path) -> None:
    text = etc(root) / "passwd"
    for one, other in (("bob", "rob"), ("rob", "bob")) * 20:
        text.write_text(LINES.replace("bob:", one + ":", 1))
        virtualcompile.compile_domain(b"a.test")
        text.write_text(LINES.replace("bob:", other + ":", 1))

        assert virtual.find(b"a.test", one.encode()) is None


@pytest.mark.parametrize("text", ["", LINES[:-1], LINES[:-20], LINES + "carl", LINES + "carl:x:1", LINES + "carl:x:1\n", LINES + "\0\n"])
def test_a_text_that_is_being_written_is_trouble_not_nobody(root: pathlib.Path, text: str) -> None:
    (etc(root) / "passwd").write_text(text)
    for ask in virtual.find, virtual.password_hash:
        for name in b"bob", b"carl":
            with pytest.raises(codes.TryLater, match="a.test/etc/passwd: ") as trouble:
                ask(b"a.test", name)

            assert not isinstance(trouble.value, virtual.Stale)


@pytest.mark.parametrize("text", ["", LINES[:-1], LINES + "carl:x:1\n", LINES + "bob:x:1001:1001::/h:\n",
                                  LINES + "carl:x:0:1001::/h:\n", LINES + f"carl:x:{ME}:99::/h:\n"])
def test_a_text_with_a_broken_line_is_not_compiled(root: pathlib.Path, text: str) -> None:
    virtualcompile.compile_domain(b"a.test")
    names = "users.cdb", "passwd.cdb"
    old = [(etc(root) / name).read_bytes() for name in names]
    (etc(root) / "passwd").write_text(text)
    with pytest.raises(ValueError):
        virtualcompile.compile_domain(b"a.test")

    assert [(etc(root) / name).read_bytes() for name in names] == old
    assert sorted(each.name for each in etc(root).iterdir()) == ["passwd", "passwd.cdb", "users.cdb"]


def test_a_missing_text_is_trouble_whatever_was_compiled(root: pathlib.Path) -> None:
    virtualcompile.compile_domain(b"a.test")
    (etc(root) / "passwd").unlink()

    with pytest.raises(codes.TryLater, match="cannot look at .*/etc/passwd: No such file"):
        virtual.find(b"a.test", b"bob")


@pytest.mark.parametrize("name", ["users.cdb", "passwd.cdb"])
def test_compiled_files_cut_anywhere_never_answer_wrong(root: pathlib.Path, name: str) -> None:
    virtualcompile.compile_domain(b"a.test")
    whole = (etc(root) / name).read_bytes()
    for length in range(0, len(whole), 7):
        (etc(root) / name).write_bytes(whole[:length])
        for ask, right in (virtual.find, [BOB, None]), (virtual.password_hash, [b"$6$bob", None]):
            for user, answer in zip((b"bob", b"carl"), right):
                try:
                    assert ask(b"a.test", user) == answer
                except codes.TryLater as trouble:
                    assert "remove it and run vq-newu" in str(trouble)


@pytest.mark.parametrize("data", [b"", b"1001", b"1001\x001001", b"x\x001001\0/home/bob", b"-1\x001001\0/home/bob"])
def test_a_broken_record_is_trouble(root: pathlib.Path, data: bytes) -> None:
    virtualcompile.compile_domain(b"a.test")
    path = os.fsencode(etc(root) / "users.cdb")
    cdb.make(path, [(b"", cdb.find(path, b"") or b""), (b"bob", data)], 0o644)

    with pytest.raises(codes.TryLater, match="has a broken record; remove it and run vq-newu"):
        virtual.find(b"a.test", b"bob")


@pytest.mark.parametrize(("hidden", "compiled", "answer"), [
    ("passwd", True, BOB), ("passwd", False, None), ("users.cdb", True, BOB), ("both", True, None), ("etc", True, None)])
def test_what_may_not_be_read_is_stale_only_when_nothing_else_answers(
        root: pathlib.Path, monkeypatch: pytest.MonkeyPatch, hidden: str, compiled: bool, answer: "virtual.User | None") -> None:
    if compiled:
        virtualcompile.compile_domain(b"a.test")
    real_open, real_stat = virtual.calls.open, virtual.calls.stat

    def is_hidden(path: object) -> bool:
        return isinstance(path, bytes) and (
            path.endswith({"passwd": b"/passwd", "users.cdb": b"/users.cdb"}.get(hidden, b"?"))
            or (hidden == "both" and b"/etc/" in path) or (hidden == "etc" and b"/etc/" in path))

    def refuse(path, *rest, **named):
        if is_hidden(path):
            raise PermissionError(13, "Permission denied")
        return real_open(path, *rest, **named)

    def stat_refuse(path, *rest, **named):
        if hidden == "etc" and is_hidden(path):
            raise PermissionError(13, "Permission denied")
        return real_stat(path, *rest, **named)

    monkeypatch.setattr(virtual.calls, "open", refuse)
    monkeypatch.setattr(virtual.calls, "stat", stat_refuse)
    if answer is None:
        with pytest.raises(virtual.Stale):
            virtual.find(b"a.test", b"bob")
    else:
        assert virtual.find(b"a.test", b"bob") == answer


# where vq-newu, as root, goes in a directory that belongs to somebody else

@pytest.mark.parametrize("what", ["etc", "passwd"])
def test_compiling_follows_no_link(root: pathlib.Path, tmp_path: pathlib.Path, what: str) -> None:
    other = tmp_path / "other"
    other.mkdir()
    target = etc(root) if what == "etc" else etc(root) / "passwd"
    target.rename(other / "moved")
    target.symlink_to(other / "moved")
    with pytest.raises(OSError):
        virtualcompile.compile_domain(b"a.test")

    assert [each.name for each in other.iterdir()] == ["moved"]
    assert not list(other.glob("**/*.cdb"))


def test_compiling_waits_for_no_fifo(root: pathlib.Path) -> None:
    (etc(root) / "passwd").unlink()
    os.mkfifo(etc(root) / "passwd")

    with pytest.raises(ValueError, match="it is not a file"):
        virtualcompile.compile_domain(b"a.test")


def test_nothing_stays_open(root: pathlib.Path) -> None:
    before = os.listdir("/proc/self/fd")
    virtual.find(b"a.test", b"bob")
    virtualcompile.compile_domain(b"a.test")
    virtual.find(b"a.test", b"bob")
    virtual.home_directory(b"a.test", BOB)
    (etc(root) / "passwd").write_text("rubbish")
    for ask in virtual.find, virtual.password_hash:
        with pytest.raises(codes.TryLater):
            ask(b"a.test", b"bob")
    with pytest.raises(ValueError):
        virtualcompile.compile_domain(b"a.test")
    with pytest.raises(codes.TryLater):
        virtual.home_directory(b"a.test", virtual.User(b"x", ME, MINE, b"home/x"))

    assert os.listdir("/proc/self/fd") == before


# the home

@pytest.mark.parametrize("home", [b"home/bob", b"/home/bob", b"//home//bob/", b"./home/./bob"])
def test_a_home_is_below_the_domain_whatever_it_begins_with(root: pathlib.Path, home: bytes) -> None:
    assert os.path.samefile(virtual.home_directory(b"a.test", virtual.User(b"bob", ME, MINE, home)), root / "a.test/home/bob")


@pytest.mark.parametrize(("user", "reason"), [
    ((b"bob", 0, MINE, b"home/bob"), r"uid 0 or gid \d+ is below 100 \(control/minuid\)"),
    ((b"bob", ME, 0, b"home/bob"), r"uid \d+ or gid 0 is below 100 \(control/minuid\)"),
    ((b"bob", 99, MINE, b"home/bob"), r"uid 99 or gid \d+ is below 100"),
    ((b"bob", ME + 1, MINE, b"home/bob"), r"belongs to \d+:\d+, not to \d+:\d+: chown it"),
    ((b"bob", ME, MINE + 1, b"home/bob"), r"belongs to \d+:\d+, not to \d+:\d+: chown it"),
    ((b"bob", ME, MINE, b"home/nobody"), "the home home/nobody is missing; make it and chown it"),
    ((b"bob", ME, MINE, b"../b.test/home/bob"), "the home leads out of the domain"),
    ((b"bob", ME, MINE, b"home/../../b.test/home/bob"), "the home leads out of the domain"),
    ((b"bob", ME, MINE, b"home/linked"), "the home home/linked is a link or no directory"),
    ((b"bob", ME, MINE, b"away/bob"), "the home away/bob is a link or no directory"),
    ((b"bob", ME, MINE, b"etc/passwd"), "the home etc/passwd is a link or no directory"),
])
def test_a_home_that_may_not_be_trusted(root: pathlib.Path, user: "tuple[bytes, int, int, bytes]", reason: str) -> None:
    (root / "a.test/home/linked").symlink_to(root / "a.test/home/bob")
    (root / "a.test/away").symlink_to(root / "a.test/home")
    if os.geteuid() != 0 and "chown" in reason:
        reason = "this installation is under uid"
    with pytest.raises(codes.TryLater, match=reason) as trouble:
        virtual.home_directory(b"a.test", virtual.User(*user))

    assert str(trouble.value).startswith(f"{root}/a.test/etc/passwd, bob: ")


def test_a_domain_without_a_directory_is_trouble(root: pathlib.Path) -> None:
    with pytest.raises(codes.TryLater, match="the home home/bob is missing"):
        virtual.home_directory(b"b.test", virtual.User(b"bob", ME, MINE, b"home/bob"))


def test_minuid_0_still_keeps_root_out(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "control/minuid").write_text("0\n")

    with pytest.raises(codes.TryLater, match="not allowed"):
        virtual.home_directory(b"a.test", virtual.User(b"bob", 0, 0, b"home/bob"))


# the owner of a domain

def test_a_domain_belongs_to_whoever_controls_its_prefix(root: pathlib.Path, tmp_path: pathlib.Path,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "control/virtualdomains").write_text("a.test:first\n.b.test:second\nc.test:\njoe@d.test:third\n")
    monkeypatch.setattr(users, "PATH", str(tmp_path / "cdb").encode())
    cdb.make(users.PATH, [(b"!first-", b"one\x007\x008\0/one\0-\0"), (b"!second-", b"two\x009\x0010\0/two\0-\0"), (b"", b"-")], 0o644)
    rules = rewrite.Rules()

    assert [getattr(virtual.owner(each, rules), "uid", None)
            for each in (b"a.test", b"A.TEST", b"x.b.test", b"b.test", b"c.test", b"d.test", b"host.test")] == [
        7, 7, 9, None, None, None, None]


# what the options say

OPTIONS = "# of ours\n*:quota=20M\nbob:quota=NOQUOTA:suspended=send,login\n@:mailboxes=9:catchall=bob:forwarding=no\n"


def opted(root: pathlib.Path, text: str = OPTIONS) -> None:
    (etc(root) / "options").write_text(text)


@pytest.mark.parametrize("compiled", [False, True])
def test_options_of_users_and_of_the_domain(root: pathlib.Path, compiled: bool) -> None:
    opted(root)
    if compiled:
        virtualcompile.compile_domain(b"a.test")
        (etc(root) / "passwd").chmod(0)

    assert virtual.find(b"a.test", b"bob") == virtual.User(
        b"bob", ME, MINE, b"/home/bob", b"", frozenset([b"login", b"send"]), b"no")
    assert virtual.find(b"a.test", b"ann") == virtual.User(b"ann", ME, MINE, b"home/ann", b"20M", frozenset(), b"no")
    assert virtual.find(b"a.test", b"@") is None
    settings = virtual.settings(b"a.test")

    assert (settings.catchall, settings.extensions, settings.overquota, settings.warn, settings.quota, settings.limits,
            settings.suspended, settings.forwarding, settings.uids) == (
        b"bob", b"-+", b"bounce", 90, b"", {b"mailboxes": 9}, frozenset(), False, b"own")


@pytest.mark.parametrize("compiled", [False, True])
def test_a_domain_without_options_has_the_defaults(root: pathlib.Path, compiled: bool) -> None:
    if compiled:
        virtualcompile.compile_domain(b"a.test")
    settings = virtual.settings(b"a.test")

    assert (settings.catchall, settings.extensions, settings.limits, settings.suspended, settings.forwarding) == (
        b"", b"-+", {}, frozenset(), True)


@pytest.mark.parametrize("compiled", [False, True])
def test_what_the_domain_may_not_do_none_of_its_users_may(root: pathlib.Path, compiled: bool) -> None:
    opted(root, "@:suspended=receive\nbob:suspended=login\n")
    if compiled:
        virtualcompile.compile_domain(b"a.test")

    assert virtual.find(b"a.test", b"bob").suspended == frozenset([b"login", b"receive"])
    assert virtual.find(b"a.test", b"ann").suspended == frozenset([b"receive"])


def test_what_an_earlier_version_compiled_is_still_read(root: pathlib.Path) -> None:
    found = (etc(root) / "passwd").stat()
    identity = b"%d %d %d" % (found.st_ino, found.st_size, found.st_mtime_ns)
    cdb.make(os.fsencode(etc(root) / "users.cdb"),
             [(b"", identity), (b"zoe", b"%d\0%d\0/home/zoe" % (ME, MINE))], 0o644)

    assert virtual.find(b"a.test", b"zoe") == virtual.User(b"zoe", ME, MINE, b"/home/zoe")
    assert virtual.find(b"a.test", b"bob") is None
    assert virtual.settings(b"a.test").catchall == b""


@pytest.mark.parametrize("change", ["added", "edited", "removed"])
def test_what_was_compiled_of_other_options_is_not_believed(root: pathlib.Path, change: str) -> None:
    if change != "added":
        opted(root, "bob:quota=1M\n")
    virtualcompile.compile_domain(b"a.test")
    if change == "removed":
        (etc(root) / "options").unlink()
    else:
        opted(root, "bob:quota=2M\n")

    assert virtual.find(b"a.test", b"bob").quota == {"added": b"2M", "edited": b"2M", "removed": b""}[change]
    assert virtualcompile.compile_domain(b"a.test") is True
    assert virtualcompile.compile_domain(b"a.test") is False


@pytest.mark.parametrize("text", ["", "bob:quota=2M", "bob:quota=two\n", "bob:quota=1M\nbob:quota=2M\n"])
def test_broken_options_are_trouble_and_are_not_compiled(root: pathlib.Path, text: str) -> None:
    virtualcompile.compile_domain(b"a.test")
    old = [(etc(root) / name).read_bytes() for name in ("users.cdb", "passwd.cdb")]
    opted(root, text)
    (etc(root) / "passwd").write_text(LINES + f"carl:x:{ME}:{MINE}::/home/carl:\n")
    with pytest.raises(virtualcompile.Broken) as broken:
        virtualcompile.compile_domain(b"a.test")
    with pytest.raises(codes.TryLater, match=r"a\.test/etc/options: "):
        virtual.find(b"a.test", b"bob")
    with pytest.raises(codes.TryLater, match=r"a\.test/etc/options: "):
        virtual.settings(b"a.test")

    assert broken.value.path == os.fsencode(etc(root) / "options")
    assert [(etc(root) / name).read_bytes() for name in ("users.cdb", "passwd.cdb")] == old


def test_an_option_changes_no_hashes(root: pathlib.Path) -> None:
    virtualcompile.compile_domain(b"a.test")
    before = (etc(root) / "passwd.cdb").stat().st_ino
    opted(root)
    virtualcompile.compile_domain(b"a.test")

    assert (etc(root) / "passwd.cdb").stat().st_ino == before


def test_options_behind_a_link_are_not_compiled(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "theirs").write_text("bob:quota=1M\n")
    (etc(root) / "options").symlink_to(tmp_path / "theirs")

    with pytest.raises(virtualcompile.Broken):
        virtualcompile.compile_domain(b"a.test")


def test_one_table_answers_many_questions(root: pathlib.Path) -> None:
    opted(root)
    virtualcompile.compile_domain(b"a.test")
    with virtual.Table(b"a.test") as table:
        assert [getattr(table.user(each), "name", None) for each in (b"bob-lists", b"BOB", b"ann", b"")] == [
            None, b"bob", b"ann", None]
        assert table.settings().catchall == b"bob"
