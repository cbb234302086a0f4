"""mailsubj, predate, datemail and qbiff: what a person sends, and what he is told of.

The expected results are written by hand from qmail's interface.
"""

import os
import pathlib
import re
import select
import struct
import subprocess
import termios
import time
import tty
import typing

import local_world
import pytest
import support
from local_world import MESSAGE, User, installation, joe, shell, user, world  # noqa: F401
from small_world import DELIVERED, SENDER, run

# ---- mailsubj, predate, datemail ----

@pytest.fixture
def inject(tmp_path: pathlib.Path) -> "typing.Iterator[typing.Callable[[str], User]]":
    """A home of its own, in which one program shows how it was called."""
    home = support.make_home(tmp_path / "installation")
    (tmp_path / "user").mkdir()

    def make(name: str) -> User:
        home.write("bin/" + name, '#!/bin/sh\nfor each in "$0" "$@"; do echo "[$each]"; done\ncat\nexit 42\n', 0o755)
        return User(local_world.World(home, warm=False, ids=support.single_ids()), tmp_path / "user")

    return make


def test_mailsubj_becomes_inject(inject: "typing.Callable[[str], User]") -> None:
    joe = inject("vq-inject")
    done = run(joe, ["mailsubj", "How are\nyou?", "ann@x", "Bob <bob@y>"], b"body\nFrom here\nno end")

    assert done.returncode == 42
    assert done.stdout == (b"[%s]\nSubject: How are you?\nTo: ann@x,\n  Bob <bob@y>\n\nbody\nFrom here\nno end" % (
        joe.world.installation.bin("vq-inject").encode()))


@pytest.mark.parametrize(("zone", "offset"), [("UTC0", b"+0000"), ("IST-5:30", b"+0530"), ("BRT+3", b"-0300")])
def test_predate(joe: User, zone: str, offset: bytes) -> None:
    before = int(time.time())
    done = run(joe, ["predate", "sh", "-c", "cat; exit 42"], env={"TZ": zone})
    first, _, rest = done.stdout.partition(b"\n")
    now = subprocess.run(["date", "-d", first.decode().removeprefix("Date: "), "+%s"], capture_output=True, check=True).stdout

    assert (done.returncode, rest) == (42, MESSAGE)
    assert re.fullmatch(rb"Date: [1-9]\d? [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d " + re.escape(offset), first)
    assert before <= int(now) <= int(time.time())


def test_one_date_is_enough(joe: User) -> None:
    text = b"Subject: x\ndate: 21 Nov 2026 05:18:57 -0000\n\nbody\n"

    assert run(joe, ["predate", "cat"], text).stdout == text
    assert run(joe, ["predate", "cat"], b"\nDate: in the body\n").stdout.startswith(b"Date: ")


def test_predate_of_a_program_that_is_not_there(joe: User) -> None:
    assert run(joe, ["predate", "no-such-program"]).returncode == 127


def test_datemail(inject: "typing.Callable[[str], User]") -> None:
    joe = inject("sendmail")
    done = run(joe, ["datemail", "-t", "-i", "a b"])
    program, *rest = done.stdout.split(b"\n", 5)

    assert done.returncode == 42
    assert program == b"[%s]" % joe.world.installation.bin("sendmail").encode()
    assert rest[:3] == [b"[-t]", b"[-i]", b"[a b]"]
    assert rest[3].startswith(b"Date: ")
    assert rest[4] == MESSAGE


def test_mailsubj_sends(joe: User) -> None:
    done = run(joe, ["mailsubj", "How are\nyou?", "ann@x.example", "Bob <bob@y.example>"], b"body\nFrom here\n",
               {"QMAILUSER": "joe"})
    head, _, body = joe.queued().partition(b"\n\n")
    envelope = (joe.envelope() or b"").removesuffix(b"\0\0").split(b"\0")

    assert (done.returncode, done.stderr) == (0, b"")
    assert (envelope[0], sorted(envelope[1:])) == (b"Fjoe@host.test", [b"Tann@x.example", b"Tbob@y.example"])
    assert b"\nSubject: How are you?\nTo: ann@x.example,\n  Bob <bob@y.example>" in head
    assert body == b"body\nFrom here\n"


def test_mailsubj_to_who_cannot_be_understood_sends_nothing(joe: User) -> None:
    assert run(joe, ["mailsubj", "hi", "ann@x.example", "two words@y"]).returncode == 100
    assert joe.envelope() is None


def test_datemail_sends_with_one_date(joe: User) -> None:
    done = run(joe, ["datemail", "-t", "-fjoe@host.test"], b"To: ann@x.example\n\nbody\n", {"TZ": "IST-5:30"})

    assert (done.returncode, done.stderr) == (0, b"")
    assert joe.envelope() == b"Fjoe@host.test\0Tann@x.example\0\0"
    assert re.findall(rb"^Date: .*", joe.queued(), re.MULTILINE) == re.findall(rb"^Date: .* \+0530$", joe.queued(), re.MULTILINE)
    assert joe.queued().count(b"\nDate: ") + joe.queued().startswith(b"Date: ") == 1


# ---- qbiff ----

MARK = b"[end]"


class Login:
    """A terminal of a user, whose logins stand in a utmp of their own."""

    def __init__(self, joe: User, mode: int, raw: bool = True) -> None:
        self.user = joe
        self.master, self.slave = os.openpty()
        self.path = os.ttyname(self.slave)
        os.chown(self.path, *joe.world.ids)
        os.chmod(self.path, mode)
        if raw:
            tty.setraw(self.slave)
        os.set_blocking(self.master, False)

    def record(self, name: bytes = b"joe") -> bytes:
        return struct.pack("<hxxi32s4s32s256shhiii16s20x", 7, 1, self.path.removeprefix("/dev/").encode(), b"id", name,
                           b"", 0, 0, 1, 2, 3, b"")

    def shown(self) -> bytes:
        """What has been written to it, up to a mark that we write behind it: the kernel may take its time."""
        os.write(self.slave, MARK)
        said = b""
        while not said.endswith(MARK):
            select.select([self.master], [], [], 60)
            said += os.read(self.master, 65536)
        return said.removesuffix(MARK)

    def close(self) -> None:
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def login(joe: User) -> "typing.Iterator[typing.Callable[[int], Login]]":
    made: list[Login] = []

    def make(mode: int) -> Login:
        made.append(Login(joe, mode))
        return made[-1]

    yield make
    for each in made:
        each.close()


def qbiff(joe: User, records: bytes, message: bytes = MESSAGE, ids: "tuple[int, int] | None" = None) -> int:
    """Run qbiff where /var/run/utmp has `records`."""
    uid, gid = ids or joe.world.ids
    utmp = joe.write("utmp", records)
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", f"mount -t tmpfs none /run && cat {utmp} >/run/utmp && exec setpriv --reuid {uid} "
         f'--regid {gid} --clear-groups "$@"', "sh", joe.world.installation.bin("qbiff")], input=message, check=False,
        timeout=60, env={"PATH": "/usr/bin:/bin", "USER": "joe", "LOCAL": "joe-ext", "SENDER": "a\x1b@far.example"}).returncode


@pytest.mark.root
def test_qbiff_tells_every_terminal_that_takes_messages(joe: User, login: "typing.Callable[[int], Login]") -> None:
    by_mesg, by_biff, silent, stranger = login(0o620), login(0o700), login(0o600), login(0o622)
    records = by_mesg.record() + by_biff.record() + silent.record() + stranger.record(b"ann")
    text = b"\r\n\a*** TO <joe-ext> FROM <a_@far.example>\r\n    hi \\[31m/body /\r\n".replace(b"\\", b"/")

    assert qbiff(joe, records, b"To: x\nSubject: hi \x1b[31m\n\nbody \xe9") == 0
    assert [each.shown() for each in (by_mesg, by_biff, silent, stranger)] == [text, text, b"", b""]


@pytest.mark.root
def test_qbiff_writes_to_nobody_elses_terminal(joe: User, login: "typing.Callable[[int], Login]") -> None:
    theirs = login(0o622)

    assert qbiff(joe, theirs.record(), ids=(45002, 45002)) == 0
    assert theirs.shown() == b""


@pytest.mark.root
def test_qbiff_does_not_wait_for_a_terminal_that_takes_nothing(joe: User, login: "typing.Callable[[int], Login]") -> None:
    full, stopped, good = login(0o620), login(0o620), login(0o620)
    os.set_blocking(full.slave, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(full.slave, b"x" * 4096)
    termios.tcflow(stopped.slave, termios.TCOOFF)

    assert qbiff(joe, full.record() + stopped.record() + good.record()) == 0
    assert good.shown().startswith(b"\r\n\a*** TO <joe-ext>")


@pytest.mark.root
@pytest.mark.parametrize("records", [b"", b"\x07" * 1000, b"\0" * 384 * 3])
def test_qbiff_and_a_strange_utmp(joe: User, records: bytes) -> None:
    assert qbiff(joe, records) == 0


def test_qbiff_fails_no_delivery(user: User) -> None:
    user.write(".qmail", "|qbiff\n./Maildir/\n")
    outcome = user.deliver()

    assert (outcome.code, outcome.output, outcome.errors) == (0, b"did 1+0+1\n", b"")
    assert user.new() == [DELIVERED]


def test_qbiff_without_its_variables(joe: User) -> None:
    assert run(joe, ["qbiff"]).returncode == 0
