"""Whom vq-send tells that his message waits, and when: once, and not when it is over."""

import pytest
from scheduler_world import BIRTH, World
from scheduler_world import world  # noqa: F401

from vqmail.store import queue


def test_a_sender_hears_once_that_his_message_waits(world: World) -> None:
    world.patience = 14_400
    world.restart()
    number = world.enter(b"s@x", b"a@here.test", b"b@far.test", b"fine@here.test")
    world.look()
    world.local.answer(b"Zfull\n", b"Kyes")
    world.remote.answer(b"Zbusy\n")
    world.now = BIRTH + 14_399
    world.look()
    world.local.answer(b"Zfull\n")
    world.remote.answer(b"Zbusy\n")

    assert world.bouncer.told == []

    world.now = BIRTH + 16_900                  # the local attempt comes first, the remote is due at 19600
    world.look()
    world.local.answer(b"Zfull (#4.2.2)\n")

    assert world.bouncer.told == [(number, b"s@x", BIRTH + 604_800, [
        (b"a@here.test", b"full (#4.2.2)\n"), (b"b@far.test", b"")])]
    assert world.lines()[-1] == f"delay msg {number} qp 1"

    world.week()

    assert len(world.bouncer.told) == 1
    assert len(world.bouncer.sent) == 1


@pytest.mark.parametrize("clean", [True, False])
def test_a_sender_does_not_hear_again_after_a_restart(world: World, clean: bool) -> None:
    world.patience = 400
    world.restart()
    number = world.enter(b"s@x", b"a@far.test")
    world.look()
    world.remote.answer(b"Zbusy\n")
    world.now = BIRTH + 400
    world.look()
    world.remote.answer(b"Zbusy\n")

    assert len(world.bouncer.told) == 1
    assert (world.path / f"info/{number % 23}/{number}").read_bytes() == b"Fs@x\0"
    assert int((world.path / f"info/{number % 23}/{number}").stat().st_mtime) == BIRTH

    if clean:
        world.it.stop()
    world.now = BIRTH + 100_000
    world.restart()
    world.remote.answer(b"Zbusy\n")

    assert world.bouncer.told == []


def test_a_message_that_comes_late_to_its_first_attempt_is_spoken_of_then(world: World) -> None:
    world.patience = 400
    number = world.enter(b"s@x", b"a@far.test", b"b@far.test")
    world.now = BIRTH + 5000                    # vq-send was down
    world.restart()
    world.remote.answer(b"Zbusy\n", b"Kyes")

    assert [(each[0], each[3]) for each in world.bouncer.told] == [(number, [(b"a@far.test", b"busy\n")])]


def test_a_sender_hears_once_even_when_that_cannot_be_written_down(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(queue, "note_told_of_delay", full)
    world.patience = 400
    world.restart()
    world.enter(b"s@x", b"a@far.test")
    world.look()
    world.remote.answer(b"Zbusy\n")
    world.week()

    assert len(world.bouncer.told) == 1


def test_whom_nobody_wants_to_tell_is_asked_about_once(world: World) -> None:
    world.patience = 400
    world.restart()
    world.bouncer.wanted = False
    world.enter(b"s@x", b"a@far.test")
    world.look()
    world.remote.answer(b"Zbusy\n")
    world.week()

    assert len(world.bouncer.told) == 1
    assert len(world.bouncer.sent) == 1


def test_nobody_hears_of_a_delay_that_has_just_ended(world: World) -> None:
    world.patience = 400
    world.restart()
    world.enter(b"s@x", b"a@far.test")
    world.look()
    world.remote.answer(b"Zbusy\n")
    world.now = BIRTH + 400
    world.look()
    world.remote.answer(b"Kyes\n")

    assert (world.bouncer.told, world.bouncer.sent, world.files()) == ([], [], {})


def test_nobody_hears_of_a_delay_and_of_its_end_at_once(world: World) -> None:
    world.patience = 400
    world.enter(b"s@x", b"a@far.test")
    world.now = BIRTH + 700_000
    world.restart()
    world.remote.answer(b"Zbusy\n")

    assert (world.bouncer.told, len(world.bouncer.sent)) == ([], 1)


def test_what_could_not_be_said_of_a_delay_is_said_at_the_next_attempt(world: World) -> None:
    world.patience = 400
    world.restart()
    number = world.enter(b"s@x", b"a@far.test")
    world.look()
    world.remote.answer(b"Zbusy\n")
    world.bouncer.able = False
    world.now = BIRTH + 400
    world.look()
    world.remote.answer(b"Zbusy\n")

    assert world.lines()[-1] == (
        f"warning: trouble telling of the delay {world.path}/info/{number % 23}/{number}: queue down; will try again later")

    world.bouncer.able = True
    world.now = BIRTH + 1600
    world.look()
    world.remote.answer(b"Zbusy\n")

    assert len(world.bouncer.told) == 1
