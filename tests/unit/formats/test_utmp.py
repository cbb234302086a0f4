"""Records of utmp, packed as glibc's struct utmp is."""

import struct

from vqmail.formats import utmp


def record(kind: int, line: bytes, user: bytes) -> bytes:
    return struct.pack("<hxxi32s4s32s256shhiii16s20x", kind, 4711, line, b"id", user, b"host", 0, 0, 1, 2, 3, b"")


def test_a_record_has_the_length_we_think() -> None:
    assert len(record(7, b"pts/0", b"joe")) == 384


def test_every_terminal_of_a_user() -> None:
    text = record(7, b"pts/0", b"joe") + record(7, b"pts/1", b"ann") + record(7, b"tty1", b"joe")

    assert utmp.terminals(text, b"joe") == [b"pts/0", b"tty1"]


def test_only_processes_of_users_count() -> None:
    text = b"".join(record(kind, b"tty%d" % kind, b"joe") for kind in range(10))

    assert utmp.terminals(text, b"joe") == [b"tty7"]


def test_a_name_and_a_line_of_the_full_length_have_no_nul() -> None:
    assert utmp.terminals(record(7, b"t" * 32, b"u" * 32), b"u" * 32) == [b"t" * 32]


def test_a_user_is_not_another_who_begins_like_him() -> None:
    assert utmp.terminals(record(7, b"pts/0", b"joey"), b"joe") == []


def test_a_line_that_leads_elsewhere_is_left_out() -> None:
    for line in (b"", b"/etc/passwd", b"../etc/passwd", b"pts/../../etc/passwd", b"a.b"):
        assert utmp.terminals(record(7, line, b"joe"), b"joe") == []


def test_an_unfinished_record_is_left_out() -> None:
    assert utmp.terminals(record(7, b"pts/0", b"joe") + record(7, b"pts/1", b"joe")[:-1], b"joe") == [b"pts/0"]
