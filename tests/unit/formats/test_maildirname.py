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


def test_sizes_are_told_and_read_back() -> None:
    assert b",S=5,W=6" == maildirname.sizes(5, 6)
    assert 6 == maildirname.octets(b"1.x.host,S=5,W=6:2,S")


def test_octets_that_are_no_number_are_not_believed() -> None:
    assert [None] * 6 == [maildirname.octets(each) for each in (
        b"1.x.host", b"1.x,S=5", b"1.x,W=", b"1.x,W=-5", b"1.x:2,W=5", b"1.x,W=12345678901234567890")]


def test_unique_id_is_the_name_without_flags() -> None:
    assert b"1.M2P3.host,S=5,W=6" == maildirname.unique_id(b"1.M2P3.host,S=5,W=6:2,RS")
    assert b"x" * 70 == maildirname.unique_id(b"x" * 70 + b":2,")


def test_unique_id_of_any_name_is_short_printable_and_its_own() -> None:
    names = [b"x" * 71, b"x" * 72, b"x" * 200 + b"1", b"x" * 200 + b"2", b"a b", b"a\tb", b"a_b", b"\xffb", b"\xfeb", b""]
    ids = [maildirname.unique_id(each) for each in names]

    assert len(set(ids)) == len(names)
    assert all(1 <= len(each) <= 70 and all(33 <= byte <= 126 for byte in each) for each in ids)
    assert b"a_b" == ids[6]


def test_order_is_that_of_time_and_strange_names_come_first() -> None:
    names = [b"abc", b"\xd9\xa3.x", b"9.M10P1.h", b"9.M9P1.h", b"10.x", b"99999999999999999999.x", b"9.M9P1.h2"]

    assert [b"99999999999999999999.x", b"abc", b"\xd9\xa3.x", b"9.M9P1.h", b"9.M9P1.h2", b"9.M10P1.h", b"10.x"] == sorted(
        names, key=maildirname.order)
