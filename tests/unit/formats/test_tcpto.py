"""The table of hosts that did not answer, byte for byte (QMAIL interface 13.5)."""

import pytest

from vqmail.formats import tcpto

EMPTY = bytes(1024)
HOST = b"\x7f\x01\x02\x03"                      # 127.1.2.3
ONE = b"\x7f\x01\x02\x03\x01\0\0\0\x10\x27\0\0\0\0\0\0"         # once, at 10000
TWO = b"\x7f\x01\x02\x03\x02\0\0\0\x10\x27\0\0\0\0\0\0"
HOST6 = b"\x20\x01\x0d\xb8" + bytes(11) + b"\x07"


def test_the_first_timeout_takes_the_first_free_record() -> None:
    assert tcpto.after_timeout(EMPTY, HOST, 10000) == (0, ONE)
    assert tcpto.after_timeout(b"\x01\x02\x03\x04\x01" + bytes(1019), HOST, 10000) == (16, ONE)


def test_timeouts_two_minutes_apart_are_counted_and_closer_ones_are_one() -> None:
    assert tcpto.after_timeout(ONE, HOST, 10119) is None
    assert tcpto.after_timeout(ONE, HOST, 10120) == (0, b"\x7f\x01\x02\x03\x02\0\0\0\x88\x27\0\0\0\0\0\0")


def test_the_count_ends_at_ten() -> None:
    ten = b"\x7f\x01\x02\x03\x0a\0\0\0\x10\x27\0\0\0\0\0\0"

    assert tcpto.after_timeout(ten, HOST, 20000) == (0, b"\x7f\x01\x02\x03\x0a\0\0\0\x20\x4e\0\0\0\0\0\0")


def test_a_host_that_answers_is_free_again() -> None:
    assert tcpto.after_success(TWO, HOST) == (0, b"\x7f\x01\x02\x03\0\0\0\0\x10\x27\0\0\0\0\0\0")
    assert tcpto.after_success(EMPTY, HOST) is None


def test_a_record_that_is_free_but_remembers_its_host_counts_from_one() -> None:
    free = b"\x7f\x01\x02\x03\0\0\0\0\x10\x27\0\0\0\0\0\0"

    assert tcpto.after_success(free, HOST) is None
    assert tcpto.after_timeout(free, HOST, 10000) == (0, ONE)


@pytest.mark.parametrize(("pid", "until"), [(0, 13840), (32, 13840), (1, 13904), (31, 15824)])
def test_two_timeouts_and_the_host_is_left_alone_for_as_long_as_the_process_number_says(pid: int, until: int) -> None:
    assert tcpto.is_skipped(TWO, HOST, 10000, pid)
    assert tcpto.is_skipped(TWO, HOST, until - 1, pid)
    assert not tcpto.is_skipped(TWO, HOST, until, pid)


def test_one_timeout_is_none() -> None:
    assert not tcpto.is_skipped(ONE, HOST, 10001, 0)
    assert not tcpto.is_skipped(TWO, b"\x7f\x01\x02\x04", 10001, 0)


def test_a_clock_that_was_set_back_neither_skips_nor_stops_the_count() -> None:
    assert not tcpto.is_skipped(TWO, HOST, 9000, 0)
    assert tcpto.after_timeout(ONE, HOST, 9000) == (0, b"\x7f\x01\x02\x03\x02\0\0\0\x28\x23\0\0\0\0\0\0")


def test_a_full_table_loses_the_host_with_the_least_and_oldest_timeouts() -> None:
    def record(number: int, count: int, when: int) -> bytes:
        return bytes([10, 0, 0, number, count, 0, 0, 0]) + when.to_bytes(4, "little") + bytes(4)

    # 9000 + 3 x 1024 is more than 10000 + 1024
    full = b"".join(record(number, 5, 50000) for number in range(62)) + record(62, 3, 9000) + record(63, 1, 10000)

    assert tcpto.after_timeout(full, HOST, 10000) == (1008, ONE)


def test_an_ipv6_record_is_twice_as_long() -> None:
    record = HOST6 + b"\x01\0\0\0\0\0\0\0\x10\x27\0\0\0\0\0\0"

    assert tcpto.after_timeout(bytes(2048), HOST6, 10000) == (0, record)
    assert tcpto.entries(record + bytes(32), 16) == [(HOST6, 10000, 1)]


def test_only_whole_records_of_hosts_that_timed_out_are_shown() -> None:
    assert tcpto.entries(TWO + bytes(16) + ONE + ONE[:10], 4) == [(HOST, 10000, 2), (HOST, 10000, 1)]


@pytest.mark.parametrize("table", [b"", b"\x7f\x01\x02\x03\x02\0\0"])
def test_a_table_that_was_cut_holds_nobody_and_takes_nobody(table: bytes) -> None:
    assert tcpto.after_timeout(table, HOST, 10000) is None
    assert not tcpto.is_skipped(table, HOST, 10000, 0)
