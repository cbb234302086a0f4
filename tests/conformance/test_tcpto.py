"""vq-tcpto and vq-tcpok, the real programs, on tables made by hand."""

import os
import re
import stat
import subprocess
import time

import pytest
import support


def fill(home: support.Home, count: int, ago: int) -> None:
    """127.1.2.3 and 2001:db8::7 timed out `count` times, `ago` seconds before now."""
    when = (int(time.time()) - ago).to_bytes(4, "little") + bytes(4)
    four = bytes(16) + b"\x7f\1\2\3" + bytes([count, 0, 0, 0]) + when
    six = b"\x20\x01\x0d\xb8" + bytes(11) + b"\x07" + bytes([count]) + bytes(7) + when
    home.write("queue/lock/tcpto", four.ljust(1024, b"\0"))
    home.write("queue/lock/tcpto6", six.ljust(2048, b"\0"))


def test_hosts_that_timed_out_are_shown(home: support.Home) -> None:
    fill(home, 3, 1000)
    done = home.run(["vq-tcpto"])

    assert (done.returncode, done.stderr) == (0, b"")
    assert re.fullmatch(rb"127\.1\.2\.3 timed out 100\d seconds ago; # recent timeouts: 3\n"
                        rb"2001:db8::7 timed out 100\d seconds ago; # recent timeouts: 3\n", done.stdout)


def test_there_is_nothing_to_show_in_a_new_installation(home: support.Home) -> None:
    done = home.run(["vq-tcpto"])

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_forgotten_hosts_are_not_shown(home: support.Home) -> None:
    fill(home, 2, 10)
    done = home.run(["vq-tcpok"])

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (home.path / "queue/lock/tcpto").read_bytes() == bytes(1024)
    assert (home.path / "queue/lock/tcpto6").read_bytes() == bytes(2048)
    assert home.run(["vq-tcpto"]).stdout == b""


def test_a_table_of_another_size_keeps_working(home: support.Home) -> None:
    home.write("queue/lock/tcpto", b"\x7f\1\2\3\2")
    assert home.run(["vq-tcpto"]).returncode == 0
    assert home.run(["vq-tcpok"]).returncode == 0

    assert (home.path / "queue/lock/tcpto").read_bytes() == bytes(1024)


@pytest.mark.parametrize("name", ["vq-tcpto", "vq-tcpok"])
def test_help_is_the_page(home: support.Home, name: str) -> None:
    done = home.run([name, "--help"])

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(name.encode() + b": ")
    assert b"\nSYNOPSIS    " + name.encode() + b" [--help]\n" in done.stdout


@pytest.mark.parametrize("name", ["vq-tcpto", "vq-tcpok"])
@pytest.mark.parametrize("argument", ["x", "-x", "--helpless", b"\xff"])
def test_wrong_usage_is_100(home: support.Home, name: str, argument: "str | bytes") -> None:
    fill(home, 2, 10)
    done = home.run([name, argument])

    assert (done.returncode, done.stdout, done.stderr) == (
        100, b"", f"{name}: usage: {name} [--help]\n".encode())
    assert (home.path / "queue/lock/tcpto").read_bytes()[16:21] == b"\x7f\1\2\3\2"


@pytest.mark.root
@pytest.mark.parametrize(("name", "why"), [
    ("vq-tcpto", "cannot show the hosts that timed out: Permission denied; run it as root"),
    ("vq-tcpok", "cannot forget the hosts that timed out: Permission denied; run it as root")])
def test_who_may_not_is_told_so_with_111(home: support.Home, name: str, why: str) -> None:
    path = home.path / "queue/lock/tcpto"
    path.chmod(0)
    done = home.run([name])

    assert (done.returncode, done.stdout, done.stderr) == (111, b"", f"{name}: {why}\n".encode())


def test_a_full_disk_under_the_output_is_111(home: support.Home) -> None:
    fill(home, 2, 10)
    with open("/dev/full", "wb") as full:
        uid, gid = support.single_ids()
        who = {"user": uid, "group": gid, "extra_groups": []} if os.geteuid() == 0 else {}
        done = subprocess.run([home.bin("vq-tcpto")], stdout=full, stderr=subprocess.PIPE, timeout=60, check=False, **who)

    assert (done.returncode, done.stderr) == (
        111, b"vq-tcpto: cannot show the hosts that timed out: No space left on device; run it as root\n")


def test_both_tables_are_made_by_setup(home: support.Home) -> None:
    for name, size in (("tcpto", 1024), ("tcpto6", 2048)):
        status = (home.path / "queue/lock" / name).stat()

        assert (status.st_size, stat.S_IMODE(status.st_mode)) == (size, 0o644)
