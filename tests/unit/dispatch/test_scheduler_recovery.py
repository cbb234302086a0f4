"""What vq-send makes of the queue that a crash, a clean exit or a power cut left."""

from scheduler_world import BIRTH, World
from scheduler_world import world  # noqa: F401


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
