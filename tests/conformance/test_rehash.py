"""After a login through vq-checkpassword, cold and warm: a weak hash is made anew, the date is kept."""

import typing

import pop_world
import pytest
import support
from system import wait_until

from vqmail.store import passwords

SHA = "{SHA}kGByAB793z4R5tK1eC9Hd/4Dhzk="       # geheim


@pytest.fixture(params=["cold", "warm"])
def world(request: pytest.FixtureRequest, home: support.Home) -> "typing.Iterator[pop_world.World]":
    made = pop_world.World(home, warm=request.param == "warm")
    home.control("passwordscheme", "yescrypt\n")        # the other tests of POP3 want none of this
    yield made
    made.close()


def stored(world: pop_world.World, user: str) -> str:
    lines = (world.virtual / "example.test/etc/passwd").read_text().split("\n")
    return next(each.split(":")[1] for each in lines if each.startswith(user + ":"))


def login(world: pop_world.World, user: bytes, password: bytes, **env: str) -> int:
    return world.checkpassword(b"%s@example.test\0%s\0t\0" % (user, password), "/bin/true", **env)[0]


def test_a_weak_hash_is_made_anew_after_a_right_password_only(world: pop_world.World) -> None:
    world.user("example.test", "carl", stored=SHA)

    assert login(world, b"carl", b"gehein") == 1
    assert stored(world, "carl") == SHA
    assert login(world, b"carl", b"geheim") == 0
    wait_until(lambda: stored(world, "carl").startswith("$y$"), "a new hash")
    wait_until(lambda: not (world.home.path / "users/journal").exists(), "the end of it")
    assert (login(world, b"carl", b"geheim"), login(world, b"carl", b"gehein")) == (0, 1)
    assert passwords.verify(b"geheim", stored(world, "carl").encode(), b"")
    wait_until(lambda: "<carl@example.test> logged in; the password is hashed anew" in world.log(), "the line in the log")
    assert "geheim" not in world.log()


def test_what_is_to_stay_stays(world: pop_world.World) -> None:
    world.home.control("passwordscheme", "keep\n")
    world.user("example.test", "carl", stored=SHA)
    world.user("example.test", "dora", stored="{CLEAR}geheim")

    assert (login(world, b"carl", b"geheim"), login(world, b"dora", b"geheim")) == (0, 0)
    world.home.control("passwordscheme", "yescrypt\n")
    (world.virtual / "example.test/etc/options").write_text("carl:suspended=login\n")
    assert (login(world, b"carl", b"geheim"), login(world, b"dora", b"geheim")) == (1, 0)
    # who comes last waits for the others: after his hash there is nothing left to come
    (world.virtual / "example.test/etc/options").unlink()
    world.user("example.test", "emil", stored=SHA)
    assert login(world, b"emil", b"geheim") == 0
    wait_until(lambda: stored(world, "emil") != SHA, "a new hash")
    assert (stored(world, "carl"), stored(world, "dora")) == (SHA, "{CLEAR}geheim")


@pytest.mark.parametrize("password", [b"gehe\xefm", b"x" * 300])
def test_odd_passwords(world: pop_world.World, password: bytes) -> None:
    world.user("example.test", "carl", stored=passwords.hashed(password, bytes(20), b"sha512").decode())

    assert login(world, b"carl", password) == 0
    assert login(world, b"carl", password[:-1]) == 1


def test_the_last_login_is_kept(world: pop_world.World) -> None:
    login(world, b"bob", b"wrong")
    file = world.home.path / "users/lastlogin/example.test"

    assert not file.exists()
    assert login(world, b"bob", b"secret", TCPREMOTEIP="2001:db8::7") == 0
    text = file.read_text()
    assert (text[:4], text[14:]) == ("bob:", " 2001:db8::7" + " " * 34 + "\n")
