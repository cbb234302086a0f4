"""Addresses: every text that is one is taken, and nothing else."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as some

from vqmail.formats import ip


@pytest.mark.parametrize(("text", "packed"), [
    (b"127.0.0.1", b"\x7f\0\0\1"), (b"255.255.255.255", b"\xff\xff\xff\xff"), (b"::", bytes(16)),
    (b"::1", bytes(15) + b"\1"), (b"2001:DB8::5", b"\x20\x01\x0d\xb8" + bytes(11) + b"\5"),
    (b"1:2:3:4:5:6:7:8", b"\0\1\0\2\0\3\0\4\0\5\0\6\0\7\0\x08"), (b"1:2:3:4:5:6:7::", b"\0\1\0\2\0\3\0\4\0\5\0\6\0\7\0\0"),
    (b"::ffff:1.2.3.4", bytes(10) + b"\xff\xff\1\2\3\4"), (b"64:ff9b::1.2.3.4", b"\0\x64\xff\x9b" + bytes(8) + b"\1\2\3\4"),
])
def test_an_address_is_taken(text: bytes, packed: bytes) -> None:
    assert ip.pack(text) == packed


@pytest.mark.parametrize("text", [
    b"", b"1.2.3", b"1.2.3.4.5", b"1.2.3.256", b"01.2.3.4", b"1.2.3.4 ", b"1.2.3.+4", b"0x1.2.3.4", b"1..2.3", b":", b":::",
    b"1::2::3", b":1", b"1:", b"1:2:3:4:5:6:7", b"1:2:3:4:5:6:7:8:9", b"1:2:3:4:5:6:7:8::", b"12345::", b"g::", b"::1.2.3",
    b"1.2.3.4::", b"1.2.3.4:5:6:7:8:9:a", b"::1%lo", b"[::1]", b"a.example",
])
def test_what_is_none_is_not(text: bytes) -> None:
    assert ip.pack(text) is None


@pytest.mark.parametrize(("text", "short"), [
    (b"2001:db8:0:0:1:0:0:1", b"2001:db8::1:0:0:1"), (b"2001:0db8:0:0:0:0:0:0", b"2001:db8::"), (b"1:2:3:4:5:6:7::", b"1:2:3:4:5:6:7:0"),
    (b"0:0:0:0:0:0:0:0", b"::"), (b"1.2.3.4", b"1.2.3.4"),
])
def test_the_usual_text(text: bytes, short: bytes) -> None:
    assert ip.text(ip.pack(text) or b"") == short


@given(some.binary(min_size=16, max_size=16))
def test_the_system_reads_what_we_write(packed: bytes) -> None:
    assert socket.inet_pton(socket.AF_INET6, ip.text(packed).decode()) == packed
    assert ip.pack(socket.inet_ntop(socket.AF_INET6, packed).encode()) == packed


@given(some.text("0123456789abcf:.", max_size=24))
def test_we_take_what_the_system_takes(text: str) -> None:
    packed = None
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            packed = socket.inet_pton(family, text)
        except OSError:
            continue

    assert ip.pack(text.encode()) == packed


@pytest.mark.parametrize(("host", "packed"), [
    (b"[1.2.3.4]", b"\1\2\3\4"), (b"[IPv6:::1]", bytes(15) + b"\1"), (b"[ipv6:::1]", bytes(15) + b"\1"),
    (b"[::1]", bytes(15) + b"\1"), (b"1.2.3.4", None), (b"[a.example]", None), (b"[", None), (b"[1.2.3.4", None),
])
def test_an_address_in_brackets_is_an_address(host: bytes, packed: "bytes | None") -> None:
    assert ip.literal(host) == packed


def test_an_ipv4_address_in_ipv6_clothes_is_an_ipv4_address() -> None:
    assert ip.plain(bytes(10) + b"\xff\xff\1\2\3\4") == b"\1\2\3\4"
    assert ip.plain(bytes(15) + b"\1") == bytes(15) + b"\1"
