"""Rules of tcpserver: which keys are asked for, in which order, and what a rule says.  Orders from QMAIL interface 18.2."""

import pytest

from vqmail.formats import tcprules


@pytest.mark.parametrize(("ip", "host", "info", "expected"), [
    (b"1.2.3.4", None, None, [b"1.2.3.4", b"1.2.3.", b"1.2.", b"1.", b""]),
    (b"1.2.3.4", b"mx.far.test", None,
     [b"1.2.3.4", b"=mx.far.test", b"1.2.3.", b"1.2.", b"1.", b"=.far.test", b"=.test", b"=", b""]),
    (b"1.2.3.4", None, b"joe", [b"joe@1.2.3.4", b"1.2.3.4", b"1.2.3.", b"1.2.", b"1.", b""]),
    (b"1.2.3.4", b"far", b"joe",
     [b"joe@1.2.3.4", b"joe@=far", b"1.2.3.4", b"=far", b"1.2.3.", b"1.2.", b"1.", b"=", b""]),
    (b"1.2.3.4", None, b"", [b"@1.2.3.4", b"1.2.3.4", b"1.2.3.", b"1.2.", b"1.", b""]),
])
def test_the_keys_of_an_address_the_narrowest_first(ip, host, info, expected):
    assert list(tcprules.keys(ip, host, info)) == expected


def test_an_ipv6_address_is_asked_for_in_both_its_forms():
    assert list(tcprules.keys(b"2001:db8::1", None, None)) == [
        b"2001:db8::1", b"2001:db8:0:0:0:0:0:1",
        b"2001:db8::",
        b"2001:db8:0:0:0:0:0:", b"2001:db8:0:0:0:0:", b"2001:db8:0:0:0:", b"2001:db8:0:0:", b"2001:db8:0:",
        b"2001:db8:", b"2001:", b""]


@pytest.mark.parametrize(("ip", "prefix"), [
    (b"2001:db8::1:2:3:4", b"2001:db8:0:0:"),
    (b"2001:db8:0:0:1::", b"2001:db8:0:0:"),
    (b"2001:db8::", b"2001:db8:0:0:"),
    (b"::1", b"0:0:0:0:0:0:0:1"),
    (b"::1", b"::"),
    (b"fe80::1", b"fe80:"),
    (b"1:2:3:4:5:6:7:8", b"1:2:3:4:5:6:7:"),
    (b"1::", b"1:0:0:0:0:0:0:0"),
])
def test_a_client_cannot_get_around_a_rule_by_where_its_address_has_zeros(ip, prefix):
    assert prefix in list(tcprules.keys(ip, None, None))


@pytest.mark.parametrize(("data", "expected"), [
    (b"", (True, {})),
    (b"D\0", (False, {})),
    (b"+RELAYCLIENT=\0", (True, {b"RELAYCLIENT": b""})),
    (b"+A=1\0+B=a=b\0", (True, {b"A": b"1", b"B": b"a=b"})),
    (b"+A=1\0+A=2\0", (True, {b"A": b"2"})),
    (b"D\0+A=1\0", (False, {b"A": b"1"})),
    (b"-RELAYCLIENT\0", (True, {b"RELAYCLIENT": None})),
    (b"+A=1\0+B=cut off", (True, {b"A": b"1"})),
    (b"+A\0?\0\0+B=1\0", (True, {b"B": b"1"})),
])
def test_what_a_rule_says(data, expected):
    assert tcprules.decode(data) == expected


@pytest.mark.parametrize(("line", "expected"), [
    (b'10.0.0.3-4:deny,X=/a/,Y=*b*', [(b"10.0.0.3", b"D\0+X=a\0+Y=b\0"), (b"10.0.0.4", b"D\0+X=a\0+Y=b\0")]),
    (b"10.1-2.:allow \t", [(b"10.1.", b""), (b"10.2.", b"")]),
    (b'=host.x-y:allow', [(b"=host.x-y", b"")]),
    (b':allow,A="b,c:deny"', [(b"", b"+A=b,c:deny\0")]),
    (b'2001:db8:1:2::allow,R=""', [(b"2001:db8:1:2:", b"+R=\0")]),
    (b"::1:deny", [(b"::1", b"D\0")]),
    (b"2001:0DB8:0:0::0001:deny", [(b"2001:db8::1", b"D\0")]),
    (b"2001:0DB8:0000:00A0::allow", [(b"2001:db8:0:a0:", b"")]),
    (b"2001:0DB8:::allow", [(b"2001:db8::", b"")]),
    (b"::ffff:192.0.2.1:deny", [(b"192.0.2.1", b"D\0")]),
    (b"joe@2001:DB8::1:deny", [(b"joe@2001:db8::1", b"D\0")]),
    (b"2001:DB8:1:2::/64:allow", [(b"2001:db8:1:2:", b"")]),
    (b"2001:db8::/32:deny", [(b"2001:db8:", b"D\0")]),
    (b"2001:db8::5/62:allow", [(b"2001:db8:0:%d:" % each, b"") for each in range(4)]),
    (b"::2/127:allow", [(b"::2", b""), (b"::3", b"")]),
    (b"::1/128:allow", [(b"::1", b"")]),
    (b"# c:allow", []), (b"", []), (b" ", []),
])
def test_a_text_is_compiled(line: bytes, expected: "list[tuple[bytes, bytes]]") -> None:
    assert list(tcprules.records([line])) == expected
    for _, data in expected:
        assert tcprules.encode(*tcprules.decode(data)) == data


@pytest.mark.parametrize("line", [
    b"1.2.3.4:allowx", b"1.2.3.4:den", b"1.2.3.4", b"1.2.3.4:", b"1.2.3.4:allow,A", b'1.2.3.4:allow,A="b', b"1.2.3.4:deny,",
    b'1.2.3.4:allow,A="b"x', b"2001:db8:allow",
    b"[2001:db8::1]:allow", b"2001:db8::g:allow", b"2001:db8:00001::allow", b"1:2:3:4:5:6:7:8:9::allow",
    b"2001:db8::/0:allow", b"2001:db8::/129:allow", b"2001:db8::/33:allow", b"2001:db8::/:allow", b"2001:db8:/32:allow",
    b"1.2.3.9-4:allow", b"1.2.3.4-9999:allow", b'1.2.3.4:allow,="b"'])
def test_a_broken_rule_is_refused_with_its_line(line: bytes) -> None:
    with pytest.raises(ValueError, match="line 2"):
        list(tcprules.records([b"#", line]))
