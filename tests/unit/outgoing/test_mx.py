"""The order in which addresses are tried, and what the absence of them means, with a DNS of our own."""

import os
import pathlib

import pytest

from vqmail import codes, vqhome
from vqmail.outgoing import mx, route
from vqmail.unix import addresses

DRAWS = 200                     # two of equal preference come out in the same order 200 times: that does not happen
TROUBLE = "the name server is out"


class Dns:
    """Answers from a table; what is in it under another type exists.  Counts what it is asked."""

    def __init__(self, table: "dict[tuple[str, str], object]", ttl: int = 300) -> None:
        self.table = table
        self.ttl = ttl
        self.asked: list[tuple[bytes, bytes]] = []

    def ask(self, name: bytes, kind: bytes, seconds: float) -> mx.Answer:
        self.asked.append((name, kind))
        found = self.table.get((name.decode(), kind.decode()))
        if found is TROUBLE:
            raise mx.Trouble(TROUBLE)
        if found is None:
            return mx.Answer([], self.ttl, any(each == name.decode() for each, _ in self.table))
        return mx.Answer(found, self.ttl, True)


def four(last: int) -> bytes:
    return bytes([203, 0, 113, last])


def six(last: int) -> bytes:
    return b"\x20\x01\x0d\xb8" + bytes(11) + bytes([last])


@pytest.fixture
def control(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(vqhome, "VQHOME", os.fsencode(tmp_path))
    (tmp_path / "control").mkdir()
    monkeypatch.setattr(addresses, "own", lambda: frozenset([four(1), six(1)]))
    monkeypatch.setattr(addresses, "has_route", lambda address: True)
    return tmp_path / "control"


def targets(table: "dict[tuple[str, str], object]", host: bytes = b"far.test") -> "list[tuple[bytes, bytes]]":
    return [(each.address, each.name) for each in mx.Names(Dns(table)).targets(route.Tables().find(host, b"bob@here.test"))]


def failure(table: "dict[tuple[str, str], object]", host: bytes = b"far.test") -> "tuple[type[codes.Failure], str]":
    with pytest.raises(codes.Failure) as error:
        targets(table, host)
    return type(error.value), str(error.value)


def test_the_best_preference_is_first(control: pathlib.Path) -> None:
    table = {("far.test", "MX"): [(30, b"c.test"), (5, b"a.test"), (10, b"b.test")], ("a.test", "A"): [four(10)],
             ("b.test", "A"): [four(20)], ("c.test", "A"): [four(30)]}

    assert targets(table) == [(b"203.0.113.10", b"a.test"), (b"203.0.113.20", b"b.test"), (b"203.0.113.30", b"c.test")]


def test_equal_preferences_are_in_random_order_and_so_are_the_addresses_of_a_host(control: pathlib.Path) -> None:
    table = {("far.test", "MX"): [(5, b"a.test"), (5, b"b.test")], ("a.test", "A"): [four(10), four(11)], ("b.test", "A"): [four(20)]}
    orders = {tuple(address for address, _ in targets(table)) for _ in range(DRAWS)}

    assert orders == {(b"203.0.113.10", b"203.0.113.11", b"203.0.113.20"), (b"203.0.113.11", b"203.0.113.10", b"203.0.113.20"),
                      (b"203.0.113.20", b"203.0.113.10", b"203.0.113.11"), (b"203.0.113.20", b"203.0.113.11", b"203.0.113.10")}


def test_ipv6_and_ipv4_take_turns(control: pathlib.Path) -> None:
    table = {("far.test", "MX"): [(5, b"a.test")], ("a.test", "A"): [four(10)] * 1, ("a.test", "AAAA"): [six(10), six(11), six(12)]}
    found = [b":" in address for address, _ in targets(table)]

    assert found == [True, False, True, True]


def test_without_a_way_to_ipv6_it_comes_last(control: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "has_route", lambda address: b":" not in address)
    table = {("far.test", "MX"): [(5, b"a.test")], ("a.test", "A"): [four(10)], ("a.test", "AAAA"): [six(10)]}

    assert targets(table) == [(b"203.0.113.10", b"a.test"), (b"2001:db8::a", b"a.test")]


def test_an_address_of_two_hosts_is_tried_once(control: pathlib.Path) -> None:
    table = {("far.test", "MX"): [(5, b"a.test"), (10, b"b.test")], ("a.test", "A"): [four(10)], ("b.test", "A"): [four(10), four(10)]}

    assert targets(table) == [(b"203.0.113.10", b"a.test")]


def test_a_host_without_mx_gets_its_mail_itself(control: pathlib.Path) -> None:
    assert targets({("far.test", "A"): [four(10)]}) == [(b"203.0.113.10", b"far.test")]


def test_an_mx_without_an_address_is_passed_over(control: pathlib.Path) -> None:
    table = {("far.test", "MX"): [(5, b"none.test"), (7, b""), (10, b"b.test")], ("b.test", "A"): [four(20)]}

    assert targets(table) == [(b"203.0.113.20", b"b.test")]


def test_an_mx_that_is_an_address_is_taken_for_one(control: pathlib.Path) -> None:
    assert targets({("far.test", "MX"): [(5, b"203.0.113.9")]}) == [(b"203.0.113.9", b"203.0.113.9")]


def test_an_mx_that_nobody_can_tell_about_just_now_does_not_stop_the_others(control: pathlib.Path) -> None:
    table = {("far.test", "MX"): [(5, b"a.test"), (10, b"b.test")], ("a.test", "A"): TROUBLE, ("b.test", "A"): [four(20)]}

    assert targets(table) == [(b"203.0.113.20", b"b.test")]


def test_half_an_answer_is_better_than_none(control: pathlib.Path) -> None:
    table = {("far.test", "MX"): [(5, b"a.test")], ("a.test", "AAAA"): TROUBLE, ("a.test", "A"): [four(10)]}

    assert targets(table) == [(b"203.0.113.10", b"a.test")]


@pytest.mark.parametrize(("table", "kind", "text"), [
    ({}, codes.GiveUp, "There is no host called far.test. (#5.1.2)"),
    ({("far.test", "TXT"): [b"x"]}, codes.GiveUp, "far.test has no MX or address that I could send mail to. (#5.4.4)"),
    ({("far.test", "MX"): [(5, b"a.test")]}, codes.GiveUp, "far.test has no MX or address that I could send mail to. (#5.4.4)"),
    ({("far.test", "MX"): [(0, b"")], ("far.test", "A"): [four(10)]}, codes.GiveUp,
     "far.test does not take any mail: it says so in DNS. (#5.1.10)"),
    ({("far.test", "MX"): TROUBLE, ("far.test", "A"): [four(10)]}, codes.TryLater,
     "I cannot find out for now where mail for far.test goes: the name server is out. (#4.1.2)"),
    ({("far.test", "MX"): [(5, b"a.test"), (6, b"none.test")], ("a.test", "A"): TROUBLE}, codes.TryLater,
     "I cannot find out for now where mail for far.test goes: the name server is out. (#4.1.2)"),
    ({("far.test", "A"): TROUBLE}, codes.TryLater,
     "I cannot find out for now where mail for far.test goes: the name server is out. (#4.1.2)"),
])
def test_why_there_is_nowhere_to_go(control: pathlib.Path, table: "dict[tuple[str, str], object]", kind: "type[codes.Failure]",
                                    text: str) -> None:
    assert failure(table) == (kind, text)


LOOP = (codes.GiveUp, "Although I'm listed as a best-preference MX or A for far.test, it is neither in control/locals nor in "
                      "control/virtualdomains, so its mail is not mine. (#5.4.6)")


@pytest.mark.parametrize("packed", [four(1), bytes(4), b"\x7f\0\0\1", b"\x7f\1\2\3"])
def test_mail_for_which_we_are_the_best_mx_goes_nowhere(control: pathlib.Path, packed: bytes) -> None:
    table = {("far.test", "MX"): [(5, b"a.test"), (5, b"b.test"), (9, b"b.test")], ("a.test", "A"): [packed], ("b.test", "A"): [four(20)]}

    assert failure(table) == LOOP


def test_an_address_of_ours_among_a_hundred_is_seen(control: pathlib.Path) -> None:
    table = {("far.test", "A"): [four(each) for each in range(1, 101)]}

    assert {failure(table)[0] for _ in range(DRAWS)} == {codes.GiveUp}


@pytest.mark.parametrize("packed", [six(1), bytes(16), bytes(10) + b"\xff\xff" + four(1)])
def test_we_are_known_by_ipv6_too(control: pathlib.Path, packed: bytes) -> None:
    assert failure({("far.test", "AAAA"): [packed, six(10)]}) == LOOP


def test_only_who_is_better_than_we_are_is_tried(control: pathlib.Path) -> None:
    table = {("far.test", "MX"): [(5, b"a.test"), (10, b"us.test"), (10, b"equal.test"), (20, b"worse.test")],
             ("a.test", "A"): [four(10)], ("us.test", "A"): [four(30)], ("us.test", "AAAA"): [six(1)],
             ("equal.test", "A"): [four(40)], ("worse.test", "A"): [four(50)]}

    assert targets(table) == [(b"203.0.113.10", b"a.test")]


def test_a_better_one_that_nobody_can_tell_about_is_waited_for(control: pathlib.Path) -> None:
    table = {("far.test", "MX"): [(5, b"a.test"), (10, b"us.test")], ("a.test", "A"): TROUBLE, ("us.test", "A"): [four(1)]}

    assert failure(table)[0] is codes.TryLater


def test_moreipme_adds_and_notipme_takes_away(control: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    (control / "moreipme").write_text("203.0.113.77\n[2001:DB8::77]\n203.0.113.1\nnat\n")
    (control / "notipme").write_text("203.0.113.1\n127.0.0.2\n0.0.0.0\n")

    assert failure({("far.test", "A"): [four(77)]}) == LOOP
    assert failure({("far.test", "AAAA"): [six(0x77)]}) == LOOP
    assert targets({("far.test", "A"): [four(1)]}) == [(b"203.0.113.1", b"far.test")]
    assert targets({("far.test", "A"): [b"\x7f\0\0\2"]}) == [(b"127.0.0.2", b"far.test")]
    assert failure({("far.test", "A"): [b"\x7f\0\0\1"]}) == LOOP
    assert failure({("far.test", "A"): [bytes(4)]}) == LOOP
    assert "vq-remote: control/moreipme: nat is no IP address; write one a line\n" in capfd.readouterr().err


def test_a_relay_is_tried_even_if_it_is_we(control: pathlib.Path) -> None:
    (control / "smtproutes").write_text("far.test:relay.test:2525\nliteral.test:[2001:db8::1]:26\n")
    table = {("relay.test", "A"): [four(1)], ("relay.test", "MX"): [(0, b"other.test")], ("other.test", "A"): [four(9)]}

    assert targets(table) == [(b"203.0.113.1", b"relay.test")]
    assert targets({}, b"literal.test") == [(b"2001:db8::1", b"2001:db8::1")]


def test_a_relay_without_an_address_is_our_mistake_and_nobodys_mail_bounces_for_it(control: pathlib.Path) -> None:
    (control / "smtproutes").write_text(":relay.test\n")

    assert failure({}) == (codes.TryLater, "The relay relay.test, which control/smtproutes or control/authsenders names, "
                                           "has no address. (#4.4.1)")
    assert failure({("relay.test", "A"): TROUBLE}) == (
        codes.TryLater, "I cannot find out for now where mail for relay.test goes: the name server is out. (#4.1.2)")


def test_an_address_in_brackets_is_where_it_goes_unless_it_is_ours(control: pathlib.Path) -> None:
    assert targets({}, b"[203.0.113.9]") == [(b"203.0.113.9", b"203.0.113.9")]
    assert targets({}, b"[IPv6:2001:DB8::9]") == [(b"2001:db8::9", b"2001:db8::9")]
    assert targets({}, b"203.0.113.9") == [(b"203.0.113.9", b"203.0.113.9")]
    assert failure({}, b"[127.0.0.1]")[1].endswith("(#5.4.6)")
    assert failure({}, b"[203.0.113.1]")[1].endswith("(#5.4.6)")


def test_absurd_numbers_of_mx_and_addresses_are_cut(control: pathlib.Path) -> None:
    table: dict[tuple[str, str], object] = {("far.test", "MX"): [(number, b"%d.test" % number) for number in range(1000)]}
    for number in range(1000):
        table[f"{number}.test", "A"] = [bytes([10, number >> 8, number & 255, last]) for last in range(200)]
    dns = Dns(table)
    found = mx.Names(dns).targets(route.Tables().find(b"far.test", b""))

    assert (len(found), len(dns.asked)) == (50, 1 + 2 * 20)
    assert [each.name for each in found] == [b"0.test"] * 16 + [b"1.test"] * 16 + [b"2.test"] * 16 + [b"3.test"] * 2


def test_an_answer_is_kept_as_long_as_it_says_and_what_is_missing_a_minute(control: pathlib.Path,
                                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(mx.time, "monotonic", lambda: now)
    dns = Dns({("far.test", "A"): [four(10)]})
    names = mx.Names(dns)
    far = route.Tables().find(b"far.test", b"")
    asked = []
    for now in (1000.0, 1059.0, 1061.0, 1299.0, 1301.0):
        dns.asked.clear()
        names.targets(far)
        asked.append([kind for _, kind in dns.asked])

    # far.test has no MX and no AAAA, which is believed for a minute; its A for the 300 seconds that it says
    assert asked == [[b"MX", b"AAAA", b"A"], [], [b"MX", b"AAAA"], [b"MX", b"AAAA"], [b"A"]]


def test_trouble_is_not_kept_nor_is_what_says_so(control: pathlib.Path) -> None:
    dns = Dns({("far.test", "MX"): TROUBLE, ("near.test", "MX"): [(5, b"near.test")], ("near.test", "A"): [four(10)]}, ttl=0)
    names = mx.Names(dns)
    for _ in range(2):
        with pytest.raises(codes.TryLater):
            names.targets(route.Tables().find(b"far.test", b""))
        names.targets(route.Tables().find(b"near.test", b""))

    assert dns.asked == [(b"far.test", b"MX"), (b"near.test", b"MX"), (b"near.test", b"AAAA"), (b"near.test", b"A")] * 2


def test_the_cache_does_not_grow_without_end(control: pathlib.Path) -> None:
    names = mx.Names(Dns({}))
    for number in range(3000):
        with pytest.raises(mx.codes.GiveUp):
            names.targets(route.Tables().find(b"%d.test" % number, b""))

    assert len(names._cache) <= 1000


def test_all_lookups_of_a_host_have_one_deadline(control: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(mx.time, "monotonic", lambda: now)

    class Slow(Dns):
        def ask(self, name: bytes, kind: bytes, seconds: float) -> mx.Answer:
            nonlocal now
            now += seconds                      # as long as it may, and then nothing
            self.asked.append((name, kind))
            if kind == b"MX":
                return super().ask(name, kind, seconds)
            raise mx.Trouble(TROUBLE)

    dns = Slow({("far.test", "MX"): [(number, b"%d.test" % number) for number in range(20)]})
    with pytest.raises(codes.TryLater):
        mx.Names(dns).targets(route.Tables().find(b"far.test", b""))

    assert now == 1030.0


def test_what_a_stranger_chose_does_not_forge_a_line(control: pathlib.Path) -> None:
    assert failure({}, b"far\n.test")[1] == "There is no host called far\\x0a.test. (#5.1.2)"


def test_the_list_of_our_addresses_that_cannot_be_had_is_trouble(control: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> "frozenset[bytes]":
        raise OSError(13, "Permission denied")

    monkeypatch.setattr(addresses, "own", refuse)

    assert failure({("far.test", "A"): [four(10)]}) == (
        codes.TryLater, "cannot list this machine's addresses: Permission denied (#4.3.0)")
