"""What vq-send does when the clock jumps: nobody's mail is given up for it, and nobody's is held up."""

from scheduler_world import BIRTH, World
from scheduler_world import world  # noqa: F401

YEARS = 14 * 365 * 86_400


def attempts(world: World, number: int) -> "list[int]":
    """The times of the remote attempts, all deferred, until the message is gone; from now on."""
    times = []
    while world.path_of(number):
        wait = world.it.run(world.now)
        if world.remote.waiting:
            times.append(world.now)
            world.remote.answer(b"Znot now (#4.4.1)\n")
        else:
            world.now += int(wait)
    return times


def test_a_clock_that_jumps_ahead_by_years_does_not_bounce_what_was_tried_once(world: World) -> None:
    number = world.enter(b"s@x.test", b"joe@there.test")
    world.look()
    world.remote.answer(b"Znot now (#4.4.1)\n")
    world.now += YEARS
    world.it.clock_moved(world.now - YEARS + 9, world.now)
    jump = world.now

    assert attempts(world, number) == [jump, jump + 3600, jump + 7200]
    assert len(world.bouncer.sent) == 1
    assert (b"alert: the clock has jumped, or vq-send did not run: it is %d seconds later than the last time I looked\n"
            % (YEARS - 9)) in world.it.log.take()


def test_with_an_empty_queue_nobody_is_alarmed_by_the_clock(world: World) -> None:
    world.it.clock_moved(BIRTH, BIRTH + YEARS)

    assert not any(each.startswith(b"alert") for each in world.it.log.take())


def test_a_message_in_todo_gets_its_attempts_too_after_a_jump(world: World) -> None:
    number = world.enter(b"s@x.test", b"joe@there.test")
    world.now += YEARS
    world.it.clock_moved(world.now - YEARS + 9, world.now)
    jump = world.now
    world.it.look()

    assert attempts(world, number) == [jump, jump + 3600, jump + 7200]


def test_a_message_that_came_after_the_jump_lives_as_long_as_any(world: World) -> None:
    world.it.clock_moved(BIRTH - YEARS, BIRTH)
    number = world.enter(b"s@x.test", b"joe@there.test")
    world.look()

    assert [each - BIRTH for each in attempts(world, number)] == [(20 * each) ** 2 for each in range(40)]


def test_a_clock_that_is_set_back_holds_up_nothing_for_longer_than_a_day(world: World) -> None:
    world.enter(b"s@x.test", b"joe@there.test")
    world.look()
    world.remote.answer(b"Znot now (#4.4.1)\n")
    world.now -= YEARS
    world.it.clock_moved(world.now + YEARS, world.now)

    assert world.it.run(world.now) == 86_400
    world.now += 86_400
    assert world.it.run(world.now) is None or world.remote.waiting
    world.remote.answer(b"Znot now (#4.4.1)\n")
    assert world.it.run(world.now) == 400       # it comes from the future: as if it had come now
    assert world.bouncer.sent == []
