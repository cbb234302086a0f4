"""vq-pop3d over a maildir: big, many, changing, broken; cold and warm."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import typing

import pop_world
import pytest
import support


@pytest.fixture(scope="module", params=["cold", "warm"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[pop_world.World]":
    home = support.make_home(tmp_path_factory.mktemp("pop") / "home")
    world = pop_world.World(home, warm=request.param == "warm")
    yield world
    world.close()


@pytest.fixture
def world(whole: pop_world.World) -> "typing.Iterator[pop_world.World]":
    """An empty maildir for ann."""
    for name in whole.files():
        (maildir(whole) / name).unlink()
    yield whole
    whole.hang_up()


def maildir(world: pop_world.World) -> pathlib.Path:
    return world.virtual / "example.test/home/ann/Maildir"


def begin(world: pop_world.World) -> pop_world.Session:
    session = world.pop3d()

    assert b"+OK \r\n" == session.line()
    return session


def until_dot(session: pop_world.Session) -> "list[bytes]":
    lines = []
    while (line := session.line()) != b".\r\n":
        assert line
        lines.append(line)
    return lines


def test_ten_thousand_messages(world: pop_world.World) -> None:
    for number in range(10_000):
        (maildir(world) / ("new" if number % 2 else "cur") / f"{1700000000 + number}.M1P1.h,S=5,W=6").write_bytes(b"text\n")
    session = begin(world)

    assert b"+OK 10000 60000\r\n" == session.ask(b"STAT")

    session.ask(b"LIST")
    assert [b"%d 6\r\n" % (number + 1) for number in range(10_000)] == until_dot(session)

    session.ask(b"UIDL")
    assert [b"%d %d.M1P1.h,S=5,W=6\r\n" % (number + 1, 1700000000 + number) for number in range(10_000)] == until_dot(session)

    for begun in range(1, 10_001, 200):         # no more at once than the socket holds answers
        for number in range(begun, begun + 200, 2):
            session.send(b"DELE %d\r\n" % number)
        for _ in range(100):
            assert b"+OK \r\n" == session.line()

    assert b"+OK 5000 30000\r\n" == session.ask(b"STAT")
    assert b"+OK see you\r\n" == session.ask(b"QUIT")
    assert 0 == session.code()
    assert sorted(f"cur/{1700000000 + number}.M1P1.h,S=5,W=6:2," for number in range(1, 10_000, 2)) == world.files()


@pytest.mark.slow
def test_a_hundred_thousand_messages(world: pop_world.World) -> None:
    count = 100_000
    for number in range(count):
        path = maildir(world) / "cur" / f"{1700000000 + number}.M1P1.h,S=5,W=6:2,"
        if number % 10_000:
            path.hardlink_to(first)
        else:
            path.write_bytes(b"text\n")
            first = path
    session = begin(world)

    assert b"+OK 100000 600000\r\n" == session.ask(b"STAT")

    session.ask(b"UIDL")
    assert [b"%d %d.M1P1.h,S=5,W=6\r\n" % (number + 1, 1700000000 + number) for number in range(count)] == until_dot(session)

    session.ask(b"RETR 100000")
    assert [b"text\r\n"] == until_dot(session)
    assert b"+OK see you\r\n" == session.ask(b"QUIT")


def test_sizes_are_counted_where_names_have_none(world: pop_world.World) -> None:
    for number in range(300):
        world.put(f"new/{1700000000 + number}.{number}.h", b"x\n" * number)
    session = begin(world)

    assert b"+OK 300 %d\r\n" % sum(3 * number for number in range(300)) == session.ask(b"STAT")


def test_message_of_many_megabytes_arrives_whole_and_in_little_memory(world: pop_world.World) -> None:
    line = b"." + b"x" * 70 + b"\n"
    world.put("new/1.big", b"A: b\n\n" + line * 300_000 + b"y" * 3_000_000)
    session = begin(world)
    before = now(session.pid)
    size = 6 + 2 + 300_000 * 73 + 3_000_002

    assert b"+OK %d octets\r\n" % size == session.ask(b"RETR 1")

    got = b""
    while not got.endswith(b"\r\n.\r\n"):
        got += session.sock.recv(1 << 20) if session._buffer == b"" else session._buffer
        session._buffer = b""

    assert b"A: b\r\n\r\n" + (b"." + line[:-1] + b"\r\n") * 300_000 + b"y" * 3_000_000 + b"\r\n.\r\n" == got
    assert peak(session.pid) - before < 20_000
    assert b"+OK see you\r\n" == session.ask(b"QUIT")


def test_top_of_a_big_message_reads_no_more_than_it_needs(world: pop_world.World) -> None:
    world.put("new/1.big", b"A: b\n\n" + b"x\n" * 500_000)
    session = begin(world)
    session.send(b"TOP 1 2\r\nNOOP\r\n")

    assert [b"+OK %d octets\r\n" % (8 + 1_500_000), b"A: b\r\n", b"\r\n", b"x\r\n", b"x\r\n", b".\r\n", b"+OK \r\n"] == [
        session.line() for _ in range(7)]

    session.send(b"TOP 1 499999\r\n")
    session.line()

    assert 2 + 499_999 == len(until_dot(session))


def peak(pid: int, name: str = "VmHWM") -> int:
    """KiB that a process had at most."""
    for row in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if row.startswith(name):
            return int(row.split()[1])
    raise ValueError(pid)


def now(pid: int) -> int:
    """KiB that a process has, which had larger mailboxes before; from now on its peak counts anew."""
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak(pid, "VmRSS")


@pytest.mark.parametrize("how", ["kill", "hang up", "half a QUIT"])
def test_session_without_quit_changes_nothing(world: pop_world.World, how: str) -> None:
    if how == "kill" and world.warm:
        how = "hang up"                         # there the process is everybody's
    for number in range(5):
        world.put(f"new/{number}.x", b"text\n")
    before = world.files()
    session = begin(world)
    session.send(b"RETR 1\r\nDELE 1\r\nDELE 2\r\nNOOP\r\n")
    said = b"".join(session.line() for _ in range(6))

    assert b"+OK 6 octets\r\ntext\r\n.\r\n+OK \r\n+OK \r\n+OK \r\n" == said

    if how == "kill":
        os.kill(session.pid, signal.SIGKILL)
    elif how == "half a QUIT":
        session.send(b"QUIT")
        session.sock.shutdown(socket.SHUT_WR)

        assert b"" == session.rest()
    session.code()

    assert before == world.files()


def test_log_tells_how_it_ended(world: pop_world.World) -> None:
    world.put("new/1.x", b"text\n")
    session = begin(world)
    session.send(b"RETR 1\r\nTOP 1 0\r\nDELE 1\r\n")
    session.sock.shutdown(socket.SHUT_WR)
    session.rest()

    assert 0 == session.code()
    assert " from 192.0.2.1 user ann@example.test end lost messages 1 retrieved 1 deleted 0\n" in world.log()


def test_two_sessions_see_the_same_and_neither_breaks(world: pop_world.World) -> None:
    if world.warm:
        return                                  # that process has one session at a time; the servers' tests have more
    for number in range(3):
        world.put(f"new/{number}.x", b"text %d\n" % number)
    one, two = begin(world), begin(world)
    one.send(b"DELE 1\r\nDELE 2\r\nQUIT\r\n")
    one.rest()

    assert b"+OK 3 " == two.ask(b"STAT")[:6]
    assert b"-ERR unable to open that message\r\n" == two.ask(b"RETR 1")
    assert b"+OK 8 octets\r\n" == two.ask(b"RETR 3")
    assert [b"text 2\r\n"] == until_dot(two)
    assert b"+OK \r\n" == two.ask(b"DELE 1")
    assert b"+OK see you\r\n" == two.ask(b"QUIT")
    assert ["cur/2.x:2,"] == world.files()


def test_mail_that_comes_meanwhile_waits_for_the_next_session(world: pop_world.World) -> None:
    world.put("new/1.x", b"text\n")
    session = begin(world)
    world.put("new/0.x", b"later\n")
    session.send(b"DELE 1\r\nQUIT\r\n")
    session.rest()

    assert ["new/0.x"] == world.files()


def test_message_that_cannot_be_read_is_refused_and_the_session_goes_on(world: pop_world.World) -> None:
    world.put("new/1.x", b"text\n").chmod(0)
    (maildir(world) / "cur/2.x").mkdir()
    world.put("new/3.x", b"text\n")
    session = begin(world)

    assert b"+OK 3 6\r\n" == session.ask(b"STAT")
    assert b"-ERR unable to open that message\r\n" == session.ask(b"RETR 1")
    assert b"-ERR unable to open that message\r\n" == session.ask(b"TOP 2 0")
    assert b"+OK 6 octets\r\n" == session.ask(b"RETR 3")

    until_dot(session)
    session.ask(b"DELE 2")

    assert b"-ERR [SYS/TEMP] some deleted messages could not be removed\r\n" == session.ask(b"QUIT")
    session.code()
    assert "message 1: Permission denied\n" in world.log()
    assert "1 messages could not be removed: Is a directory\n" in world.log()

    (maildir(world) / "cur/2.x").rmdir()


def test_maildir_that_is_a_file(world: pop_world.World) -> None:
    home = world.user("example.test", "file", "x")
    world.home.write("virtual/example.test/home/file/Mailbox", "")
    session = world.pop3d("file", maildir="Mailbox")

    assert b"-ERR this user has no $HOME/Maildir\r\n" == session.rest()
    assert 0 == session.code()
    assert home.is_dir()
    assert "cannot list Mailbox: Not a directory\n" in world.log()


def test_wrong_usage(world: pop_world.World) -> None:
    session = world.run(["vq-pop3d"], {})

    assert (b"", 100) == (session.rest(), session.code())


@pytest.mark.root
def test_root_is_refused() -> None:
    done = subprocess.run([sys.executable, "-IS", "-c", "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
                           "from vqmail.prog import pop3d\nsys.exit(pop3d.main([b'vq-pop3d', b'Maildir'], {}))",
                           str(pathlib.Path(__file__).parents[2])], capture_output=True, check=False)

    assert (1, b"", b"vq-pop3d: not as root: vq-checkpassword starts this program as the user\n") == (
        done.returncode, done.stdout, done.stderr)


def test_old_files_in_tmp_are_gone_after_a_login(world: pop_world.World) -> None:
    old = world.put("tmp/old", b"half")
    young = world.put("tmp/young", b"half")
    os.utime(old, (time.time() - 130_000,) * 2)
    session = begin(world)
    session.code()

    assert (False, True) == (old.exists(), young.exists())
    young.unlink()


def test_client_that_takes_nothing_holds_no_memory(world: pop_world.World) -> None:
    world.put("new/1.big", (b"x" * 79 + b"\n") * 100_000)
    session = begin(world)
    before = now(session.pid)
    session.sock.settimeout(0.5)
    with pytest.raises(TimeoutError):
        while True:
            session.send(b"RETR 1\r\n" * 1000)

    assert peak(session.pid) - before < 20_000


def test_a_thousand_sessions_in_one_process_leave_nothing_behind(world: pop_world.World) -> None:
    if not world.warm:
        return                                  # a process each has nothing to leave
    world.put("new/1.x", b"A: b\n\ntext\n")
    for number in range(1000):
        session = world.pop3d()
        session.send((b"RETR 1\r\nQUIT\r\n", b"RETR 9\r\nXYZ\r\n", b"x" * 1000, b"", b"RETR 1\r\nRETR 1\r\nTOP 1 1\r\nLI",
                      b"DELE 1\r\n")[number % 6])
        session.sock.shutdown(socket.SHUT_WR)
        session.rest()
        session.code()                          # complains of what is left
        world._sessions.clear()
        if number == 100:
            begun = peak(session.pid)

    assert peak(session.pid) - begun < 1000
