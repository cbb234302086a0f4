"""Lines of open-smtp, as vpopmail writes them."""

import pytest

from vqmail.formats import opensmtp, tcprules


@pytest.mark.parametrize(("address", "key"), [
    (b"192.0.2.9", b"192.0.2.9"),
    (b"127.0.0.9", b"127.0.0.9"),
    (b"::ffff:192.0.2.9", b"192.0.2.9"),
    (b"2001:db8:1:2:3:4:5:6", b"2001:db8:1:2:"),
    (b"2001:DB8::5", b"2001:db8:0:0:"),
    (b"127.0.0.1", b""), (b"::1", b""), (b"::ffff:127.0.0.1", b""), (b"0.0.0.0", b""), (b"::", b""),
    (b"fe80::1", b""), (b"", b""), (b"host.test", b""), (b"1.2.3.4:allow\n", b""),
])
def test_what_a_client_is_called_in_rules(address: bytes, key: bytes) -> None:
    assert opensmtp.key(address) == key


def test_lines_are_vpopmails() -> None:
    text = (b'2001:db8:0:0::allow,RELAYCLIENT="",RBLSMTPD=""\t1699999999\n'
            b'192.0.2.9:allow,RELAYCLIENT="",RBLSMTPD=""\t1700000000\n')
    open_ones = {b"192.0.2.9": 1700000000, b"2001:db8:0:0:": 1699999999}

    assert opensmtp.encode(open_ones) == text
    assert opensmtp.parse(text) == open_ones


@pytest.mark.parametrize("line", [
    b'192.0.2.9:allow,RELAYCLIENT="",RBLSMTPD=""', b'192.0.2.:allow,RELAYCLIENT=""\t17', b':allow,RELAYCLIENT=""\t17',
    b'127.0.0.1:allow,RELAYCLIENT=""\t17', b"192.0.2.9:deny\t17", b'192.0.2.9:allow,X=""\tnow', b"\t", b"#"])
def test_other_lines_open_nothing(line: bytes) -> None:
    assert opensmtp.parse(line + b"\n") == {}


@pytest.mark.parametrize(("opened", "client", "expected"), [
    (b"2001:db8:1:2:3:4:5:6", b"2001:db8:1:2::9", True),
    (b"2001:db8:1:2::9", b"2001:db8:1:2:ffff::", True),
    (b"2001:db8::5", b"2001:db8::6", True),                     # however the zeros are written
    (b"2001:db8::5", b"2001:db8:0:1::5", False),
    (b"2001:db8:1:2::9", b"2001:db8:1:20::9", False),
    (b"192.0.2.9", b"192.0.2.9", True),
    (b"192.0.2.9", b"192.0.2.90", False),
])
def test_the_rule_holds_for_whom_tcpserver_asks(opened: bytes, client: bytes, expected: bool) -> None:
    assert (opensmtp.key(opened) in tcprules.keys(client, None, None)) is expected
