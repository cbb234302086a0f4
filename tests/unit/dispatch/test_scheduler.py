"""What vq-send does with messages and answers, on a real queue directory, with spawners played by the test."""

import os
import pathlib

import pytest

from vqmail.dispatch import scheduler
from vqmail.formats import bounce
from vqmail.store import queue, queued

BIRTH = 1_800_000_000


class Spawner:
    """Takes deliveries and waits for the test to say how they went."""

    def __init__(self, limit: int = 10) -> None:
        self.limit = limit
        self.started: list[tuple[bytes, bytes, bytes]] = []
        self.waiting: list[object] = []

    @property
    def running(self) -> int:
        return len(self.waiting)

    def free(self) -> bool:
        return self.running < self.limit

    def start(self, message, sender, recipient, done) -> None:
        self.started.append((message, sender, recipient))
        self.waiting.append(done)

    def answer(self, *texts: bytes) -> None:
        """The oldest deliveries end so."""
        for text in texts:
            self.waiting.pop(0)(text)


class Cleaner:
    """Removes what it is asked to, or says it cannot."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.able = True

    def ask(self, request: bytes, done) -> None:
        self.asked.append(request)
        number = int(request[5:])
        if self.able:
            queue.remove(queue.split(b"mess", number) if request[:4] == b"foop" else queue.TODO + b"/%d" % number)
        done(self.able)

    def idle(self) -> bool:
        return True


class Rules:
    """Everything at here.test is local, with a prefix; the rest is remote."""

    def rewrite(self, address: bytes):
        return (0, b"p-" + address) if address.endswith(b"@here.test") else (1, address)

    def strip_prefix(self, address: bytes) -> bytes:
        return address.removeprefix(b"p-")


class Bouncer:
    """Keeps paragraphs in the real queue; notes what it would send."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, bytes, bytes]] = []
        self.told: list[tuple[int, bytes, int, list[tuple[bytes, bytes]]]] = []
        self.able = True
        self.wanted = True

    def add(self, number: int, recipient: bytes, report: bytes) -> None:
        queued.add_bounce(number, bounce.paragraph(recipient, report))

    def send(self, number: int, sender: bytes, birth: int) -> "list[bytes]":
        path = pathlib.Path(os.fsdecode(queue.BOUNCE)) / str(number)
        if not path.exists():
            return []
        if not self.able:
            raise OSError(5, "queue down")

        assert birth == BIRTH

        self.sent.append((number, sender, path.read_bytes()))
        queued.remove_bounce(number)
        return [b"bounce msg %d qp 1\n" % number]

    def delay(self, number: int, sender: bytes, birth: int, until: int, waiting) -> "list[bytes]":
        if not self.able:
            raise OSError(5, "queue down")

        assert birth == BIRTH

        self.told.append((number, sender, until, waiting))
        return [b"delay msg %d qp 1\n" % number] if self.wanted else []


class World:
    """A queue and a scheduler on it."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.now = BIRTH
        self.patience = 0
        self.restart()

    def restart(self, limit: int = 10) -> None:
        self.local, self.remote, self.cleaner, self.bouncer = Spawner(limit), Spawner(limit), Cleaner(), Bouncer()
        self.it = scheduler.Scheduler(Rules(), [self.local, self.remote], self.cleaner, self.bouncer, 604_800,
                                      self.patience)
        self.it.start(self.now)
        self.look()

    def look(self) -> None:
        self.it.look()
        self.it.run(self.now)

    def enter(self, sender: bytes, *recipients: bytes) -> int:
        """Queue a message that was born at BIRTH; its number."""
        entry = queue.Entry(7, b"by uid 7", 99, BIRTH)
        entry.write(b"Subject: x\n\nbody\n")
        entry.envelope(sender, recipients)
        (_, refused), = queue.commit([entry], None)

        assert refused is None
        os.utime(queue.TODO + b"/%d" % entry.number, (BIRTH, BIRTH))
        return entry.number

    def path_of(self, number: int) -> bool:
        """Whether mess/N is there."""
        return os.path.exists(queue.split(b"mess", number))

    def week(self) -> "tuple[list[int], list[int]]":
        """Everybody is deferred until the queue is empty; the ages at which local and remote attempts were made."""
        ages: tuple[list[int], list[int]] = ([], [])
        while self.files():
            self.look()
            for seen, spawner in zip(ages, (self.local, self.remote), strict=True):
                if spawner.waiting:
                    seen.append(self.now - BIRTH)
                    spawner.answer(*[b"Zno (#4.2.2)\n"] * len(spawner.waiting))
            wait = self.it.run(self.now)
            self.now += int(wait) if wait else 1
        return ages

    def files(self) -> "dict[str, bytes]":
        """What is in the queue besides mess/."""
        return {str(each.relative_to(self.path)).replace(str(int(each.name)), "N"): each.read_bytes()
                for part in ("todo", "intd", "info", "local", "remote", "bounce")
                for each in (self.path / part).rglob("*") if each.is_file()}

    def lines(self) -> "list[str]":
        """The log since the last look at it, without status lines."""
        return [each.decode().rstrip("\n") for each in self.it.log.take() if not each.startswith(b"status")]


@pytest.fixture
def world(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> World:
    root = str(tmp_path).encode()
    monkeypatch.setattr(queue, "QUEUE", root)
    for name in ("PID", "INTD", "TODO", "MESS", "BOUNCE"):
        monkeypatch.setattr(queue, name, root + b"/" + name.lower().encode())
        (tmp_path / name.lower()).mkdir()
    monkeypatch.setattr(queue, "TRIGGER", root + b"/trigger")
    for part in ("mess", "info", "local", "remote"):
        for number in range(23):
            (tmp_path / part / str(number)).mkdir(parents=True, exist_ok=True)
    return World(tmp_path)


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


# ---- a clock that cannot be believed ----

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

    monkeypatch.setattr(queued, "note_told_of_delay", full)
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


def test_files_of_messages_that_are_gone_are_removed_at_the_start(world: World) -> None:
    for name in ("local/3/26", "remote/3/26", "bounce/26"):
        (world.path / name).write_bytes(b"Told@here.test\0")
    world.restart()

    assert world.files() == {}


def test_what_a_power_cut_brought_back_of_a_message_whose_text_is_gone_is_removed(world: World) -> None:
    for name, text in (("info/3/26", b"Fs@x\0"), ("local/3/26", b"Tp-a@here.test\0"), ("bounce/26", b"<a>:\nno\n\n")):
        (world.path / name).write_bytes(text)
    world.restart()

    assert world.local.started == []
    assert [name for name in ("info/3/26", "local/3/26", "bounce/26") if (world.path / name).exists()] == []


def test_a_broken_info_file_keeps_nobody_else_from_being_served(world: World) -> None:
    for name in ("mess/3/26", "info/3/26", "local/3/26"):
        (world.path / name).write_bytes(b"\0" * 9)
    world.restart()
    world.enter(b"s@x", b"a@here.test")
    world.look()

    assert [each[2] for each in world.local.started] == [b"p-a@here.test"]
    assert f"trouble reading {world.path}/info/3/26" in "\n".join(world.lines())
    assert (world.path / "local/3/26").exists()


def test_a_crash_in_the_middle_leaves_what_is_still_to_do(world: World) -> None:
    number = world.enter(b"s@x", b"a@here.test", b"b@far.test")
    world.look()
    world.local.answer(b"Zlater")
    world.remote.answer(b"Kyes")
    world.restart()                             # no clean exit: the times are those of the files
    world.now = BIRTH + 100
    world.look()

    assert world.local.started == [(b"%d/%d" % (number % 23, number), b"s@x", b"p-a@here.test")]
    assert world.remote.started == []


def test_a_clean_exit_writes_down_the_next_attempt(world: World) -> None:
    number = world.enter(b"s@x", b"a@here.test")
    world.look()
    world.local.answer(b"Zlater")
    world.it.stop()

    assert int((world.path / "local" / str(number % 23) / str(number)).stat().st_mtime) == BIRTH + 100


def test_stopping_in_the_middle_of_a_first_attempt_keeps_what_was_done(world: World) -> None:
    number = world.enter(b"s@x", *[b"r%d@here.test" % each for each in range(4)])
    world.restart(limit=2)
    world.look()
    world.it.exit()
    world.local.answer(b"Kyes", b"Kyes")
    world.it.run(world.now)
    world.it.stop()

    assert world.files()[f"local/{number % 23}/N"] == (
        b"Dp-r0@here.test\0Dp-r1@here.test\0Tp-r2@here.test\0Tp-r3@here.test\0")


def test_a_todo_file_without_its_message_is_removed(world: World) -> None:
    number = world.enter(b"s@x", b"a@here.test")
    (world.path / "mess" / str(number % 23) / str(number)).unlink()
    world.look()

    assert world.files() == {}
    assert world.local.started == []


def test_a_broken_todo_file_is_left_alone_and_named(world: World) -> None:
    number = world.enter(b"s@x", b"a@here.test")
    (world.path / "todo" / str(number)).write_bytes(b"u7\0p9\0Fs@x\0Ta@he")
    world.look()

    assert (world.path / "todo" / str(number)).exists()
    assert f"trouble reading {world.path}/todo/{number}" in "\n".join(world.lines())


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


def test_stale_files_of_an_earlier_message_under_the_same_number_are_not_obeyed(world: World) -> None:
    number = world.enter(b"s@x", b"a@here.test")
    for part, text in (("info", b"Fold@x\0"), ("local", b"Told@here.test\0")):
        (world.path / part / str(number % 23) / str(number)).write_bytes(text)
    (world.path / "bounce" / str(number)).write_bytes(b"<old>:\nno\n\n")
    world.restart()

    assert [each[1:] for each in world.local.started] == [(b"s@x", b"p-a@here.test")]

    world.local.answer(b"Kyes")

    assert world.bouncer.sent == []
    assert world.files() == {}


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
