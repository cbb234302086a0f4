"""Quota strings and the arithmetic of maildirsize."""

import hypothesis
import pytest
from hypothesis import strategies

from vqmail.formats import quota
from vqmail.formats.quota import Limits, Use


@pytest.mark.parametrize(("text", "size", "count"), [
    (b"5000000S,1000C", 5_000_000, 1000), (b"1000C,5000000S", 5_000_000, 1000), (b"5M", 5_242_880, 0),
    (b"5m", 5_242_880, 0), (b"1MB", 1_048_576, 0), (b"1000KB", 1_024_000, 0), (b"1000K", 1_024_000, 0),
    (b"2G", 2_147_483_648, 0), (b"2GB", 2_147_483_648, 0), (b"12345", 12345, 0), (b"12345S", 12345, 0),
    (b"1000C", 0, 1000), (b"0S", 0, 0), (b"NOQUOTA", 0, 0), (b"5M,10C", 5_242_880, 10)])
def test_a_quota_string(text: bytes, size: int, count: int) -> None:
    assert quota.parse(text) == Limits(size, count)


def test_no_string_is_no_quota() -> None:
    assert quota.parse(b"") is None


@pytest.mark.parametrize("text", [b"M", b"5X", b"-5M", b"5 M", b"5M,", b",", b"5MM", b"5S1", b"1e9", b"9" * 19, b"5\n"])
def test_what_is_no_quota_string(text: bytes) -> None:
    with pytest.raises(ValueError, match="a quota is 5000000S,1000C, or 5M, or NOQUOTA"):
        quota.parse(text)


@pytest.mark.parametrize(("limits", "line"), [
    (Limits(5_000_000, 1000), b"5000000S,1000C"), (Limits(0, 1000), b"1000C"), (Limits(5, 0), b"5S"),
    (Limits(0, 0), b"0S")])
def test_the_first_line_of_maildirsize(limits: Limits, line: bytes) -> None:
    assert quota.definition(limits) == line


@pytest.mark.parametrize(("text", "limits", "use", "lines", "whole"), [
    (b"100S,5C\n0 0\n", Limits(100, 5), Use(0, 0), 1, True),
    (b"100S\n10 1\n20 2\n-5 -1\n", Limits(100, 0), Use(25, 2), 3, True),
    (b"100000S,50C\n           5            1\n          15            1\n", Limits(100_000, 50), Use(20, 2), 2, True),
    (b"100S\n10 1\n20", Limits(100, 0), Use(10, 1), 1, False),
    (b"100S\n10 1\n20 2", Limits(100, 0), Use(10, 1), 1, False),
    (b"NOQUOTA\n10 1\n", Limits(0, 0), Use(10, 1), 1, True),
    (b"\n10 1\n", Limits(0, 0), Use(10, 1), 1, True)])
def test_maildirsize(text: bytes, limits: Limits, use: Use, lines: int, whole: bool) -> None:  # noqa: FBT001
    assert quota.parse_file(text) == quota.File(limits, use, lines, whole)


@pytest.mark.parametrize("text", [
    b"", b"100S", b"100S\n", b"100S\n1 2 3\n", b"100S\nten 1\n", b"100S\n10\n", b"what\n10 1\n", b"100S\n-1 0\n",
    b"100S\n5 -1\n", b"100S\n\0\0\0\n", b"100S\n\n10 1\n", b"100S\n--5 1\n", b"100S\n1" + b"0" * 18 + b" 1\n"])
def test_a_maildirsize_that_must_be_made_anew(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        quota.parse_file(text)


CHANGES = strategies.lists(strategies.tuples(strategies.integers(-1000, 10_000), strategies.integers(-3, 10)), min_size=1)


@hypothesis.given(CHANGES)
def test_the_lines_add_up(changes: "list[tuple[int, int]]") -> None:
    size, count = sum(each for each, _ in changes), sum(each for _, each in changes)
    text = b"5000S,10C\n" + b"".join(quota.line(*each) for each in changes)
    if size < 0 or count < 0:
        with pytest.raises(ValueError, match="less than nothing"):
            quota.parse_file(text)
    else:
        assert quota.parse_file(text).use == Use(size, count)


@hypothesis.given(CHANGES, strategies.integers(0, 200))
def test_a_file_cut_anywhere_never_says_more_lines(changes: "list[tuple[int, int]]", cut: int) -> None:
    text = (b"5000S,10C\n" + b"".join(quota.line(*each) for each in changes))[:cut]
    whole = text.count(b"\n") - 1
    try:
        there = quota.parse_file(text)
    except ValueError:
        return
    kept = changes[:whole]
    assert there.use == Use(sum(each for each, _ in kept), sum(each for _, each in kept))
    assert there.whole == text.endswith(b"\n")


@hypothesis.given(strategies.binary(max_size=60))
def test_a_file_of_anything_is_refused_or_understood(text: bytes) -> None:
    try:
        there = quota.parse_file(b"100S\n" + text)
    except ValueError:
        return
    assert there.use.size >= 0
    assert there.use.count >= 0


@pytest.mark.parametrize(("limits", "use", "size", "count", "over"), [
    (Limits(100, 0), Use(90, 5), 10, 1, False), (Limits(100, 0), Use(90, 5), 11, 1, True),
    (Limits(0, 1000), Use(10**12, 999), 1, 1, False), (Limits(0, 1000), Use(0, 1000), 1, 1, True),
    (Limits(100, 1000), Use(100, 5), 0, 0, False), (Limits(100, 1000), Use(101, 5), 0, 0, True),
    (Limits(0, 0), Use(10**15, 10**9), 10**9, 1, False)])
def test_what_is_over(limits: Limits, use: Use, size: int, count: int, over: bool) -> None:  # noqa: FBT001
    assert quota.is_over(limits, use, size, count) is over


@pytest.mark.parametrize(("limits", "use", "per_cent"), [
    (Limits(1000, 0), Use(899, 5), 89), (Limits(1000, 0), Use(900, 5), 90), (Limits(1000, 10), Use(10, 10), 100),
    (Limits(0, 0), Use(10, 10), 0), (Limits(10, 0), Use(25, 1), 250)])
def test_how_full_it_is(limits: Limits, use: Use, per_cent: int) -> None:
    assert quota.per_cent(limits, use) == per_cent


@pytest.mark.parametrize(("name", "size"), [
    (b"1.M2P3.h,S=123", 123), (b"1.M2P3.h,S=123,W=130:2,S", 123), (b"1.h,W=130,S=123:2,", 123), (b"1.h", None),
    (b"1.h:2,S", None), (b"1.h,S=:2,", None), (b"1.h,S=12x", None), (b"1.h:2,,S=5", None), (b"1.h,S=0", 0)])
def test_the_size_in_a_file_name(name: bytes, size: "int | None") -> None:
    assert quota.size_in_name(name) == size


@pytest.mark.parametrize(("name", "counted"), [
    (b"1.h,S=5", True), (b"1.h,S=5:2,", True), (b"1.h,S=5:2,FRS", True), (b"1.h,S=5:2,ST", False), (b"1.T,S=5:2,S", True)])
def test_a_trashed_message_does_not_count(name: bytes, counted: bool) -> None:  # noqa: FBT001
    assert quota.counts(name) is counted


def test_a_rule_comes_back_from_the_environment() -> None:
    env = quota.environment(b"5M,10C", defer=True, warn=80)

    assert env == {b"QUOTA": b"5M,10C", b"OVERQUOTA": b"defer", b"QUOTAWARN": b"80"}
    assert quota.rule(env) == quota.Rule(Limits(5_242_880, 10), True, 80)  # noqa: FBT003
    assert quota.rule({}) == quota.Rule(None, False, 90)  # noqa: FBT003
    assert quota.environment(b"", defer=False, warn=90) == {}


@pytest.mark.parametrize(("total", "quotas", "fits"), [
    (Limits(100, 0), [Limits(50, 0), Limits(50, 0)], True), (Limits(100, 0), [Limits(50, 0), Limits(51, 0)], False),
    (Limits(100, 0), [Limits(50, 0), None], False), (Limits(100, 0), [Limits(0, 5)], False),
    (Limits(0, 10), [Limits(0, 5), Limits(0, 5)], True), (Limits(0, 0), [None], True), (Limits(100, 0), [], True)])
def test_a_domains_total(total: Limits, quotas: "list[Limits | None]", fits: bool) -> None:  # noqa: FBT001
    assert quota.fits_into(total, quotas) is fits
