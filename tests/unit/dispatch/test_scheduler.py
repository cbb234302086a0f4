"""What vq-send does with messages and answers, on a real queue directory, with spawners played by the test."""

from scheduler_world import BIRTH, Rules, World
from scheduler_world import world  # noqa: F401


def test_a_message_that_is_delivered_at_once_never_leaves_todo_before_it_is_done(world: World) -> None:
    number = world.enter(b"s@x", b"a@here.test", b"b@far.test")
    world.look()

    assert world.local.started == [(b"%d/%d" % (number % 23, number), b"s@x", b"p-a@here.test")]
    assert world.remote.started == [(b"%d/%d" % (number % 23, number), b"s@x", b"b@far.test")]

    world.local.answer(b"Kdid 1+0+0\n")

    assert world.files() == {"todo/N": b"u7\0p99\0Fs@x\0Ta@here.test\0Tb@far.test\0"}

    world.remote.answer(b"Kok\n")

    assert world.files() == {}
    assert not (world.path / "mess" / str(number % 23) / str(number)).exists()
    assert world.cleaner.asked == [b"todo/%d" % number, b"foop/%d" % number]


def test_the_log_is_qmails_to_the_byte(world: World) -> None:
    number = world.enter(b"s@x", b"a@here.test")
    size = (world.path / "mess" / str(number % 23) / str(number)).stat().st_size
    world.look()
    world.local.answer(b"Kdid 1+0+0\n")

    assert b"".join(world.it.log.take()).decode() == (
        "status: local 0/10 remote 0/10\n"
        f"new msg {number}\n"
        f"info msg {number}: bytes {size} from <s@x> qp 99 uid 7\n"
        f"starting delivery 1: msg {number} to local p-a@here.test\n"
        "status: local 1/10 remote 0/10\n"
        "delivery 1: success: did_1+0+0/\n"
        "status: local 0/10 remote 0/10\n"
        f"end msg {number}\n")


def test_a_deferral_writes_down_who_is_done_and_who_is_not(world: World) -> None:
    number = world.enter(b"s@x", b"a@here.test", b"b@here.test", b"c@far.test")
    world.look()
    world.local.answer(b"Kyes", b"Zlater\n")
    world.remote.answer(b"Kyes")

    assert world.files() == {f"info/{number % 23}/N": b"Fs@x\0",
                             f"local/{number % 23}/N": b"Dp-a@here.test\0Tp-b@here.test\0"}
    assert world.cleaner.asked == [b"todo/%d" % number]


def test_local_attempts_come_at_the_squares_of_ten(world: World) -> None:
    world.enter(b"s@x", b"a@here.test")
    ages = []
    for age in range(0, 10_001, 50):
        world.now = BIRTH + age
        world.look()
        if world.local.waiting:
            ages.append(age)
            world.local.answer(b"Zno\n")

    assert ages == [0, 100, 400, 900, 1600, 2500, 3600, 4900, 6400, 8100, 10000]


def test_remote_attempts_of_a_week_come_at_the_squares_of_twenty(world: World) -> None:
    world.enter(b"s@x", b"a@far.test")

    assert world.week() == ([], [(20 * k) ** 2 for k in range(40)])


def test_a_week_ends_in_one_bounce_for_all_who_still_wait(world: World) -> None:
    number = world.enter(b"s@x", b"a@here.test", b"b@far.test", b"gone@far.test", b"fine@here.test", b"c@far.test")
    world.look()
    world.local.answer(b"Zfull\n", b"Kyes")
    world.remote.answer(b"Zbusy\n", b"Dno such user (#5.1.1)\n", b"Zbusy\n")

    assert world.bouncer.sent == []
    assert world.week() == ([(10 * k) ** 2 for k in range(1, 79)], [(20 * k) ** 2 for k in range(1, 40)])
    late = b"no (#4.2.2)\nI'm not going to try again; this message has been in the queue too long.\n\n"
    assert world.bouncer.sent == [(number, b"s@x", (
        b"<gone@far.test>:\nno such user (#5.1.1)\n\n"
        b"<a@here.test>:\n" + late + b"<b@far.test>:\n" + late + b"<c@far.test>:\n" + late))]
    assert world.lines()[-2:] == [f"bounce msg {number} qp 1", f"end msg {number}"]


def test_a_bounce_that_cannot_be_queued_is_tried_again_after_two_minutes(world: World) -> None:
    number = world.enter(b"s@x", b"a@here.test")
    world.look()
    world.bouncer.able = False
    world.local.answer(b"Dno\n")
    world.now += 122
    world.look()

    assert world.bouncer.sent == []
    assert world.lines()[-1] == (
        f"warning: trouble injecting bounce message {world.path}/bounce/{number}: queue down; will try again later")

    world.bouncer.able = True
    world.now += 1
    world.look()

    assert world.bouncer.sent == [(number, b"s@x", b"<a@here.test>:\nno\n\n")]
    assert world.files() == {}


def test_new_rules_count_from_the_next_message_on(world: World) -> None:
    class Elsewhere(Rules):
        def rewrite(self, address: bytes):
            return 1, address

    world.it.obey(Elsewhere(), world.bouncer, 100, 0)
    world.enter(b"s@x", b"a@here.test")
    world.look()

    assert [each[2] for each in world.remote.started] == [b"a@here.test"]

    world.remote.answer(b"Zno\n")
    world.now = BIRTH + 400                     # and so does a new lifetime
    world.look()
    world.remote.answer(b"Zno\n")

    assert len(world.bouncer.sent) == 1


def test_a_failure_becomes_one_bounce_with_the_address_people_know(world: World) -> None:
    number = world.enter(b"s@x", b"a@here.test", b"b@here.test")
    world.look()
    world.local.answer(b"Dno such user\n\nreally\n", b"Kyes")

    assert world.bouncer.sent == [(number, b"s@x", b"<a@here.test>:\nno such user\n/really\n\n")]
    assert world.files() == {}


def test_a_bounce_that_cannot_be_queued_is_kept_and_nobody_gets_the_message_twice(world: World) -> None:
    number = world.enter(b"s@x", b"a@here.test", b"b@here.test")
    world.look()
    world.bouncer.able = False
    world.local.answer(b"Dno\n", b"Kyes")

    assert set(world.files()) == {"bounce/N", f"info/{number % 23}/N"}

    world.restart()
    world.now += 200
    world.look()

    assert world.local.started == []
    assert [each[:2] for each in world.bouncer.sent] == [(number, b"s@x")]
    assert world.files() == {}


def test_many_recipients_are_written_down_before_the_first_delivery(world: World) -> None:
    number = world.enter(b"s@x", *[b"r%d@here.test" % each for each in range(17)])
    world.look()

    assert set(world.files()) == {f"info/{number % 23}/N", f"local/{number % 23}/N"}

    world.look()
    world.local.answer(b"Kyes")

    assert world.files()[f"local/{number % 23}/N"].startswith(b"Dp-r0@here.test\0Tp-r1@here.test\0")


def test_recipients_beyond_the_limit_are_started_as_soon_as_others_are_done(world: World) -> None:
    world.restart(limit=2)
    world.enter(b"s@x", *[b"r%d@here.test" % each for each in range(5)])
    world.look()

    assert len(world.local.started) == 2

    world.local.answer(b"Kyes", b"Kyes")
    world.it.run(world.now)

    assert len(world.local.started) == 4

    world.local.answer(b"Kyes", b"Kyes")
    world.it.run(world.now)
    world.local.answer(b"Kyes")

    assert world.files() == {}


def test_what_the_cleaner_cannot_remove_is_not_delivered_again(world: World) -> None:
    world.enter(b"s@x", b"a@here.test")
    world.look()
    world.cleaner.able = False
    world.local.answer(b"Kyes")
    world.look()

    assert len(world.local.started) == 1

    world.cleaner.able = True
    world.now += 200
    world.look()

    assert len(world.local.started) == 1
    assert world.files() == {}


def test_verp_names_the_recipient_without_the_prefix(world: World) -> None:
    world.enter(b"list-@lists.test-@[]", b"joe@here.test")
    world.look()

    assert world.local.started[0][1] == b"list-joe=here.test@lists.test"


def test_alrm_makes_everything_due(world: World) -> None:
    world.enter(b"s@x", b"a@here.test")
    world.look()
    world.local.answer(b"Zlater")
    world.now += 5
    world.it.retry_all(world.now)
    world.look()

    assert len(world.local.started) == 2


def test_alrm_reaches_a_message_that_is_just_being_put_aside(world: World) -> None:
    # its deferral is logged, so the postmaster may think that it waits; but todo/N is not removed yet
    world.enter(b"s@x", b"a@here.test")
    world.look()
    ask, kept = world.cleaner.ask, []
    world.cleaner.ask = lambda *request: kept.append(request)
    world.local.answer(b"Zlater")
    world.now += 5
    world.it.retry_all(world.now)
    ask(*kept.pop())
    world.look()

    assert len(world.local.started) == 2


def test_mangled_reports_defer(world: World) -> None:
    world.enter(b"s@x", b"a@here.test")
    world.look()
    world.local.answer(b"?what")

    assert "delivery 1: report mangled, will defer" in world.lines()
    assert any(each.startswith("local/") for each in world.files())
