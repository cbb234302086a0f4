"""Limits of an hour: the control file, and counting."""

import pytest
from hypothesis import given, strategies as st

from vqmail.formats import sendlimits
from vqmail.formats.sendlimits import Limit

NOW = 1_795_000_200             # a multiple of 300
HOUR = 3600


@pytest.mark.parametrize(("entry", "expected"), [
    (b"100 500", (b"", Limit(100, 500))),
    (b"a.test:200 1000", (b"a.test", Limit(200, 1000))),
    (b"@a.test:200\t1000", (b"a.test", Limit(200, 1000))),
    (b"bob@a.test:0 0", (b"bob@a.test", Limit(0, 0))),
    (b"bob@a.test: 7  8", (b"bob@a.test", Limit(7, 8))),
])
def test_lines(entry: bytes, expected: "tuple[bytes, Limit]") -> None:
    assert sendlimits.parse(entry) == expected


@pytest.mark.parametrize("entry", [
    b"100", b"100 200 300", b"-1 5", b"a b", b"a.test", b"a.test:", b"a.test:5", b":5 5", b"bob@:5 5", b"a:b:5 5",
    b"1234567890 1"])
def test_lines_that_make_no_sense(entry: bytes) -> None:
    with pytest.raises(ValueError, match="write messages and recipients|before the colon"):
        sendlimits.parse(entry)


@pytest.mark.parametrize(("login", "expected"), [
    (b"bob@a.test", Limit(0, 0)), (b"ann@a.test", Limit(2, 20)), (b"joe@b.test", Limit(1, 10)), (b"joe", Limit(1, 10))])
def test_whose_limit_counts(login: bytes, expected: Limit) -> None:
    limits = {b"": Limit(1, 10), b"a.test": Limit(2, 20), b"bob@a.test": Limit(0, 0)}

    assert sendlimits.of(limits, login) == expected
    assert sendlimits.of({}, login) == sendlimits.NONE


@pytest.mark.parametrize(("login", "expected"), [       # the vectors that the authors of FNV-1a publish
    (b"", 0xcbf29ce484222325), (b"a", 0xaf63dc4c8601ec8c), (b"foobar", 0x85944171f73967e8)])
def test_hash(login: bytes, expected: int) -> None:
    assert sendlimits.hashed(login) == expected


class Places:
    """The places of a login in the table, as a file would keep them."""

    def __init__(self) -> None:
        self.content = b""

    def take(self, login: bytes, now: int, recipients: int = 1) -> None:
        at, record = sendlimits.counted(self.content, sendlimits.hashed(login), now, recipients)
        assert len(record) == sendlimits.SIZE
        content = self.content.ljust(at, b"\0")
        self.content = content[:at] + record + content[at + len(record):]

    def refused(self, login: bytes, limit: Limit, now: int, recipients: int = 1) -> bytes:
        return sendlimits.refused(self.content, sendlimits.hashed(login), limit, now, recipients)


def test_messages_and_recipients_are_counted_each_for_itself() -> None:
    places = Places()
    places.take(b"bob", NOW, 10)
    places.take(b"bob", NOW + 1, 5)

    assert places.refused(b"bob", Limit(3, 0), NOW + 2) == b""
    assert places.refused(b"bob", Limit(2, 0), NOW + 2) == b"messages"
    assert places.refused(b"bob", Limit(0, 16), NOW + 2) == b""
    assert places.refused(b"bob", Limit(0, 16), NOW + 2, 2) == b"recipients"
    assert places.refused(b"ann", Limit(1, 1), NOW + 2) == b""


@given(st.integers(0, 2 * HOUR))
def test_nobody_gets_more_than_his_number_in_any_hour_and_waits_five_minutes_more_at_most(later: int) -> None:
    places = Places()
    places.take(b"bob", NOW + 123)

    refused = places.refused(b"bob", Limit(1, 0), NOW + 123 + later) == b"messages"

    if later <= HOUR:
        assert refused
    elif later >= HOUR + 300:
        assert not refused


def test_the_hour_slides() -> None:
    places = Places()
    for minute in range(0, 60, 10):
        places.take(b"bob", NOW + 60 * minute)

    told = [places.refused(b"bob", Limit(6 - gone, 0), NOW + HOUR + 300 + 600 * gone) for gone in range(5)]

    assert told == [b""] * 5
    assert places.refused(b"bob", Limit(5, 0), NOW + HOUR + 300) == b"messages"     # one is too old, five count


def test_a_clock_that_is_set_back_forgets_nothing_unless_by_more_than_an_hour() -> None:
    places = Places()
    places.take(b"bob", NOW)
    places.take(b"bob", NOW - 1200)

    assert places.refused(b"bob", Limit(2, 0), NOW - 1200) == b"messages"
    assert places.refused(b"bob", Limit(2, 0), NOW) == b"messages"
    assert places.refused(b"bob", Limit(1, 0), NOW - 2 * HOUR) == b""


def test_when_all_places_are_taken_who_sent_least_lately_gives_his() -> None:
    places = Places()
    for number in range(sendlimits.PLACES):
        places.take(b"user%d" % number, NOW, 100 + number)
    places.take(b"user0", NOW)                  # the first one sends another: 101, as many as the second
    places.take(b"user0", NOW)
    places.take(b"late", NOW)

    assert len(places.content) == sendlimits.PLACES * sendlimits.SIZE
    assert [places.refused(b"user%d" % number, Limit(1, 0), NOW) for number in range(3)] == [b"messages", b"", b"messages"]
    assert places.refused(b"late", Limit(1, 0), NOW) == b"messages"


def test_an_old_record_gives_its_place_first() -> None:
    places = Places()
    places.take(b"old", NOW - 2 * HOUR, 100_000)
    for number in range(1, sendlimits.PLACES):
        places.take(b"user%d" % number, NOW)
    places.take(b"new", NOW)

    assert [places.refused(b"user%d" % number, Limit(1, 0), NOW) for number in range(1, 8)] == [b"messages"] * 7


def test_counts_stop_at_what_four_bytes_hold() -> None:
    places = Places()
    places.take(b"bob", NOW, sendlimits.MOST)
    places.take(b"bob", NOW, sendlimits.MOST)

    assert places.refused(b"bob", Limit(0, 999_999_999), NOW) == b"recipients"


@given(st.binary(max_size=sendlimits.PLACES * sendlimits.SIZE))
def test_any_content_is_a_table(content: bytes) -> None:
    at, record = sendlimits.counted(content, 5, NOW, 1)

    assert (at % sendlimits.SIZE, at < len(content) or at < sendlimits.PLACES * sendlimits.SIZE, len(record)) == (0, True, 128)


@given(st.binary(max_size=300))
def test_the_places_of_a_login_are_within_the_table(login: bytes) -> None:
    at = sendlimits.offset(sendlimits.hashed(login))

    assert 0 <= at <= sendlimits.TABLE - sendlimits.PLACES * sendlimits.SIZE
