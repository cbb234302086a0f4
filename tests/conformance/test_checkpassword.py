"""vq-checkpassword as any program calls it: descriptor 3 in, an exit code or the next program out; cold and warm."""

import hashlib
import typing

import pop_world
import pytest
import support

LATIN1 = "$5$rounds=1000$saltsalt$ZvPYEEgL.SV.yd28Rmr9v3ba5yxjs2zMXCb7etilpY5"
SHOW = ("/bin/sh", "-c", 'echo "$HOME|$USER|$SHELL|$(pwd)|$(id -u):$(id -g):$(id -G)|$OWN"; ls /proc/$$/fd')


@pytest.fixture(scope="module", params=["cold", "warm"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[pop_world.World]":
    home = support.make_home(tmp_path_factory.mktemp("pop") / "home")
    world = pop_world.World(home, warm=request.param == "warm")
    yield world
    world.close()


@pytest.fixture
def world(whole: pop_world.World) -> "typing.Iterator[pop_world.World]":
    yield whole
    whole.hang_up()


def test_right_password_leads_to_the_program_in_the_home(world: pop_world.World) -> None:
    code, said = world.checkpassword(b"BOB@example.test\0secret\0stamp\0", *SHOW, OWN="kept")
    home = world.virtual / "example.test/home/bob"
    uid, gid = support.single_ids()
    first, *opened = said.decode().splitlines()

    assert 0 == code
    assert f"{home}|bob@example.test|/bin/false|{home}|{uid}:{gid}:{gid}|kept" == first
    assert "3" not in opened


def test_program_decides_on_the_exit_code(world: pop_world.World) -> None:
    assert (7, b"") == world.checkpassword(b"bob@example.test\0secret\0\0", "/bin/sh", "-c", "exit 7")


def test_smtp_auth_style(world: pop_world.World) -> None:
    assert (0, b"") == world.checkpassword(b"bob@example.test\0secret\0", "/bin/true")
    assert (1, b"") == world.checkpassword(b"bob@example.test\0wrong\0", "/bin/true")


@pytest.mark.parametrize("three", [
    b"bob@example.test\0wrong\0t\0",
    b"bob@example.test\0\0t\0",
    b"bob@example.test\0Secret\0t\0",
    b"bob@example.test\0secret \0t\0",
    b"nobody@example.test\0secret\0t\0",
    b"bob@nowhere.test\0secret\0t\0",
    b"bob@other.test\0secret\0t\0",
    b"bob\0secret\0t\0",                                    # which of two domains?
    b"\0secret\0t\0",
    b"@example.test\0secret\0t\0",
    b"bob@\0secret\0t\0",
    b"../bob@example.test\0secret\0t\0",
    b"bob@example.test/../example.test\0secret\0t\0",
    b"bob@../virtual/example.test\0secret\0t\0",
    b"bob@example.test:x\0secret\0t\0",
    b"b\xc3\xb6b@example.test\0secret\0t\0",
    b"bob\n@example.test\0secret\0t\0",
])
def test_refused(world: pop_world.World, three: bytes) -> None:
    assert (1, b"") == world.checkpassword(three, "/bin/echo", "in")


@pytest.mark.parametrize("three", [None, b"", b"bob@example.test", b"bob@example.test\0secret", b"x" * 600,
                                   b"bob@example.test\0secret\0" + b"t" * 500 + b"\0"])
def test_too_little_or_too_much_is_misuse(world: pop_world.World, three: "bytes | None") -> None:
    assert (2, b"") == world.checkpassword(three, "/bin/echo", "in")


def test_no_program_is_misuse(world: pop_world.World) -> None:
    assert (2, b"") == world.checkpassword(b"bob@example.test\0secret\0t\0")


def test_program_that_is_missing_is_no_success(world: pop_world.World) -> None:
    assert (127, b"") == world.checkpassword(b"bob@example.test\0secret\0t\0", "/nonexistent")


@pytest.mark.parametrize("login", [b"bob!example.test", b"bob%example.test", b"Bob@EXAMPLE.test"])
def test_separators(world: pop_world.World, login: bytes) -> None:
    assert (0, b"in\n") == world.checkpassword(login + b"\0secret\0t\0", "/bin/echo", "in")


def test_bare_user_on_an_address_of_a_domain(world: pop_world.World) -> None:
    world.home.control("popdomains", "192.0.2.9 other.test\n::1 example.test\n")
    try:
        codes = [world.checkpassword(b"bob\0%s\0t\0" % secret, "/bin/true", TCPLOCALIP=ip)[0]
                 for ip, secret in (("192.0.2.9", b"other"), ("192.0.2.9", b"secret"), ("::1", b"secret"),
                                    ("192.0.2.8", b"other"))]
    finally:
        (world.home.path / "control/popdomains").unlink()

    assert [0, 1, 0, 1] == codes


def test_apop(world: pop_world.World) -> None:
    world.user("example.test", "clear", stored="{CLEAR}sesame")
    digest = hashlib.md5(b"<1.2@h>sesame").hexdigest().encode()

    assert [0, 1, 0, 1] == [world.checkpassword(b"clear@example.test\0%s\0%s\0" % fields, "/bin/true")[0] for fields in (
        (digest, b"<1.2@h>"), (digest, b"<1.3@h>"), (b"sesame", b"<1.2@h>"), (hashlib.md5(b"sesame").hexdigest().encode(), b""))]


@pytest.mark.parametrize(("stored", "code"), [("*", 1), ("!", 1), ("x", 1), ("!$6$x$y", 1), ("{SSHA}x", 111), ("$9$x", 111)])
def test_locked_is_refused_and_unknown_is_trouble(world: pop_world.World, stored: str, code: int) -> None:
    world.user("example.test", "odd", stored=stored)

    assert (code, b"") == world.checkpassword(b"odd@example.test\0x\0t\0", "/bin/echo", "in")


def test_broken_passwd_file_is_trouble_and_no_wrong_password(world: pop_world.World) -> None:
    path = world.virtual / "other.test/etc/passwd"
    text = path.read_text()
    try:
        for broken in (text + "half a li", "", text + "a:b\n"):
            path.write_text(broken)

            assert (111, b"") == world.checkpassword(b"bob@other.test\0other\0t\0", "/bin/echo", "in"), broken
    finally:
        path.write_text(text)


def test_home_that_leads_elsewhere_is_trouble(world: pop_world.World) -> None:
    home = world.user("example.test", "link", "x")
    home.rename(home.with_name("real"))
    home.symlink_to("real")

    assert (111, b"") == world.checkpassword(b"link@example.test\0x\0t\0", "/bin/echo", "in")
    assert "the home home/link is a link or no directory" in world.log()


def test_uid_that_may_not_be_is_trouble(world: pop_world.World) -> None:
    world.home.control("minuid", "50000\n")
    try:
        assert (111, b"") == world.checkpassword(b"bob@example.test\0secret\0t\0", "/bin/echo", "in")
    finally:
        world.home.control("minuid", "1\n")


def test_password_in_latin_1(world: pop_world.World) -> None:
    # made by crypt(3) of the bytes ge\xe9im
    world.user("example.test", "latin", stored=LATIN1)

    assert [0, 1] == [world.checkpassword(b"latin@example.test\0%s\0t\0" % each, "/bin/true")[0]
                      for each in (b"ge\xe9im", "ge\u00e9im".encode())]


def test_suspended_every_password_is_wrong_but_the_user_is_there(world: pop_world.World) -> None:
    options = world.virtual / "example.test/etc/options"
    options.write_text("bob:suspended=login,send\nann:suspended=receive\n")
    try:
        before = len(world.log_path.read_bytes())

        assert (1, b"") == world.checkpassword(b"bob@example.test\0secret\0t\0", "/bin/echo", "in")
        assert (1, b"") == world.checkpassword(b"bob@example.test\0wrong\0t\0", "/bin/echo", "in")
        assert (0, b"in\n") == world.checkpassword(b"ann@example.test\0one two \0t\0", "/bin/echo", "in")
        assert (0, b"in\n") == world.checkpassword(b"bob@other.test\0other\0t\0", "/bin/echo", "in")
        assert (1, b"") == world.checkpassword(b"bob@example.test\0secret\0t\0", "-n", "/bin/echo", "in")
        assert (0, b"in\n") == world.checkpassword(b"bob@example.test\0\0t\0", "-n", "/bin/echo", "in", AUTHORIZED="1")
        said = world.log_path.read_bytes()[before:]

        assert 3 == said.count(b"refused <bob@example.test>: suspended in etc/options of example.test")
        assert b"secret" not in said
    finally:
        options.unlink()
