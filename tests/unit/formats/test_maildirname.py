"""Names of messages in a maildir."""

from vqmail.formats import maildirname


def test_name_holds_time_process_and_file() -> None:
    assert maildirname.new(1792566537_000042_999, 7, 2049, 12345, b"mx.example.com") == (
        b"1792566537.M42P7V2049I12345.mx.example.com")


def test_another_name_for_the_same_file() -> None:
    assert maildirname.new(1792566537_000000_000, 7, 1, 2, b"mx", b"ab12") == b"1792566537.M0P7V1I2_ab12.mx"


def test_host_cannot_leave_the_directory_or_begin_the_flags() -> None:
    assert maildirname.new(10**9, 1, 2, 3, b"a/b:2,S") == b"1.M0P1V2I3.a\\057b\\0722,S"


def test_no_host_still_makes_a_name() -> None:
    assert maildirname.new(10**9, 1, 2, 3, b"") == b"1.M0P1V2I3.localhost"
