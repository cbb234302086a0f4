"""Counting wrong passwords: who waits, who is locked out, who is not."""

import errno
import os
import pathlib
import typing

import pytest

from vqmail import codes
from vqmail.logins import guessing, guesstable
from vqmail.store import control

BOB = b"bob@example.test"
HERE, THERE, V6 = b"192.0.2.1", b"192.0.2.2", b"2001:db8:0:1::5"


class World:
    """A table, and a clock."""

    def __init__(self) -> None:
        self.now = 1_700_000_000
        self.limits = ""

    def guess(self, count: int, name: bytes = BOB, address: bytes = HERE) -> None:
        for number in range(count):
            guessing.wrong(name, address, b"guess %d at %d" % (number, self.now))


@pytest.fixture
def world(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> "typing.Iterator[World]":
    each = World()
    monkeypatch.setattr(guessing, "PATH", os.fsencode(tmp_path / "guesses"))
    monkeypatch.setattr(guessing.time, "time", lambda: each.now)
    monkeypatch.setattr(control, "read", lambda _name: each.limits.encode())
    return each


def test_nobody_waits_who_has_not_guessed(world: World) -> None:
    assert guessing.Gate(0, 0) == guessing.gate(BOB, HERE)


def test_waits_grow_and_stop_growing(world: World) -> None:
    waits = []
    for number in range(9):
        waits.append(guessing.gate(BOB, HERE).seconds)
        guessing.wrong(BOB, HERE, b"%d" % number)

    assert [0, 0, 0, 1, 2, 4, 8, 8, 8] == waits


def test_twentieth_wrong_password_locks_the_address_out_for_a_while(world: World) -> None:
    world.guess(19)
    assert 0 == guessing.gate(BOB, HERE).locked
    world.guess(1, b"ann@example.test")

    assert 900 == guessing.gate(b"carl@example.test", HERE).locked
    world.now += 899
    assert 1 == guessing.gate(b"carl@example.test", HERE).locked
    world.now += 1
    assert 0 == guessing.gate(b"carl@example.test", HERE).locked


def test_locked_address_locks_nobody_out_elsewhere(world: World) -> None:
    world.guess(20)

    assert guessing.Gate(8, 0) == guessing.gate(BOB, THERE)
    assert guessing.Gate(0, 0) == guessing.gate(b"ann@example.test", THERE)


def test_where_he_has_logged_in_before_a_user_neither_waits_nor_is_locked_out(world: World) -> None:
    guessing.right(BOB, HERE)
    world.guess(40, b"ann@example.test")
    world.guess(100, BOB, THERE)

    assert guessing.Gate(0, 0) == guessing.gate(BOB, HERE)
    assert 900 == guessing.gate(b"carl@example.test", HERE).locked


def test_who_guesses_where_the_user_has_been_before_is_locked_out_too(world: World) -> None:
    guessing.right(BOB, HERE)
    world.guess(19)
    assert guessing.Gate(8, 0) == guessing.gate(BOB, HERE)
    world.guess(1)

    assert 900 == guessing.gate(BOB, HERE).locked


def test_same_wrong_password_again_counts_once(world: World) -> None:
    for _ in range(50):
        guessing.wrong(BOB, HERE, b"the old one")

    assert guessing.Gate(0, 0) == guessing.gate(BOB, HERE)
    assert 1 == guessing.user(BOB)


def test_ipv6_counts_by_64(world: World) -> None:
    world.guess(20, BOB, V6)

    assert 900 == guessing.gate(b"ann@example.test", b"2001:db8:0:1:ffff::1").locked
    assert 0 == guessing.gate(b"ann@example.test", b"2001:db8:0:2::5").locked
    assert [(b"2001:db8:0:1::/64", 0, 900)] == guessing.addresses()


def test_ipv4_in_ipv6_is_ipv4(world: World) -> None:
    world.guess(20, BOB, b"::ffff:192.0.2.1")

    assert 900 == guessing.gate(b"ann@example.test", HERE).locked


def test_failures_are_forgotten_with_time(world: World) -> None:
    world.guess(10)
    world.now += 450

    assert 0 == guessing.user(BOB)
    assert [] == guessing.addresses()


def test_login_forgives_the_user_but_not_the_address(world: World) -> None:
    world.guess(10)
    guessing.right(BOB, THERE)

    assert 0 == guessing.user(BOB)
    assert [(HERE, 10, 0)] == guessing.addresses()


def test_thousand_names_keep_the_size_and_the_lock(world: World) -> None:
    guessing.right(BOB, THERE)
    world.guess(20, BOB, HERE)
    size = os.stat(guessing.PATH).st_size
    for number in range(1000):
        guessing.wrong(b"user%d@example.test" % number, b"198.51.%d.%d" % (number // 250, number % 250), b"x")

    assert size == os.stat(guessing.PATH).st_size == guesstable.SIZE
    assert 900 == guessing.gate(b"ann@example.test", HERE).locked
    assert guessing.Gate(0, 0) == guessing.gate(BOB, THERE)


def test_full_bucket_keeps_whoever_is_locked_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesstable, "BUCKETS", 1)
    world.guess(20)
    for number in range(50):
        world.now += 1
        guessing.wrong(b"x%d@example.test" % number, b"198.51.100.%d" % number, b"x")

    assert 850 == guessing.gate(b"ann@example.test", HERE).locked


def test_file_has_all_of_its_room_from_the_beginning(world: World) -> None:
    world.guess(1)
    found = os.stat(guessing.PATH)

    assert found.st_blocks * 512 >= found.st_size       # or a full disk would make holes in the counts


def test_names_are_not_in_the_file(world: World) -> None:
    world.guess(3, b"hunter2hunter2")
    guessing.right(BOB, HERE)
    data = pathlib.Path(os.fsdecode(guessing.PATH)).read_bytes()

    assert b"hunter2" not in data
    assert b"bob" not in data
    assert 0o600 == os.stat(guessing.PATH).st_mode & 0o777


def test_clear(world: World) -> None:
    world.guess(20)
    world.guess(20, BOB, V6)

    assert guessing.clear(HERE)
    assert guessing.clear(BOB)
    assert guessing.clear(b"2001:db8:0:1::/64")
    assert guessing.Gate(0, 0) == guessing.gate(BOB, HERE) == guessing.gate(BOB, V6)
    assert not guessing.clear(b"nobody@example.test")


@pytest.mark.parametrize("what", [BOB, HERE, None])
def test_clear_forgets_too_what_counts_where_he_has_logged_in_before(world: World, what: "bytes | None") -> None:
    guessing.right(BOB, HERE)
    guessing.right(b"ann@example.test", THERE)
    world.guess(6)
    world.guess(6, b"ann@example.test", THERE)
    assert [(HERE, 6)] == guessing.places(BOB)

    assert guessing.clear(what)

    assert guessing.Gate(0, 0) == guessing.gate(BOB, HERE)
    assert [] == guessing.places(BOB)
    assert [(THERE, 6)] * (what is not None) == guessing.places(b"ann@example.test")


def test_there_is_nothing_to_clear_after_a_login_or_twice(world: World) -> None:
    world.guess(2)
    guessing.right(BOB, HERE)
    assert not guessing.clear(BOB)
    assert guessing.clear(HERE)

    assert not guessing.clear(HERE)
    assert not guessing.clear(None)


def test_limits(world: World) -> None:
    world.limits = "failures 2\nlockout 60\nexempt 192.0.2.2\nexempt 2001:DB8:0:1::9\n# a comment\n"
    world.guess(2)
    world.guess(50, BOB, THERE)
    world.guess(50, BOB, V6)

    assert 60 == guessing.gate(BOB, HERE).locked
    assert [guessing.Gate(0, 0)] * 2 == [guessing.gate(BOB, THERE), guessing.gate(BOB, V6)]


def test_zero_failures_count_nothing(world: World) -> None:
    world.limits = "failures 0\n"
    world.guess(100)

    assert guessing.Gate(0, 0) == guessing.gate(BOB, HERE)
    assert not os.path.exists(guessing.PATH)


@pytest.mark.parametrize("line", ["failures", "failures x", "lockout -1", "exempt here", "whatever 1", "delay 12345678"])
def test_line_without_sense_is_trouble(world: World, line: str) -> None:
    world.limits = line + "\n"

    with pytest.raises(codes.TryLater, match="control/loginlimits: "):
        guessing.gate(BOB, HERE)


@pytest.mark.parametrize("damage", [b"", b"short", b"vqmail guesses 1", b"\xff" * 3000])
def test_damaged_file_is_made_anew(world: World, damage: bytes) -> None:
    pathlib.Path(os.fsdecode(guessing.PATH)).write_bytes(damage)
    world.guess(20)

    assert 900 == guessing.gate(BOB, HERE).locked


def test_without_the_directory_logins_go_on(world: World, monkeypatch: pytest.MonkeyPatch,
                                            capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(guessing, "PATH", b"/nonexistent/guesses")
    world.guess(1)

    assert guessing.Gate(0, 0) == guessing.gate(BOB, HERE)
    assert "guessing: cannot count wrong passwords: /nonexistent/guesses: No such file or directory" in capfd.readouterr().err


def test_on_a_full_disk_logins_go_on_and_the_log_names_the_file(world: World, monkeypatch: pytest.MonkeyPatch,
                                                                capfd: pytest.CaptureFixture[str]) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(guesstable.calls, "pwrite", full)
    world.guess(1)

    assert capfd.readouterr().err == (f"guessing: cannot count wrong passwords: {os.fsdecode(guessing.PATH)}: No space left "
                                      "on device; if there is room on the disk, run make check-setup\n")


def test_client_without_an_address_waits_by_his_name_only(world: World) -> None:
    world.guess(100, BOB, b"")

    assert guessing.Gate(8, 0) == guessing.gate(BOB, b"")
    assert guessing.Gate(0, 0) == guessing.gate(b"ann@example.test", b"")

def test_clock_that_was_years_ahead_for_a_moment_locks_nobody_out_for_years(world: World) -> None:
    world.now += 10 * 365 * 86400
    world.guess(20)
    assert 900 == guessing.gate(b"carl@example.test", HERE).locked
    world.now -= 10 * 365 * 86400

    assert guessing.Gate(0, 0) == guessing.gate(BOB, HERE)
    assert [] == guessing.addresses()
    world.guess(20)
    assert 900 == guessing.gate(b"carl@example.test", HERE).locked


def test_table_of_noise_locks_nobody_out_for_longer_than_the_limit(world: World) -> None:
    guessing.wrong(BOB, HERE, b"x")
    with open(guessing.PATH, "r+b") as file:
        file.seek(guesstable.HEAD)
        for _ in range(4):
            for number in range(guesstable.BUCKETS * guesstable.BUCKET):
                tag = file.read(8)
                file.seek(-8, 1)
                file.write((tag if any(tag) else number.to_bytes(8, "little")) + b"\xff" * 24)

    assert guessing.Gate(0, 0) == guessing.gate(BOB, HERE)
    assert all(each[2] <= 960 for each in guessing.addresses())
