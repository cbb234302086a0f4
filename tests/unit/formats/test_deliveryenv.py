"""The environment of program lines, by hand from the worked examples of the interface."""

import pytest

from vqmail.formats import deliveryenv


def test_worked_example() -> None:
    env = deliveryenv.variables(b"foo", b"/home/foo", b"foo-a-b-C-d-e", b"a-b-C-d-e", b"m.x.y.example.com", b"s@x")

    assert env == {
        b"USER": b"foo", b"HOME": b"/home/foo", b"LOCAL": b"foo-a-b-C-d-e", b"SENDER": b"s@x",
        b"RECIPIENT": b"foo-a-b-C-d-e@m.x.y.example.com",
        b"HOST": b"m.x.y.example.com", b"HOST2": b"m.x.y.example", b"HOST3": b"m.x.y", b"HOST4": b"m.x",
        b"EXT": b"a-b-C-d-e", b"EXT2": b"b-C-d-e", b"EXT3": b"C-d-e", b"EXT4": b"d-e"}


def test_when_no_dot_is_left_the_value_stays() -> None:
    env = deliveryenv.variables(b"u", b"/", b"u", b"", b"example.com", b"")

    assert [b"example"] * 3 == [env[name] for name in (b"HOST2", b"HOST3", b"HOST4")]


def test_when_no_dash_is_left_the_value_is_empty() -> None:
    env = deliveryenv.variables(b"u", b"/", b"u-a-b", b"a-b", b"h", b"")

    assert [b"b", b"", b""] == [env[name] for name in (b"EXT2", b"EXT3", b"EXT4")]


def test_the_three_lines() -> None:
    assert deliveryenv.lines(b"dom-bob", b"dom.example", b"a b@c", b"Sat Nov 07 05:18:57 2026") == {
        b"UFLINE": b"From a-b@c Sat Nov 07 05:18:57 2026\n",
        b"RPLINE": b'Return-Path: <"a b"@c>\n',
        b"DTLINE": b"Delivered-To: dom-bob@dom.example\n"}


def test_the_three_lines_of_a_bounce() -> None:
    assert deliveryenv.lines(b"u", b"h", b"", b"D") == {
        b"UFLINE": b"From MAILER-DAEMON D\n", b"RPLINE": b"Return-Path: <>\n", b"DTLINE": b"Delivered-To: u@h\n"}


def test_newlines_make_no_second_line() -> None:
    lines = deliveryenv.lines(b"u\nX: y", b"h", b"a\nb@c", b"D")

    assert lines[b"DTLINE"] == b"Delivered-To: u_X: y@h\n"
    assert lines[b"UFLINE"] == b"From a-b@c D\n"
    assert lines[b"RPLINE"].count(b"\n") == 1


@pytest.mark.parametrize(("value", "expected"), [
    (b"() { :;}; id", b" () { :;}; id"), (b"()", b"()"), (b"a\nb\n", b"a_b_"), (b"`id`;'\"", b"`id`;'\""), (b"", b"")])
def test_harmless(value: bytes, expected: bytes) -> None:
    assert expected == deliveryenv.harmless(value)
